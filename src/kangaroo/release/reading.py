"""Read a checkpoint's tensors one by one, without running anything that it holds.

Files are mapped into memory, so a tensor costs memory from when it is used until the files are let go.
"""

import json
import os
import pickletools
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from kangaroo.errors import ModelError

FILES = ("*.json", "*.jinja", "model*.safetensors", "pytorch_model*.bin")
"""What is fetched of a repository whose weights may be pickled."""

_WRAPPERS = ("state_dict", "module", "model")
_SAFE = ("model.safetensors", "model.safetensors.index.json")
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_MOST_PICKLED = 64 << 20  # bytes that name tensors, without their numbers: a hundred times the published network's
# torch refuses what is no part of a tensor too, but would let a file of a kilobyte fill memory with a bytearray
_TENSOR_PARTS = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_\w+|torch\.nn\.parameter Parameter"
    r"|torch\.serialization _get_layout|torch(\.storage)? \w+Storage|torch (Size|device|bool|per_\w+|[a-z]+\d\w*)"
)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What a tensor is, without its numbers."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{list(self.shape)} {dtype_name(self.dtype)}"


def dtype_name(dtype: torch.dtype) -> str:
    """Return what files call a precision."""
    return str(dtype).removeprefix("torch.")


class Checkpoint:
    """The tensors of one or several files, by name.

    >>> Checkpoint.of_folder(folder).read("lm_head.weight")

    Args:
        files: safetensors, or what `torch.save` wrote since PyTorch 1.6.

    Attributes:
        specs: What each tensor is.

    Raises:
        ModelError: A file is missing or damaged, carries code, holds something else than tensors, or a name twice.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self.specs: dict[str, Spec] = {}
        self._home: dict[str, Path] = {}
        self._open: dict[Path, dict[str, Tensor]] = {}
        for file in self.files:
            for name, tensor in _open(file).items():
                if name in self._home:
                    raise ModelError(f"{name}: in {self._home[name].name} and again in {file.name}; fetch them anew")
                if not name.isprintable():
                    raise ModelError(f"{file}: holds {name!r}, which is no tensor's name; fetch it again")
                self._home[name] = file
                self.specs[name] = Spec(shape=tuple(tensor.shape), dtype=tensor.dtype)

    @classmethod
    def of_folder(cls, folder: Path, *, pickled: bool = True) -> "Checkpoint":
        """Open the weights that transformers would find in a folder; safetensors where there are both.

        Args:
            folder: Holds them.
            pickled: Whether they may be pickled.

        Raises:
            ModelError: There are none, or a file that the index names is missing.
        """
        names = (*_SAFE, *_PICKLED) if pickled else _SAFE
        found = next((folder / name for name in names if (folder / name).is_file()), None)
        if found is None:
            raise ModelError(f"{folder}: no weights here, expected one of {', '.join(names)}")
        if found.suffix != ".json":
            return cls([found])
        try:
            homes = sorted({str(name) for name in json.loads(found.read_text(encoding="utf-8"))["weight_map"].values()})
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
            raise ModelError(f"{found}: damaged; fetch it again") from None
        if outside := [name for name in homes if Path(name).name != name]:
            raise ModelError(f"{found}: names {outside[0]!r}, which is no file beside it; fetch it again")
        return cls([folder / name for name in homes])

    def read(self, name: str) -> Tensor:
        """Return a tensor. Its numbers are read from the file as they are used."""
        file = self._home[name]
        if file not in self._open:
            self._open[file] = _open(file)
        return self._open[file][name]

    def let_go(self) -> None:
        """Give the memory back that files take which were read; what is still in use stays."""
        self._open.clear()


def _open(file: Path) -> dict[str, Tensor]:
    if not os.path.isfile(file):  # unlike Path's, of names that are too long too
        raise ModelError(f"{file}: missing; fetch the checkpoint again")
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="pt") as opened:
                return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 it is no dict
        foreign = _foreign(file)
        loaded = None if foreign else torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    except Exception as error:  # torch has no error of its own for a file that is damaged
        if "mmap can only be used" in str(error):
            raise ModelError(
                f"{file}: not what torch.save has written since PyTorch 1.6; nothing of it was run"
            ) from None
        first = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ModelError(f"{file}: truncated or damaged ({first}); fetch it again") from None
    if foreign:
        raise ModelError(
            f"{file}: carries code ({foreign}), not tensors alone; it was refused and nothing of it was run"
        )
    return _unwrapped(loaded, file)


def _foreign(file: Path) -> str | None:
    """Return something that a pickle would call and that is no part of a tensor; None where all is."""
    if not zipfile.is_zipfile(file):
        return None  # torch.load says what it is
    with zipfile.ZipFile(file) as archive:
        found = [one for one in archive.infolist() if one.filename.rpartition("/")[2] == "data.pkl"]
        if any(one.file_size > _MOST_PICKLED for one in found):
            raise ValueError("it tells more than weights need")
        pickled = [archive.read(one) for one in found]
    called = (str(given) for text in pickled for code, given, _ in pickletools.genops(text) if code.name == "GLOBAL")
    return next((name.replace(" ", ".") for name in called if not _TENSOR_PARTS.fullmatch(name)), None)


def _unwrapped(loaded: object, file: Path) -> dict[str, Tensor]:
    """Return the tensors of what a program saved: some put them beside an optimiser's state."""
    for key in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            for name, value in loaded.items():
                if name != key and (isinstance(value, Tensor) or (name in _WRAPPERS and isinstance(value, Mapping))):
                    raise ModelError(f"{file}: holds tensors in {key!r} and {name!r} beside it; which are the model's?")
            loaded = loaded[key]
    if not isinstance(loaded, Mapping):
        raise ModelError(f"{file}: holds a {type(loaded).__name__}, not tensors by name")
    tensors: dict[str, Tensor] = {}
    for name, value in loaded.items():
        if not _is_plain(value):
            raise ModelError(f"{file}: {name} is a {type(value).__name__}, not a plain tensor")
        bare = str(name).removeprefix("module.")
        if bare in tensors:
            raise ModelError(f"{file}: holds {bare} twice, with 'module.' before it and without; which is the model's?")
        tensors[bare] = value.detach()
    return tensors


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and not value.is_nested
        and value.device.type == "cpu"
    )
