"""Read a checkpoint's tensors one by one, without running anything that it holds.

Files are mapped into memory, so a tensor costs memory from when it is used until the files are let go.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from kangaroo.errors import ModelError

_WRAPPERS = ("state_dict", "module", "model")
_PICKLED = ("pytorch_model.bin.index.json", "pytorch_model.bin")
_SAFE = ("model.safetensors.index.json", "model.safetensors")


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What a tensor is, without its numbers."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{list(self.shape)} {str(self.dtype).removeprefix('torch.')}"


class Checkpoint:
    """The tensors of one or several files, by name.

    >>> Checkpoint.of_folder(folder).read("lm_head.weight")

    Args:
        files: safetensors, or what `torch.save` wrote since PyTorch 1.6.

    Attributes:
        specs: What each tensor is.

    Raises:
        ModelError: A file is missing or damaged, carries code, or holds something else than tensors.
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
                self._home[name] = file
                self.specs[name] = Spec(shape=tuple(tensor.shape), dtype=tensor.dtype)

    @classmethod
    def of_folder(cls, folder: Path) -> "Checkpoint":
        """Open the weights that transformers would find in a folder; safetensors where there are both.

        Raises:
            ModelError: There are none, or a file that the index names is missing.
        """
        found = next((folder / name for name in (*_SAFE, *_PICKLED) if (folder / name).is_file()), None)
        if found is None:
            raise ModelError(f"{folder}: no weights here, expected one of {', '.join((*_SAFE, *_PICKLED))}")
        if found.suffix != ".json":
            return cls([found])
        try:
            names = sorted({str(name) for name in json.loads(found.read_text(encoding="utf-8"))["weight_map"].values()})
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            raise ModelError(f"{found}: damaged; fetch it again") from None
        if outside := [name for name in names if Path(name).name != name]:
            raise ModelError(f"{found}: names {outside[0]!r}, which is no file beside it; fetch it again")
        return cls([folder / name for name in names])

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
    if not file.is_file():
        raise ModelError(f"{file}: missing; fetch the checkpoint again")
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="pt") as opened:
                return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 it is no dict
        loaded = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    except UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f" ({named[1]})" if named else ""
        raise ModelError(
            f"{file}: carries code{what}, not tensors alone; it was refused and nothing of it was run"
        ) from None
    except (
        SafetensorError,
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
        KeyError,
        IndexError,
        AttributeError,
    ) as error:
        if "mmap can only be used" in str(error):
            raise ModelError(
                f"{file}: not what torch.save has written since PyTorch 1.6; nothing of it was run"
            ) from None
        first = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise ModelError(f"{file}: truncated or damaged ({first}); fetch it again") from None
    return _unwrapped(loaded, file)


def _unwrapped(loaded: object, file: Path) -> dict[str, Tensor]:
    """Return the tensors of what a program saved: some put them beside an optimiser's state."""
    for key in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping):
        raise ModelError(f"{file}: holds a {type(loaded).__name__}, not tensors by name")
    if others := [name for name, value in loaded.items() if not _is_plain(value)]:
        raise ModelError(f"{file}: {others[0]} is a {type(loaded[others[0]]).__name__}, not a plain tensor")
    return {str(name).removeprefix("module."): value.detach() for name, value in loaded.items()}


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout is torch.strided and value.device.type == "cpu"
