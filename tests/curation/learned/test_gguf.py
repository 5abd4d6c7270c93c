"""GGUF files are read as llama.cpp writes them; damaged ones are refused with a reason."""

import struct

import numpy as np
import pytest
from tiny_gguf import tiny_llama, write_gguf, write_llama

from kangaroo.curation.learned.gguf import read_gguf
from kangaroo.errors import ModelError


def read_one(path, kind, shape, raw):
    write_gguf(path, {"general.architecture": "llama"}, {"first": (0, (1,), b"\0\0\x80?"), "x": (kind, shape, raw)})
    return read_gguf(path).tensors["x"]()


def test_what_is_told_is_read(tmp_path):
    about = {"name": "small", "one": 7, "half": 0.5, "words": ["a", "é", ""], "numbers": [1, -2]}
    path = write_gguf(tmp_path / "file", about, {"x": (0, (2, 3), np.arange(6, dtype="<f4").tobytes())})
    file = read_gguf(path)
    assert file.about == about
    assert file.tensors["x"]().tolist() == [[0, 1, 2], [3, 4, 5]]


def test_numbers_of_half_size_and_of_a_byte_are_read(tmp_path):
    halves = np.array([0.5, -2.0], "<f2")
    assert read_one(tmp_path / "f16", 1, (2,), halves.tobytes()).tolist() == [0.5, -2.0]
    whole = np.arange(-16, 16, dtype=np.int8)
    block = np.float16(0.25).tobytes() + whole.tobytes()
    assert read_one(tmp_path / "q8", 8, (2, 32), block * 2).tolist() == [(whole * 0.25).tolist()] * 2


def test_numbers_of_four_bits_are_read(tmp_path):
    block = np.float16(0.5).tobytes() + np.float16(-3).tobytes() + bytes(15 - low | low << 4 for low in range(16))
    expected = [0.5 * (15 - low) - 3 for low in range(16)] + [0.5 * high - 3 for high in range(16)]
    assert read_one(tmp_path / "q4", 3, (32,), block).tolist() == expected


def test_numbers_of_six_bits_are_read(tmp_path):
    """One value after another, as llama.cpp's description of the format has it."""
    rng = np.random.default_rng(0)
    low, high, scales = (rng.integers(0, 256, size, dtype=np.uint8) for size in (128, 64, 16))
    block = low.tobytes() + high.tobytes() + scales.tobytes() + np.float16(0.125).tobytes()
    expected = []
    for place in range(256):
        half, quarter, at = place // 128, place % 128 // 32, place % 32
        four = low[64 * half + 32 * (quarter % 2) + at] >> 4 * (quarter // 2) & 15
        two = high[32 * half + at] >> 2 * quarter & 3
        expected.append(0.125 * int(scales[place // 16].astype(np.int8)) * (int(four) + 16 * int(two) - 32))
    assert read_one(tmp_path / "q6", 14, (256,), block).tolist() == expected


def test_what_cannot_be_read_is_told(tmp_path):
    for content, said in ((b"PK\3\4" * 9, "no GGUF file"), (b"GGUF" + struct.pack("<IQQ", 3, 1, 1 << 60), "damaged")):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(ModelError, match=said):
            read_gguf(tmp_path / "file")
    with pytest.raises(ModelError, match="stored as type 2"):
        read_one(tmp_path / "file", 2, (32,), b"\0" * 18)
    whole = write_llama(tmp_path / "llama", tiny_llama()).read_bytes()
    for length in (0, 3, 20, 300, 3000, len(whole) // 2, len(whole) - 40):
        (tmp_path / "file").write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"cut off|damaged|no GGUF|empty"):
            read_gguf(tmp_path / "file")
