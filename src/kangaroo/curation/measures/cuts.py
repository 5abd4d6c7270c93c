"""Find where one shot ends and the next begins, from what `measure_changes` kept of a film.

A hard cut is one frame that changes far more than its neighbours do, in its pixels (the adaptive rule) or in its
colours (which motion leaves alone, so that a fast pan is no cut). In a fade contrast goes down to nothing and comes up
again, step by step. A dissolve is a stretch in which every picture is a mixture of the stretch's two ends. All
thresholds are ours, set on films whose cuts are known. Axes: frame, cell (colour of a place of the thumbnail).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int

from kangaroo.curation.measures.changes import Changes
from kangaroo.errors import OptionError

_STEPS_PER_S = 12  # of the grid that gradual changes are looked for on
_CLOSE_S = 0.3  # the ends of gradual changes are known no better
_LEAST_SLOPE = 4  # frames; what goes at once is a cut to an empty picture
_BLOCK = 4096  # grid steps that are compared at once: bounds memory on long films


class CutKind(StrEnum):
    """How one shot gives way to the next: at once, through an empty picture, or by mixing."""

    HARD = "hard"
    FADE = "fade"
    DISSOLVE = "dissolve"


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A change of shot: the old one is whole until `start_s`, the new one from `end_s`; equal for a hard cut."""

    kind: CutKind
    start_s: float
    end_s: float

    @property
    def time_s(self) -> float:
        """The middle; of a hard cut the first frame of the new shot."""
        return (self.start_s + self.end_s) / 2

    @property
    def length_s(self) -> float:
        """Seconds in which neither shot is whole."""
        return self.end_s - self.start_s


@dataclass(frozen=True, kw_only=True)
class CutRule:
    """When a change is a cut.

    Attributes:
        contrast: How many times its neighbours' change a hard cut's must be.
        moved: Least mean difference of a hard cut's pixels, in levels.
        recoloured: Or least share of its pixels with new colours.
        flash_frames: What comes back after so many frames was a flash, no cut.
        mixed: Least mean difference of a gradual change's ends, in levels.
        unmixed: The share of a gradual change that may be something other than mixing: motion, noise.
        longest_s: The longest gradual change.
        empty: A picture whose cells differ by less (standard deviation, levels) shows nothing.
    """

    contrast: float = 3.0
    moved: float = 9.0
    recoloured: float = 0.3
    flash_frames: int = 4
    mixed: float = 14.0
    unmixed: float = 0.25
    longest_s: float = 3.0
    empty: float = 5.0

    def __post_init__(self) -> None:
        if not 0.5 <= self.longest_s <= 3:
            raise OptionError(f"longest_s is {self.longest_s:g}; give 0.5 to 3")
        for name in ("contrast", "moved", "recoloured", "flash_frames", "mixed", "unmixed", "empty"):
            if not getattr(self, name) >= 0:
                raise OptionError(f"{name} is {getattr(self, name):g}; give 0 or more")


@dataclass(frozen=True, kw_only=True)
class NetworkRule:
    """When the word of a network that others trained is a cut.

    Attributes:
        probability: Least probability of a shot's end, and of a frame's being part of a change.
        empty: A picture whose pixels differ by less (standard deviation, levels of 0 to 255) shows nothing.
    """

    probability: float = 0.5
    empty: float = 6.0

    def __post_init__(self) -> None:
        if not 0 < self.probability < 1:
            raise OptionError(f"probability is {self.probability:g}; give more than 0 and less than 1")
        if not self.empty >= 0:
            raise OptionError(f"empty is {self.empty:g}; give 0 or more")


def find_cuts(changes: Changes, rule: CutRule = CutRule()) -> tuple[Cut, ...]:
    """Return all changes of shot, in order.

    >>> find_cuts(measure_changes([frames]))
    """
    if len(changes) < 3:
        return ()
    hard = _hard_cuts(changes, rule)
    times_s = changes.times_s
    cuts = [Cut(kind=CutKind.HARD, start_s=float(times_s[at]), end_s=float(times_s[at])) for at in hard]
    for first, last in _mixtures(changes, rule):
        if not any(times_s[first] < cut.time_s <= times_s[last] for cut in cuts if cut.kind is CutKind.HARD):
            cuts.append(Cut(kind=CutKind.DISSOLVE, start_s=float(times_s[first]), end_s=float(times_s[last])))
    fades = _fades(changes, rule)
    cuts = [cut for cut in cuts if all(abs(cut.time_s - fade.time_s) > fade.length_s / 2 + _CLOSE_S for fade in fades)]
    return tuple(_through_empty(sorted((*cuts, *fades), key=lambda cut: cut.time_s), changes, rule))


def _hard_cuts(changes: Changes, rule: CutRule) -> list[int]:
    by_pixels = _stands_out(changes.moved, rule.moved, rule.contrast)
    by_colours = _stands_out(changes.recoloured, rule.recoloured, rule.contrast)
    thumbs = _cells(changes)
    kept: list[int] = []
    flash_until = 0
    for at in map(int, np.flatnonzero(by_pixels | by_colours)):
        if at <= flash_until:
            continue
        back = [later for later in range(at + 1, at + 1 + rule.flash_frames) if _comes_back(thumbs, at, later)]
        if back:
            flash_until = back[0]
        elif not kept or at - kept[-1] > 1:
            kept.append(at)
        elif changes.moved[at] > changes.moved[kept[-1]]:
            kept[-1] = at  # a mixed frame between two shots changes twice: the greater change is the cut
    return kept


def _stands_out(change: Float32[np.ndarray, " frame"], least: float, contrast: float) -> Bool[np.ndarray, " frame"]:
    """Whether a frame's change is large, and so many times the mean of two frames before and two after."""
    padded = np.pad(change, 2, mode="reflect")
    padded[:3] = padded[3]  # the first frame has nothing before it: its 0 is no measure
    around = (padded[:-4] + padded[1:-3] + padded[3:-1] + padded[4:]) / 4
    return (change >= least) & (change >= contrast * around)


def _comes_back(thumbs: Float32[np.ndarray, "frame cell"], at: int, later: int) -> bool:
    """Whether the picture before a change is there again later."""
    if at < 1 or later >= len(thumbs):
        return False
    left = np.abs(thumbs[at] - thumbs[at - 1]).mean()
    return bool(np.abs(thumbs[later] - thumbs[at - 1]).mean() < 0.3 * left)


def _cells(changes: Changes) -> Float32[np.ndarray, "frame cell"]:
    return changes.thumbs.reshape(len(changes), -1).astype(np.float32)


def _mixtures(changes: Changes, rule: CutRule) -> list[tuple[int, int]]:
    """First and last frame of every stretch that mixes its ends, the best of those that overlap."""
    grid = _grid(changes.times_s)
    found: list[tuple[float, int, int]] = []
    for span in _spans(rule.longest_s):
        for start in range(0, len(grid) - span, _BLOCK):
            found += _mixing(_cells_at(changes, grid, start, span), start, span, rule)
    taken: list[tuple[int, int]] = []
    for _, first, last in sorted(found, reverse=True):
        if all(last <= other_first or first >= other_last for other_first, other_last in taken):
            taken.append((first, last))
    return sorted((int(grid[first]), int(grid[last])) for first, last in taken)


def _grid(times_s: Float64[np.ndarray, " frame"]) -> Int[np.ndarray, " step"]:
    """The frame on screen at every twelfth of a second."""
    wanted = np.arange(times_s[0], times_s[-1] + 1e-6, 1 / _STEPS_PER_S)
    return np.searchsorted(times_s, wanted + 1e-6, side="right") - 1


def _spans(longest_s: float) -> Iterator[int]:
    span = 4
    while span <= longest_s * _STEPS_PER_S:
        yield span
        span = 4 * round(span * 1.4 / 4) if span >= 8 else span + 4


def _cells_at(
    changes: Changes, grid: Int[np.ndarray, " step"], start: int, span: int
) -> Float32[np.ndarray, "seen cell"]:
    """The block's steps, with half a span on both sides (the film's ends repeated) to see whether all is calm there."""
    wanted = np.arange(start - span // 2, min(start + _BLOCK, len(grid) - span) + span + span // 2)
    frames = grid[np.clip(wanted, 0, len(grid) - 1)]
    return changes.thumbs[frames].reshape(len(wanted), -1).astype(np.float32)


def _mixing(
    cells: Float32[np.ndarray, "step cell"], start: int, span: int, rule: CutRule
) -> Iterable[tuple[float, int, int]]:
    half = span // 2
    inner = cells[half : len(cells) - half]
    number = len(inner) - span
    first, last = inner[:number], inner[span:]
    way = last - first
    length = np.sqrt((way**2).sum(axis=1)) + 1e-6
    differs = np.abs(way)
    total = differs.mean(axis=1)
    calm = np.abs(first - cells[:number]).mean(axis=1) + np.abs(cells[len(cells) - number :] - last).mean(axis=1)
    good = (total >= rule.mixed) & (calm <= 0.5 * total) & ((differs > 6).mean(axis=1) >= 0.4)
    score = total.copy()
    for part in (0.25, 0.5, 0.75):
        between = inner[round(part * span) :][:number] - first
        share = (between * way).sum(axis=1) / length**2
        other = np.sqrt(np.maximum((between**2).sum(axis=1) - (share * length) ** 2, 0)) / length
        good &= (np.abs(share - part) <= 0.2) & (other <= rule.unmixed)
        score -= total * (other + np.abs(share - part))
    return [(float(score[at]), start + int(at), start + int(at) + span) for at in np.flatnonzero(good)]


def _contrast(changes: Changes) -> Float32[np.ndarray, " frame"]:
    """How much the cells of each picture differ, in levels."""
    return changes.thumbs.reshape(len(changes), -1, 3).std(axis=1, dtype=np.float32).mean(axis=1)


def _fades(changes: Changes, rule: CutRule) -> list[Cut]:
    """Changes of shot whose contrast goes down to nothing and comes up again, step by step on one side at least."""
    contrast, times_s, cells = _contrast(changes), changes.times_s, _cells(changes)
    most = int(np.searchsorted(times_s, times_s[0] + rule.longest_s))
    edges = np.flatnonzero(np.diff(contrast < rule.empty))
    found = []
    for first, last in pairwise(edges):
        if contrast[last] >= rule.empty:
            continue  # between two empty stretches
        start, end = first + 1 - _slope(contrast[first + 1 :: -1], most), last + _slope(contrast[last:], most)
        away = np.abs(cells[[start, end]] - cells[[first + 1, last]])
        changed = (away.mean(axis=1) >= rule.mixed) & ((away > 6).mean(axis=1) >= 0.4)
        if changed.all() and max(first + 1 - start, end - last) >= _LEAST_SLOPE:
            found.append(Cut(kind=CutKind.FADE, start_s=float(times_s[start]), end_s=float(times_s[end])))
    return found


def _slope(contrast: Float32[np.ndarray, " frame"], most: int) -> int:
    """Return for how many frames, up to so many, contrast rises: by three in a hundred within three frames."""
    steps = 0
    while steps < min(most, len(contrast) - 3) and contrast[steps + 3] >= 1.03 * contrast[steps] + 0.3:
        steps += 1
    return steps


def _through_empty(cuts: list[Cut], changes: Changes, rule: CutRule) -> Iterator[Cut]:
    """Join the two changes around an empty stretch: away to black and back is one change of shot."""
    empty = _contrast(changes) < rule.empty
    waiting: Cut | None = None
    for cut in cuts:
        if waiting is None:
            waiting = cut
            continue
        first, last = np.searchsorted(changes.times_s, (waiting.end_s, cut.start_s))
        gap = empty[first : last if cut.kind is CutKind.HARD else last + 1]
        near = empty[slice(*np.searchsorted(changes.times_s, (waiting.end_s - _CLOSE_S, cut.start_s + _CLOSE_S)))]
        if (len(gap) and gap.all()) or (near.any() and cut.start_s - waiting.end_s <= _CLOSE_S):
            waiting = Cut(kind=CutKind.FADE, start_s=waiting.start_s, end_s=cut.end_s)
        else:
            yield waiting
            waiting = cut
    if waiting is not None:
        yield waiting
