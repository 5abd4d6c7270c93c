"""Read the GGUF file of a small Llama: its description, its tokenizer, its weights as float32.

transformers reads such files too, but takes minutes over the vocabulary of one; this takes a second or two and needs
no further package. Of llama.cpp's ways to store numbers those are known that small files use: F32, F16, Q8_0, Q4_1,
Q6_K. Axes: block, value.
"""

import math
import mmap
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from kangaroo.errors import ModelError

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_ALIGNMENT = 32


@dataclass(frozen=True, kw_only=True)
class Gguf:
    """What a file holds.

    Attributes:
        about: Its description, by key.
        tensors: Its weights by name, each read when it is asked for.
    """

    about: Mapping[str, Any]
    tensors: Mapping[str, Callable[[], Float32[np.ndarray, "..."]]]


def read_gguf(path: Path) -> Gguf:
    """Read a file's description and find its weights.

    Raises:
        ModelError: It is no GGUF file, is cut off, or stores numbers in a way that is not known here.
    """
    with path.open("rb") as file:
        if (magic := file.read(4)) != b"GGUF":  # nor can an empty file be mapped
            raise ModelError(f"{path} is no GGUF file: it begins with {magic!r}")
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    cursor = _Cursor(content)
    try:
        _, num_tensors, num_keys = cursor.numbers("IQQ")
        about = {cursor.text(): cursor.value(cursor.number("I")) for _ in range(num_keys)}
        infos = [cursor.tensor() for _ in range(num_tensors)]
    except (struct.error, UnicodeDecodeError, KeyError, RecursionError) as error:
        raise ModelError(f"{path} is damaged at byte {cursor.at}: {error}") from None
    alignment = about.get("general.alignment", _ALIGNMENT)
    start = -(-cursor.at // alignment) * alignment
    for name, shape, kind, offset in infos:
        if kind not in _STORED:
            raise ModelError(f"{path}: {name} is stored as type {kind}; known are {', '.join(map(str, _STORED))}")
        if start + offset + _num_bytes(shape, kind) > len(content):
            raise ModelError(f"{path} is cut off: it ends before {name} does")
    tensors = {name: _reader(content, start + offset, shape, kind) for name, shape, kind, offset in infos}
    return Gguf(about=about, tensors=tensors)


class _Cursor:
    """Reads values one behind the other; all are little-endian."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self.at = 4  # behind the magic word

    def numbers(self, codes: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{codes}", self._content, self.at)
        self.at += struct.calcsize(f"<{codes}")
        return found

    def number(self, code: str) -> Any:
        return self.numbers(code)[0]

    def text(self) -> str:
        length = self.number("Q")
        if self.at + length > len(self._content):
            raise struct.error(f"a text of {length} bytes goes past the end")
        self.at += length
        return self._content[self.at - length : self.at].decode()

    def value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self.text()
        if kind != _ARRAY:
            return self.number(_NUMBERS[kind])
        inner, length = self.numbers("IQ")
        if inner in _NUMBERS:
            if length > len(self._content):
                raise struct.error(f"a list of {length} numbers goes past the end")
            return list(self.numbers(f"{length}{_NUMBERS[inner]}"))
        return [self.value(inner) for _ in range(length)]

    def tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        """Name, shape (outermost first), kind, offset."""
        name = self.text()
        shape = self.numbers(f"{self.number('I')}Q")[::-1]
        kind, offset = self.numbers("IQ")
        return name, shape, kind, offset


def _num_bytes(shape: tuple[int, ...], kind: int) -> int:
    num_values, num_bytes, _ = _STORED[kind]
    return math.prod(shape) // num_values * num_bytes


def _reader(content: mmap.mmap, start: int, shape: tuple[int, ...], kind: int) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        _, num_bytes, decode = _STORED[kind]
        stored = np.frombuffer(content, np.uint8, _num_bytes(shape, kind), start)
        return decode(stored.reshape(-1, num_bytes)).reshape(shape)

    return read


def _plain(kind: str) -> Callable[[UInt8[np.ndarray, "block byte"]], Float32[np.ndarray, "block value"]]:
    return lambda blocks: blocks.view(kind).astype(np.float32)


def _q8_0(blocks: UInt8[np.ndarray, "block 34"]) -> Float32[np.ndarray, "block 32"]:
    return _halves(blocks[:, :2]) * blocks[:, 2:].view(np.int8).astype(np.float32)


def _q4_1(blocks: UInt8[np.ndarray, "block 20"]) -> Float32[np.ndarray, "block 32"]:
    """32 numbers of 4 bits, of which the first sixteen are the lower halves, between a least value and steps above."""
    step, least, packed = _halves(blocks[:, :2]), _halves(blocks[:, 2:4]), blocks[:, 4:]
    return np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32) * step + least


def _q6_k(blocks: UInt8[np.ndarray, "block 210"]) -> Float32[np.ndarray, "block 256"]:
    """256 numbers of 6 bits, kept as 4 and 2, with a scale of 8 bits for each sixteen of them and one for all."""
    low = blocks[:, :128].reshape(-1, 2, 1, 64) >> np.array([0, 4], np.uint8)[:, None] & 15
    high = blocks[:, 128:192].reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3
    values = (low.reshape(-1, 256) | high.reshape(-1, 256) << 4).astype(np.float32) - 32
    scales = blocks[:, 192:208].view(np.int8).astype(np.float32) * _halves(blocks[:, 208:])
    return values * np.repeat(scales, 16, axis=1)


def _halves(two_bytes: UInt8[np.ndarray, "block 2"]) -> Float32[np.ndarray, "block 1"]:
    return np.ascontiguousarray(two_bytes).view(np.float16).astype(np.float32)


# llama.cpp's number of a way to store: how many numbers a block holds, in how many bytes, and how they are read
_STORED: dict[int, tuple[int, int, Callable[[np.ndarray], np.ndarray]]] = {
    0: (1, 4, _plain("<f4")),
    1: (1, 2, _plain("<f2")),
    3: (32, 20, _q4_1),
    8: (32, 34, _q8_0),
    14: (256, 210, _q6_k),
}
