"""Cut a film into clips while it is decoded: a clip is known soon after its last frame, so few frames are held.

Axes: frame, height, width.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from kangaroo.errors import OptionError

VERSION = 1
_NEIGHBOURS = 2  # frames on each side that a change is compared with


@dataclass(frozen=True, kw_only=True)
class CutSettings:
    """Where a film is cut and which pieces become clips.

    Attributes:
        min_s: Shorter scenes are left out.
        max_s: Longer scenes are split.
        change: A cut is where hue, saturation and brightness (0 to 255) change by this much on average.
        least_change: Or by this much, and
        times_neighbours: by so many times the changes around.
        gap_s: Cuts closer to the last one are none (flashes).
    """

    min_s: float = 2.0
    max_s: float = 60.0
    change: float = 27.0
    least_change: float = 15.0
    times_neighbours: float = 3.0
    gap_s: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.min_s <= self.max_s < 3600:
            raise OptionError(f"min_s {self.min_s:g} and max_s {self.max_s:g}: give 0 < min_s <= max_s < 3600")
        if not 0 <= self.least_change <= self.change <= 255:
            given = f"least_change {self.least_change:g}, change {self.change:g}"
            raise OptionError(f"{given}: give 0 <= least_change <= change <= 255")
        if self.times_neighbours < 1 or self.gap_s < 0:
            raise OptionError(f"times_neighbours {self.times_neighbours:g} is below 1, or gap_s {self.gap_s:g} below 0")


@dataclass(frozen=True)
class Span:
    """A piece of a film, its end in the middle of its last frame's time on screen, so no next scene is touched."""

    start_s: float
    end_s: float


class Cutter:
    """Finds clips in frames that come one by one.

    >>> cutter = Cutter(CutSettings())
    >>> for time_s, pixels in small_frames:
    ...     spans += cutter.add(pixels, time_s)
    >>> spans += cutter.end(duration_s)
    """

    def __init__(self, settings: CutSettings) -> None:
        self.settings = settings
        self.num_short = 0
        self._start_s: float | None = None
        self._last_cut_s = -np.inf
        self._times_s: list[float] = []
        self._changes: list[float] = []
        self._before: np.ndarray | None = None

    @property
    def open_since_s(self) -> float:
        """No span that is still to come starts before."""
        return 0.0 if self._start_s is None else self._start_s

    def add(self, pixels: UInt8[np.ndarray, "height width 3"], time_s: float) -> list[Span]:
        """Take the next small frame and return the clips that are certain now."""
        import cv2

        seen = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV_FULL)
        change = 0.0 if self._before is None else float(cv2.absdiff(seen, self._before).mean())
        self._before = seen
        if self._start_s is None:
            self._start_s = time_s
        self._times_s.append(time_s)
        self._changes.append(change)
        return self._decide() if len(self._times_s) > 2 * _NEIGHBOURS else []

    def end(self, duration_s: float) -> list[Span]:
        """Return the rest, of a film that ends there."""
        spans = []
        for _ in range(_NEIGHBOURS):  # the last frames get still neighbours
            self._times_s.append(np.inf)
            self._changes.append(0.0)
            spans += self._decide() if len(self._times_s) > 2 * _NEIGHBOURS else []
        return spans if self._start_s is None else [*spans, *self._close(self._start_s, duration_s)]

    def _decide(self) -> list[Span]:
        """Decide about the frame that has all its neighbours."""
        at = len(self._times_s) - 1 - _NEIGHBOURS
        time_s, change = self._times_s[at], self._changes[at]
        around = self._changes[at - _NEIGHBOURS : at] + self._changes[at + 1 : at + 1 + _NEIGHBOURS]
        stands_out = change >= self.settings.times_neighbours * max(float(np.mean(around)), 1e-9)
        is_cut = change >= self.settings.change or (change >= self.settings.least_change and stands_out)
        before_s = self._times_s[at - 1]
        del self._times_s[: at - _NEIGHBOURS], self._changes[: at - _NEIGHBOURS]
        assert self._start_s is not None, "the first frame opened a scene"
        if is_cut and time_s - self._last_cut_s >= self.settings.gap_s:
            spans = self._close(self._start_s, (before_s + time_s) / 2)
            self._start_s = self._last_cut_s = time_s
            return spans
        if self.settings.max_s + self.settings.min_s <= time_s - self._start_s:
            # the rest stays long enough to be a clip of its own
            middle_s = self._start_s + self.settings.max_s
            spans, self._start_s = [Span(self._start_s, middle_s)], middle_s
            return spans
        return []

    def _close(self, start_s: float, end_s: float) -> list[Span]:
        length_s, most_s = end_s - start_s, self.settings.max_s
        if length_s < self.settings.min_s:
            self.num_short += 1
            return []
        if length_s <= most_s:
            return [Span(start_s, end_s)]
        if length_s >= 2 * self.settings.min_s:
            middle_s = (start_s + end_s) / 2
            return [Span(start_s, middle_s), Span(middle_s, end_s)]
        self.num_short += 1  # what is left behind the longest clip
        return [Span(start_s, start_s + most_s)]


def clip_id(content: str, span: Span) -> str:
    """Return the hash of a video's content and a span, to the millisecond."""
    text = f"{content}\0{round(span.start_s * 1000)}\0{round(span.end_s * 1000)}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]
