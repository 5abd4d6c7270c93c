"""The loop: a generator of steps. Saving, logging and evaluating are up to whoever iterates."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from kangaroo.data.packing import PackingState, Row, join
from kangaroo.training.curriculum import Stage
from kangaroo.training.estimate import Load
from kangaroo.training.loss import Objective
from kangaroo.training.optimizers import set_rates
from kangaroo.training.painter import Painter
from kangaroo.training.parallel import World, clip_gradients

_CLIP_NORM = 1.0


@dataclass(kw_only=True)
class Progress:
    """How far a stage has come: what a checkpoint keeps beside weights and moments. `streams` are this process's."""

    step: int = 0
    samples: int = 0
    streams: list[PackingState] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Progress":
        """Read what `to_dict` gave."""
        streams = [PackingState(**{**one, "pending": tuple(one["pending"])}) for one in values["streams"]]
        return cls(step=values["step"], samples=values["samples"], streams=streams)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one optimiser step gave, over all GPUs. `loss` and `grad_norm` stay there: reading them waits for them.

    Attributes:
        number: Counted from 1 within the stage.
        loss: Mean over the tokens that the assistant says, each counting what its record weighs.
        grad_norm: Before clipping.
        rate: The learning rates' share of their highest.
        samples: Seen so far in this stage.
        load: What passed the network.
        filled: Share of the rows that is not padding.
        waited_s: Seconds for which this process waited for rows.
    """

    number: int
    loss: Tensor
    grad_norm: Tensor
    rate: float
    samples: int
    load: Load
    filled: float
    waited_s: float


def rate_factor(stage: Stage, samples: int) -> float:
    """Return the learning rate's share of its highest: a straight rise, then half a cosine down to `last_rate`."""
    done = samples / stage.samples
    if done < stage.warm_up:
        return max(0.01, done / stage.warm_up)
    fallen = (done - stage.warm_up) / (1 - stage.warm_up)
    return stage.last_rate + (1 - stage.last_rate) * (1 + math.cos(math.pi * min(1.0, fallen))) / 2


def train_stage(
    objective: Objective,
    optimizers: Sequence[torch.optim.Optimizer],
    rows: Iterator[Row],
    painter: Painter,
    stage: Stage,
    progress: Progress,
    world: World,
    *,
    rows_per_pass: int,
    seed: int,
) -> Iterator[Step]:
    """Train until the stage's samples are seen; `progress` says, after each step, where to go on from it.

    The loss is the mean over all tokens that the assistant says in all rows of a step, wherever they lie, each counting
    what its record weighs.
    """
    share = stage.rows // world.data_size
    while progress.samples < stage.samples:
        asked = time.monotonic()
        mine = list(islice(rows, share))
        waited_s = time.monotonic() - asked
        own = sum(len(row.numbers) for row in mine), sum(float(row.weights.sum()) for row in mine)
        samples, weight, *passing = world.sum_over_rows(*own, *astuple(Load.of(mine)))
        load = Load(**dict(zip(Load.__dataclass_fields__, map(int, passing), strict=True)))
        factor = rate_factor(stage, progress.samples)
        set_rates(optimizers, factor)
        total = torch.zeros((), device=world.device)
        for start in range(0, share, rows_per_pass):
            packed = join(mine[start : start + rows_per_pass])
            # of the first row's number in the step, so that a row looks alike on whichever GPU it passes
            first = world.data_rank + start * world.data_size
            pixels = painter.paint(packed.media, seed=hash((seed, progress.step, first)))
            loss = objective(pixels, packed)
            (loss / weight).backward()
            total += loss.detach()
        grad_norm = clip_gradients(objective, _CLIP_NORM)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        progress.step, progress.samples = progress.step + 1, progress.samples + int(samples)
        progress.streams = [row.state for row in mine]
        yield Step(
            number=progress.step,
            loss=world.sum(total) / weight,
            grad_norm=grad_norm,
            rate=factor,
            samples=progress.samples,
            load=load,
            filled=load.tokens / (stage.rows * stage.context_tokens),
            waited_s=waited_s,
        )
