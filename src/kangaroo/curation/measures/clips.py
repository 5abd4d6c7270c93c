"""Turn changes of shot into clips while a film is decoded, so that few frames have to be held.

Cuts are looked for every half minute of film, over what came since the last time and a little before; those of the
last seconds wait for what follows.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from kangaroo.curation.measures.changes import ChangesMeter
from kangaroo.curation.measures.cuts import Cut, CutKind, CutRule, NetworkRule, find_cuts
from kangaroo.errors import OptionError

_EVERY_S = 30.0
_BEHIND_S = 10.0  # what is younger may still turn out to be a part of a fade
_CONTEXT_S = 8.0  # before what is looked at: the longest gradual change, and the calm that it is compared with


class FoundBy(StrEnum):
    """Who finds cuts: rules over what changes, or TransNet V2, whose weights are optional and which is slower."""

    RULES = "rules"
    NETWORK = "network"


@dataclass(frozen=True, kw_only=True)
class CutSettings:
    """Where a film is cut and which pieces become clips.

    Attributes:
        min_s: Shorter scenes are left out.
        max_s: Longer scenes are split.
        by: Who finds cuts.
        rule: When a change is a cut, by rules.
        network: When the network's word is one.
    """

    min_s: float = 2.0
    max_s: float = 60.0
    by: FoundBy = FoundBy.RULES
    rule: CutRule = field(default_factory=CutRule)
    network: NetworkRule = field(default_factory=NetworkRule)

    def __post_init__(self) -> None:
        if not 1 <= self.min_s <= self.max_s < 3600:
            raise OptionError(f"min_s {self.min_s:g} and max_s {self.max_s:g}: give 1 <= min_s <= max_s < 3600")


@dataclass(frozen=True)
class Span:
    """A piece of a film, its end in the middle of its last frame's time on screen, so no next scene is touched."""

    start_s: float
    end_s: float


@runtime_checkable
class CutFinder(Protocol):
    """Finds cuts in frames that come one by one."""

    @property
    def settled_s(self) -> float:
        """No cut that is told later ends at this second or before."""

    def add(self, pixels: UInt8[np.ndarray, "height width 3"], time_s: float) -> Sequence[Cut]:
        """Take the next frame and return the cuts that are certain now."""

    def end(self) -> Sequence[Cut]:
        """Return the rest, of a film that ends there."""


class RuleFinder:
    """Finds cuts by rules over what a meter measured; whoever adds frames shows them to the meter first."""

    def __init__(self, meter: ChangesMeter, rule: CutRule) -> None:
        self._meter, self._rule = meter, rule
        self._look_at_s: float | None = None
        self.settled_s = -np.inf

    def add(self, _: UInt8[np.ndarray, "height width 3"], time_s: float) -> Sequence[Cut]:
        """Return the cuts that are certain once a frame of this second was shown."""
        if self._look_at_s is None:
            self._look_at_s = time_s + _EVERY_S + _BEHIND_S
        if time_s < self._look_at_s:
            return ()
        self._look_at_s += _EVERY_S
        return self._settle(time_s - _BEHIND_S)

    def end(self) -> Sequence[Cut]:
        """Return the rest, of a film that ends there."""
        return self._settle(np.inf)

    def _settle(self, until_s: float) -> list[Cut]:
        found = find_cuts(self._meter.since(self.settled_s - _CONTEXT_S), self._rule)
        cuts = [cut for cut in found if self.settled_s < cut.end_s <= until_s]
        self.settled_s = until_s
        return cuts


class Cutter:
    """Finds clips in frames that come one by one.

    >>> cutter = Cutter(CutSettings())
    >>> for time_s, pixels in small_frames:
    ...     spans += cutter.add(pixels, time_s)
    >>> spans += cutter.end(duration_s)

    Args:
        settings: Which pieces become clips.
        finder: Finds cuts; None for the rules.

    Attributes:
        meter: What changed, of the frames from `open_since_s` on.
        num_short: Scenes that were too short for a clip.
    """

    def __init__(self, settings: CutSettings, finder: CutFinder | None = None) -> None:
        self.settings = settings
        self.meter = ChangesMeter()
        self.num_short = 0
        self._finder = RuleFinder(self.meter, settings.rule) if finder is None else finder
        self._start_s: float | None = None

    @property
    def open_since_s(self) -> float:
        """No span that is still to come starts before."""
        return 0.0 if self._start_s is None else self._start_s

    def add(self, pixels: UInt8[np.ndarray, "height width 3"], time_s: float) -> list[Span]:
        """Take the next frame, of about 160 x 90 px, and return the clips that are certain now."""
        self.meter.add(pixels, time_s)
        if self._start_s is None:
            self._start_s = time_s
        spans = self._part(self._finder.add(pixels, time_s))
        while self._finder.settled_s - self.open_since_s >= self.settings.max_s + self.settings.min_s:
            spans.append(self._split())
        return spans

    def end(self, duration_s: float) -> list[Span]:
        """Return the rest, of a film that ends there."""
        if self._start_s is None:
            return []
        return [*self._part(self._finder.end()), *self._close(duration_s)]

    def forget(self, before_s: float) -> None:
        """Let go of what changed before a second, as far as cuts do not depend on it."""
        self.meter.forget(min(before_s, self._finder.settled_s - _CONTEXT_S))

    def _part(self, cuts: Sequence[Cut]) -> list[Span]:
        """Return the clips of the scenes that end with these cuts."""
        spans: list[Span] = []
        for cut in cuts:
            if cut.end_s > self.open_since_s:
                spans += self._close(self._end_before(cut))
                self._start_s = cut.end_s
        return spans

    def _end_before(self, cut: Cut) -> float:
        if cut.kind is not CutKind.HARD:
            return cut.start_s
        return (self.meter.shown_before(cut.start_s) + cut.start_s) / 2

    def _close(self, end_s: float) -> list[Span]:
        """Return the clips of the scene that ends there."""
        spans: list[Span] = []
        while end_s - self.open_since_s >= self.settings.max_s + self.settings.min_s:
            spans.append(self._split())
        start_s = self.open_since_s
        length_s, most_s, least_s = end_s - start_s, self.settings.max_s, self.settings.min_s
        if least_s <= length_s <= most_s:
            return [*spans, Span(start_s, end_s)]
        if length_s > most_s and length_s >= 2 * least_s:
            middle_s = (start_s + end_s) / 2
            return [*spans, Span(start_s, middle_s), Span(middle_s, end_s)]
        self.num_short += 1  # the scene, or what is left behind the longest clip
        return spans if length_s < least_s else [*spans, Span(start_s, start_s + most_s)]

    def _split(self) -> Span:
        """Cut off the longest clip: the rest stays long enough to be one of its own."""
        start_s = self.open_since_s
        self._start_s = start_s + self.settings.max_s
        return Span(start_s, self._start_s)


def clip_id(content: str, span: Span) -> str:
    """Return the hash of a video's content and a span, to the millisecond."""
    text = f"{content}\0{round(span.start_s * 1000)}\0{round(span.end_s * 1000)}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]
