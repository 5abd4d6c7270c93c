"""What a run consists of, as values: steps on each clip, rules over their scores, what makes records of them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kangaroo.curation import cut, probe
from kangaroo.curation.clip import Clip
from kangaroo.curation.cut import CutSettings
from kangaroo.curation.duplicates import DuplicateSettings
from kangaroo.curation.export import MediaSettings
from kangaroo.curation.recipe import Rule
from kangaroo.curation.step import Runs, Step, in_order, signatures
from kangaroo.curation.watch import Look
from kangaroo.data.record import Medium, Record

KeyTimes = Callable[[Clip, Mapping[str, Any]], Sequence[float]]
Select = Callable[[Sequence[tuple[Clip, Mapping[str, Any]]]], Collection[str]]
Records = Callable[[Clip, Mapping[str, Any], Medium], Iterable[Record]]


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A run without its videos.

    Attributes:
        cut: How films are cut.
        look: Which pictures steps see.
        duplicates: When clips are copies.
        media: How kept clips are written.
        steps: What is found out about each clip.
        rules: What a clip's scores must be.
        key_times: Seconds of the pictures that models are shown, by a clip and its results.
        select: Says which of the kept clips, given with their results, stay: their ids. None keeps all.
        records: Makes training records of a kept clip, all its results and its medium; None makes none.
        absent: Parts that this installation or recipe leaves out, in words, so that nobody misses them silently.
    """

    cut: CutSettings
    look: Look
    duplicates: DuplicateSettings
    media: MediaSettings
    steps: tuple[Step, ...]
    rules: tuple[Rule, ...]
    key_times: KeyTimes | None
    select: Select | None
    records: Records | None
    absent: tuple[str, ...]

    @cached_property
    def signatures(self) -> dict[str, str]:
        """The signature of every step, `probe` and `cut` among them."""
        first = (
            Step(name="probe", version=probe.VERSION, settings=(), needs=(), function=probe.probe),
            Step(name="cut", version=cut.VERSION, settings=self.cut, needs=(), function=cut.Cutter),
        )
        return signatures((*first, *self.steps), frames=self.look)

    @cached_property
    def measuring(self) -> tuple[Step, ...]:
        """The steps that worker processes do, in order."""
        return tuple(step for step in in_order(self.steps) if step.runs is Runs.WORKER)

    @cached_property
    def asking(self) -> tuple[Step, ...]:
        """The steps that wait for models, in order."""
        return tuple(step for step in in_order(self.steps) if step.runs is Runs.HERE)
