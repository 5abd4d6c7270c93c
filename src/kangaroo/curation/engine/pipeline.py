"""What a run consists of, as values: steps on each clip, rules over their scores, what makes records of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kangaroo.curation.clip import Clip
from kangaroo.curation.engine import probe
from kangaroo.curation.engine.export import MediaSettings
from kangaroo.curation.engine.look import Look
from kangaroo.curation.engine.recipe import Rule
from kangaroo.curation.engine.step import Runs, Seen, Step, in_order, signatures
from kangaroo.curation.measures.clips import CutFinder, CutSettings, Cutter
from kangaroo.curation.measures.duplicates import DuplicateSettings
from kangaroo.curation.measures.key_frames import KeyFrameSettings
from kangaroo.data.record import Medium, Record

_CUT_VERSION = 3


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What becomes of a kept clip once models were asked.

    Attributes:
        category: Of what kind it is; empty where nobody said.
        weight: What it counts in training; 0 where it goes.
        reason: Why it goes; empty where it stays.
    """

    category: str = ""
    weight: float = 1.0
    reason: str = ""


Results = Mapping[str, Any]
Choose = Callable[[Iterable[tuple[Clip, Results]]], Mapping[str, Fate]]
Records = Callable[[Clip, Results, Medium], Iterable[Record]]


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A run without its videos.

    Attributes:
        cut: How films are cut.
        finder_of: Returns who finds cuts where the rules do not.
        look: Which pictures steps see.
        key_frames: Which pictures models are shown.
        duplicates: When clips are copies.
        media: How kept clips are written.
        steps: What is found out about each clip.
        rules: What a clip's scores must be.
        writing_on: Returns from a clip's results what share of the picture writing covers, by seconds.
        choose: Returns the fate of each clip that the rules keep, by id; None keeps all.
        records: Makes training records of a clip that stays, all its results and its medium; None makes none.
    """

    cut: CutSettings
    finder_of: Callable[[CutSettings], CutFinder | None]
    look: Look
    key_frames: KeyFrameSettings
    duplicates: DuplicateSettings
    media: MediaSettings
    steps: tuple[Step, ...]
    rules: tuple[Rule, ...]
    writing_on: Callable[[Results], Mapping[float, float]]
    choose: Choose | None
    records: Records | None

    @cached_property
    def signatures(self) -> dict[str, str]:
        """The signature of every step, `probe` and `cut` among them."""
        first = (
            Step(name="probe", version=probe.VERSION, settings=(), needs=(), function=probe.probe),
            Step(name="cut", version=_CUT_VERSION, settings=self.cut, needs=(), function=Cutter),
        )
        shown = {one: self.key_frames if one is Seen.KEY_FRAMES else self.look for one in Seen}
        return signatures((*first, *self.steps), seen=shown)

    @cached_property
    def measuring(self) -> tuple[Step, ...]:
        """The steps that worker processes do, in order."""
        return tuple(step for step in in_order(self.steps) if step.runs is Runs.WORKER)

    @cached_property
    def asking(self) -> tuple[Step, ...]:
        """The steps that wait for models, in order."""
        return tuple(step for step in in_order(self.steps) if step.runs is Runs.HERE)
