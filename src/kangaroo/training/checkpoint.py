"""Checkpoints of a run: written while training goes on, each rank its share, and found only when whole.

A checkpoint is a folder `step-00001000`: weights in float32, the optimisers' moments, and `progress.json`. While it
is written its name ends in `.unfinished`; what a killed run left so is never read. It loads on any number of ranks.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load as load_tensors
from torch.distributed.checkpoint.state_dict_saver import async_save
from torch.optim import Optimizer

from kangaroo.errors import KangarooError, ModelError
from kangaroo.training.parallel import World

_NAME = re.compile(r"step-\d+")
_UNFINISHED = ".unfinished"
_PROGRESS = "progress.json"


class CheckpointWriter:
    """Writes a run's checkpoints, one at a time, and removes old ones. All ranks make one and call it alike.

    >>> writer = CheckpointWriter(run_folder, world)
    >>> writer.save(1000, model, optimizers, progress={"stage": 2})
    >>> writer.wait()

    Args:
        folder: Where checkpoints lie; all ranks see it. What was left unfinished there is removed.
        world: The ranks.
        keep: How many whole checkpoints stay.
    """

    def __init__(self, folder: Path, world: World, *, keep: int = 2) -> None:
        assert keep >= 1, f"{keep} checkpoints kept"
        self.folder, self.world, self.keep = folder, world, keep
        # a group of its own: writing and training both talk over the CPU, at the same time
        self._group = distributed.new_group(backend="gloo")
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._pending: Future[None] | None = None
        if world.rank == 0:
            for leftover in folder.glob(f"*{_UNFINISHED}"):
                shutil.rmtree(leftover)

    def save(
        self, step: int, model: nn.Module, optimizers: Sequence[Optimizer], *, progress: Mapping[str, Any]
    ) -> None:
        """Copy the state and return while it is being written; wait first where the last is not whole yet.

        Args:
            step: Of the whole run: names the checkpoint, and takes the place of one of the same step.
            model: Its weights.
            optimizers: Their moments. Learning rates and the like belong to the recipe.
            progress: What else is needed to go on, as JSON can hold it; the first rank's is written.

        Raises:
            KangarooError: The last could not be written.
        """
        self.wait()
        unfinished = self.folder / f"step-{step:08d}{_UNFINISHED}"
        if self.world.rank == 0:
            unfinished.mkdir(parents=True, exist_ok=True)
            (unfinished / _PROGRESS).write_text(json.dumps(progress), encoding="utf-8")
        written = async_save(_state(model, optimizers), checkpoint_id=unfinished, process_group=self._group)
        assert isinstance(written, Future), "copying goes on in the background"
        self._pending = self._thread.submit(self._finish, written, unfinished)

    def wait(self) -> None:
        """Return when nothing is being written any more.

        Raises:
            KangarooError: The checkpoint could not be written.
        """
        pending, self._pending = self._pending, None
        if pending is None:
            return
        try:
            pending.result()
        except CheckpointException as error:
            raise KangarooError(f"{self.folder}: a checkpoint could not be written ({_reason(error)})") from None

    def _finish(self, written: Future, unfinished: Path) -> None:
        written.result()
        # the first rank hears of a whole checkpoint when all have written
        if self.world.rank > 0:
            return
        whole = unfinished.with_suffix("")
        if whole.exists():
            shutil.rmtree(whole.rename(whole.with_suffix(f".old{_UNFINISHED}")))
        unfinished.rename(whole)
        for old in _whole(self.folder)[: -self.keep]:
            # a name that nobody takes for whole, should this be killed halfway
            shutil.rmtree(old.rename(old.with_suffix(f".old{_UNFINISHED}")))


def latest(folder: Path) -> Path | None:
    """Return the newest whole checkpoint of a run, None where there is none."""
    return next(reversed(_whole(folder)), None)


def read_progress(checkpoint: Path) -> dict[str, Any]:
    """Return what was saved as `progress`.

    Raises:
        ModelError: The checkpoint is damaged.
    """
    try:
        progress = json.loads((checkpoint / _PROGRESS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(checkpoint, error) from None
    if not isinstance(progress, dict):
        raise _damaged(checkpoint, f"{_PROGRESS} holds no progress")
    return progress


def load(checkpoint: Path, model: nn.Module, optimizers: Sequence[Optimizer] = ()) -> None:
    """Put saved weights, and the moments of the optimisers that are given, in the place of those that are there.

    All ranks call it, however many wrote the checkpoint.

    Raises:
        ModelError: It is of another model, of other trained parts, or damaged.
    """
    saved = _saved_tensors(checkpoint)
    weights = _weights(model)
    _check_same(checkpoint, weights, saved)
    moments = [_moments_to_fill(model, optimizer, saved) for optimizer in optimizers]
    wanted = {key: tensor for one in moments for key, tensor in one.items()}
    left = {key for key in saved if key.startswith("moments.")} - wanted.keys()
    if optimizers and left:
        raise ModelError(
            f"{checkpoint} holds {len(left)} moments of weights that do not train here ({min(left)}, ...); "
            "go on with the stage that wrote it"
        )
    try:
        load_tensors(weights | wanted, checkpoint_id=checkpoint)
    except CheckpointException as error:
        raise _damaged(checkpoint, _reason(error)) from None
    for optimizer, tensors in zip(optimizers, moments, strict=True):
        _set_moments(model, optimizer, tensors)


def _whole(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if _NAME.fullmatch(path.name))


def _state(model: nn.Module, optimizers: Sequence[Optimizer]) -> dict[str, Tensor]:
    # weights first: asking for them takes back what a prediction may have left gathered
    state = _weights(model)
    names = _names(model)
    for optimizer in optimizers:
        for weight, moments in optimizer.state.items():
            state |= {f"moments.{names[weight]}.{kind}": moment for kind, moment in moments.items()}
    return state


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {f"weights.{name}": weight for name, weight in model.state_dict().items()}


def _saved_tensors(checkpoint: Path) -> dict[str, TensorStorageMetadata]:
    try:
        metadata = FileSystemReader(checkpoint).read_metadata()
    except Exception as error:  # a damaged pickle raises anything
        raise _damaged(checkpoint, error) from None
    return {key: each for key, each in metadata.state_dict_metadata.items() if isinstance(each, TensorStorageMetadata)}


def _check_same(checkpoint: Path, weights: Mapping[str, Tensor], saved: Mapping[str, TensorStorageMetadata]) -> None:
    ours = {key: tuple(weight.shape) for key, weight in weights.items()}
    theirs = {key: tuple(each.size) for key, each in saved.items() if key.startswith("weights.")}
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            raise ModelError(
                f"{checkpoint} is of another model: {key.removeprefix('weights.')} is {theirs.get(key, 'missing')} "
                f"there and {ours.get(key, 'missing')} here; name another run folder"
            )


def _moments_to_fill(
    model: nn.Module, optimizer: Optimizer, saved: Mapping[str, TensorStorageMetadata]
) -> dict[str, Tensor]:
    """Return tensors in the saved moments' shapes, shared over the ranks as the weights are."""
    moments = {}
    for weight, name in _trained(model, optimizer):
        prefix = f"moments.{name}."
        for key in (key for key in saved if key.startswith(prefix) and "." not in key.removeprefix(prefix)):
            size, dtype = saved[key].size, saved[key].properties.dtype
            alike = size == weight.shape
            # AdamW counts its steps in a scalar, which every rank has
            moments[key] = torch.zeros_like(weight, dtype=dtype) if alike else torch.zeros(size, dtype=dtype)
    return moments


def _set_moments(model: nn.Module, optimizer: Optimizer, moments: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for number, (_, name) in enumerate(_trained(model, optimizer)):
        prefix = f"moments.{name}."
        found = {key.removeprefix(prefix): tensor for key, tensor in moments.items() if key.startswith(prefix)}
        if found:
            state[number] = found
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _trained(model: nn.Module, optimizer: Optimizer) -> Iterator[tuple[Tensor, str]]:
    """Yield an optimiser's weights with their names, in the order in which it counts them."""
    names = _names(model)
    for group in optimizer.param_groups:
        for weight in group["params"]:
            yield weight, names[weight]


def _names(model: nn.Module) -> dict[Tensor, str]:
    return {weight: name for name, weight in model.named_parameters()}


def _damaged(checkpoint: Path, reason: object) -> ModelError:
    line = " ".join(str(reason).split()) or type(reason).__name__
    return ModelError(f"{checkpoint} is damaged ({line}); remove it to go on from the checkpoint before it")


def _reason(error: CheckpointException) -> str:
    return "; ".join(f"rank {rank}: {failure[0]}" for rank, failure in error.failures.items())
