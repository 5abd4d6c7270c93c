"""A model about to be written: what it will be, why, and where each of its numbers comes from.

Nothing is in memory until it is written, a shard at a time; the folder has its name only once it is whole.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from transformers import GenerationConfig

from kangaroo import __version__
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.errors import ModelError
from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.release.reading import Checkpoint, dtype_name

SHARD_BYTES = 1 << 30
"""About what one shard holds, and so what is in memory at a time; a larger tensor is a shard of its own."""

_SLACK_BYTES = 64 << 20  # the tokenizer and other files beside the weights

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Something that the paper leaves open or a file decides: what, how it was decided, and why so."""

    what: str
    value: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Weight:
    """Where one tensor comes from. `origin` is what a message calls it; `cast` lets it be of another precision."""

    origin: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]
    cast: bool = False


def copied(checkpoint: Checkpoint, name: str, *, cast: bool = False) -> Weight:
    """Return a checkpoint's tensor as it is."""
    spec = checkpoint.specs[name]
    return Weight(origin=name, shape=spec.shape, dtype=spec.dtype, read=lambda: checkpoint.read(name), cast=cast)


def made(tensor: Tensor) -> Weight:
    """Return a tensor that no checkpoint has."""
    return Weight(origin="made here", shape=tuple(tensor.shape), dtype=tensor.dtype, read=lambda: tensor, cast=True)


def expected_shapes(config: KangarooConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a network; nothing is made for it.

    Raises:
        ModelError: No network can be made of the config.
    """
    try:
        with torch.device("meta"):
            network = KangarooForConditionalGeneration(config)
    except Exception as error:  # of torch or transformers, whatever an impossible size leads to
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"config.json describes a network that cannot be made ({reason})") from None
    tied = network.all_tied_weights_keys
    return {name: tuple(weight.shape) for name, weight in network.state_dict().items() if name not in tied}


@dataclass(frozen=True, kw_only=True)
class NewModel:
    """What `convert` and `assemble` make.

    Attributes:
        config: The network's.
        processor: What belongs to it.
        weights: Where each tensor comes from, by the network's own names.
        dtype: The precision that is written.
        decisions: The table that people read.
        checkpoints: What the weights are read from.
    """

    config: KangarooConfig
    processor: KangarooProcessor
    weights: Mapping[str, Weight]
    dtype: torch.dtype
    decisions: tuple[Decision, ...]
    checkpoints: tuple[Checkpoint, ...]

    def __post_init__(self) -> None:
        expected = expected_shapes(self.config)
        if missing := [f"{name} {list(shape)}" for name, shape in expected.items() if name not in self.weights]:
            raise ModelError(f"{len(missing)} tensors are missing from the checkpoint: {listed(missing)}")
        for name, weight in self.weights.items():
            if name not in expected:
                raise ModelError(f"{weight.origin}: the network that config.json describes has no {name}")
            if weight.shape != expected[name]:
                raise ModelError(
                    f"{weight.origin}: {list(weight.shape)} in the checkpoint, but config.json makes {name} "
                    f"{list(expected[name])}; one of the two is wrong"
                )
            if not weight.dtype.is_floating_point or (weight.dtype != self.dtype and not weight.cast):
                way = f"--allow '{weight.origin}' casts it" if weight.dtype.is_floating_point else "nothing casts it"
                raise ModelError(
                    f"{weight.origin}: {dtype_name(weight.dtype)} in the checkpoint, expected "
                    f"{dtype_name(self.dtype)}; {way}"
                )

    @property
    def num_bytes(self) -> int:
        """What the weights take on the disk."""
        return sum(map(self._bytes_of, self.weights))

    def write(self, out: Path, *, progress: Progress = lambda _done, _total: None) -> None:
        """Write a folder that `kangaroo chat --model` opens.

        Args:
            out: Must not be there yet.
            progress: Called with the bytes of weights that are written, and of all.

        Raises:
            ModelError: `out` is there, the disk is full, or a file cannot be read on. Nothing is left of it.
        """
        with whole_folder(out, num_bytes=self.num_bytes) as folder:
            self._write_weights(folder, progress)
            self.config.architectures = [KangarooForConditionalGeneration.__name__]
            self.config.dtype = self.dtype
            self.config.save_pretrained(folder)
            self.processor.save_pretrained(folder)
            text = self.config.text_config
            GenerationConfig(
                do_sample=True,
                temperature=0.6,
                top_p=0.9,
                bos_token_id=text.bos_token_id,
                eos_token_id=text.eos_token_id,
                suppress_tokens=sorted(self.config.visual_token_ids.values()),
            ).save_pretrained(folder)
            _write_json(
                folder / "origin.json",
                {
                    "kangaroo": __version__,
                    "files": _sizes([file for one in self.checkpoints for file in one.files]),
                    "decisions": [asdict(decision) for decision in self.decisions],
                },
            )

    def _bytes_of(self, name: str) -> int:
        return torch.Size(self.weights[name].shape).numel() * self.dtype.itemsize

    def _write_weights(self, folder: Path, progress: Progress) -> None:
        shards, done = list(self._shards()), 0
        homes: dict[str, str] = {}
        for number, names in enumerate(shards, start=1):
            file = f"model-{number:05}-of-{len(shards):05}.safetensors"
            tensors = _own_memory({name: self.weights[name].read().to(self.dtype) for name in names})
            save_file(tensors, folder / file, metadata={"format": "pt"})
            del tensors
            for checkpoint in self.checkpoints:
                checkpoint.let_go()
            homes |= dict.fromkeys(names, file)
            done += sum(map(self._bytes_of, names))
            progress(done, self.num_bytes)
        index = {"metadata": {"total_size": self.num_bytes}, "weight_map": homes}
        _write_json(folder / "model.safetensors.index.json", index)

    def _shards(self) -> Iterator[list[str]]:
        shard: list[str] = []
        filled = 0
        for name in self.weights:
            if shard and filled + self._bytes_of(name) > SHARD_BYTES:
                yield shard
                shard, filled = [], 0
            shard.append(name)
            filled += self._bytes_of(name)
        yield shard


def refuse_existing(out: Path) -> Path:
    """Return where a new folder will be, after making sure that nothing is there.

    Raises:
        ModelError: Something is, or the name begins with that of a user who does not exist.
    """
    try:
        out = out.expanduser().absolute()
    except RuntimeError:
        raise ModelError(f"{out}: there is no user {out.parts[0]!r}; name another folder") from None
    if os.path.lexists(out):
        raise ModelError(f"{out}: there already; name a new folder, or delete that one")
    return out


@contextmanager
def whole_folder(out: Path, *, num_bytes: int) -> Iterator[Path]:
    """Give a folder to write into that becomes `out` when all went well, and is gone when not.

    Raises:
        ModelError: `out` is there, the disk has no room for so many bytes, or writing failed.
    """
    out = refuse_existing(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # a place of its own: two that write the same folder do not mix, and nothing else is removed
        with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent, ignore_cleanup_errors=True) as place:
            needed = num_bytes + _SLACK_BYTES
            if (free := shutil.disk_usage(place).free) < needed:
                raise ModelError(f"{out}: needs {needed / 1e9:.1f} GB, but the disk has {free / 1e9:.1f} GB free")
            unfinished = Path(place) / out.name
            unfinished.mkdir()
            yield unfinished
            # the renaming itself refuses what came to be here meanwhile, but for an empty folder
            refuse_existing(out)
            os.rename(unfinished, out)
    except Exception as error:
        # tokenizers raises no class of its own when the disk is full
        if isinstance(error, OSError | SafetensorError) or type(error) is Exception:
            raise ModelError(f"{out}: cannot be written ({error}); nothing was left of it") from None
        raise


def _own_memory(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors that share no memory, as the format wants them."""
    own, seen = {}, set()
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage()
        alone = storage.nbytes() == tensor.nbytes and storage.data_ptr() not in seen and tensor.is_contiguous()
        own[name] = tensor if alone else tensor.clone(memory_format=torch.contiguous_format)
        seen.add(storage.data_ptr())
    return own


def _sizes(files: Sequence[Path]) -> dict[str, int]:
    """Return the files' bytes by name; those that share one are told apart by their folders."""
    times = Counter(file.name for file in files)
    return {
        file.name if times[file.name] == 1 else f"{file.parent.name}/{file.name}": file.stat().st_size for file in files
    }


def _write_json(file: Path, values: object) -> None:
    file.write_text(json.dumps(values, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return the first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
