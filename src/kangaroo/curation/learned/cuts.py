"""Find where one shot gives way to the next with TransNet V2, in frames that come one by one.

Of each frame the network tells whether the old shot ends in it and whether it belongs to a change of shot. A run of
frames that belong to a change, in one of which a shot ends, is a cut; two such runs around an empty picture are one
fade. torch is imported when a cutter is made. Axes: frame, row, column.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from kangaroo.curation.measures.cuts import Cut, CutKind, NetworkRule
from kangaroo.video.frames import Frames

VERSION = 1
_HARD_FRAMES = 3  # a hard cut marks the frames on its two sides, or a mixed one between them too
_CLOSE_S = 0.3  # the ends of fades are known no better
_MARGIN = 25  # of a window's hundred frames the network is sure of the middle fifty


class LearnedCutter:
    """Finds changes of shot in frames that come one by one; they are told some hundred frames later.

    >>> cutter = LearnedCutter(find_weights(CUTS))
    >>> for pixels, time_s in small_frames:
    ...     cuts += cutter.add(pixels, time_s)
    >>> cuts += cutter.end()

    Args:
        path: TransNet V2's weights.
        settings: When its word is a cut.
    """

    def __init__(self, path: Path, settings: NetworkRule = NetworkRule()) -> None:
        from kangaroo.curation.learned.networks.transnet import SIZE_PX, TransNet

        self._network, self._size_px = TransNet.load(path), SIZE_PX
        self._window: list[np.ndarray] = []
        self._times_s: list[float] = []  # of the frames that nothing is known of yet
        self._changes = _Changes(settings)

    def add(self, pixels: UInt8[np.ndarray, "row column 3"], time_s: float) -> list[Cut]:
        """Take the next frame, of any size, and return the cuts that are certain now."""
        small = cv2.resize(pixels, self._size_px[::-1], interpolation=cv2.INTER_AREA)
        self._window += [small] * (1 if self._window else 1 + _MARGIN)
        self._times_s.append(time_s)
        return self._look() if len(self._window) == 4 * _MARGIN else []

    @property
    def settled_s(self) -> float:
        """No cut that is told later ends at this second or before."""
        return min([*self._times_s[:1], *self._changes.open_s], default=-np.inf)

    def end(self) -> list[Cut]:
        """Return the rest, of a film that ends there."""
        cuts: list[Cut] = []
        while self._times_s:
            self._window += [self._window[-1]] * (4 * _MARGIN - len(self._window))
            cuts += self._look()
        return cuts + self._changes.end()

    def _look(self) -> list[Cut]:
        import torch

        seen = np.stack(self._window)
        ends, changing = self._network(torch.from_numpy(seen))
        middle = slice(_MARGIN, 3 * _MARGIN)
        rows = zip(self._times_s, ends[middle].tolist(), changing[middle].tolist(), seen[middle], strict=False)
        cuts = [cut for row in rows for cut in self._changes.add(*row)]
        del self._window[: 2 * _MARGIN], self._times_s[: 2 * _MARGIN]
        return cuts


def find_learned_cuts(chunks: Iterable[Frames], path: Path, settings: NetworkRule = NetworkRule()) -> tuple[Cut, ...]:
    """Return all changes of shot of a film, in order, as `find_cuts` does.

    >>> find_learned_cuts([frames], find_weights(CUTS))
    """
    cutter = LearnedCutter(path, settings)
    pairs = (
        (pixels, time_s) for frames in chunks for pixels, time_s in zip(frames.pixels, frames.times_s, strict=True)
    )
    cuts = [cut for pixels, time_s in pairs for cut in cutter.add(pixels, float(time_s))]
    return (*cuts, *cutter.end())


@dataclass(frozen=True, kw_only=True)
class _Change:
    """A run of frames that belong to a change of shot.

    Attributes:
        start_s: Of its first frame.
        end_s: Of the first frame after it.
        ends: The greatest probability that the shot ends in one of its frames.
        new_s: Of the frame after the one with that probability.
        num_frames: Its length.
        is_empty: Whether one of its pictures shows nothing.
    """

    start_s: float
    end_s: float
    ends: float
    new_s: float
    num_frames: int
    is_empty: bool

    def then(self, other: "_Change") -> "_Change":
        """Return both and what is between them as one change through an empty picture."""
        ends, new_s = max((self.ends, self.new_s), (other.ends, other.new_s))
        num_frames = self.num_frames + other.num_frames + _HARD_FRAMES  # whatever they are, the whole is gradual
        return _Change(
            start_s=self.start_s, end_s=other.end_s, ends=ends, new_s=new_s, num_frames=num_frames, is_empty=True
        )

    def cut(self) -> Cut:
        """Return it as what it is."""
        if self.num_frames <= _HARD_FRAMES:
            return Cut(kind=CutKind.HARD, start_s=self.new_s, end_s=self.new_s)
        kind = CutKind.FADE if self.is_empty else CutKind.DISSOLVE
        return Cut(kind=kind, start_s=self.start_s, end_s=self.end_s)


class _Changes:
    """Joins frames that belong to a change into cuts, and two changes around an empty picture into a fade."""

    def __init__(self, settings: NetworkRule) -> None:
        self._settings = settings
        self._run: list[tuple[float, float, bool]] = []  # seconds, probability of an end, whether the picture is empty
        self._waiting: _Change | None = None  # for another behind an empty stretch
        self._is_empty = False  # whether a picture since then was
        self._full_s = np.inf  # when one was not for the first time

    def add(self, time_s: float, ends: float, changing: float, pixels: UInt8[np.ndarray, "row column 3"]) -> list[Cut]:
        """Take what is known of the next frame and return the cuts that are certain now."""
        is_empty = float(pixels.std(axis=(0, 1)).mean()) < self._settings.empty
        if max(ends, changing) >= self._settings.probability:
            self._run.append((time_s, ends, is_empty))
            return []
        told = self._meet(self._ended(time_s)) if self._run else []
        self._is_empty |= is_empty
        if self._waiting is not None and not is_empty and time_s > self._waiting.end_s + _CLOSE_S:
            self._full_s = min(self._full_s, time_s)
        return told + self._tell() if time_s > self._full_s + _CLOSE_S else told

    @property
    def open_s(self) -> list[float]:
        """The starts of what may still become cuts."""
        return [*(one[0] for one in self._run[:1]), *([] if self._waiting is None else [self._waiting.start_s])]

    def end(self) -> list[Cut]:
        """Return what waits; a change that no shot comes after is none."""
        return self._tell()

    def _ended(self, time_s: float) -> _Change:
        run, self._run = self._run, []
        times_s = [*(one[0] for one in run), time_s]
        at = max(range(len(run)), key=lambda place: run[place][1])
        return _Change(
            start_s=times_s[0], end_s=time_s, ends=run[at][1], new_s=times_s[at + 1], num_frames=len(run),
            is_empty=any(one[2] for one in run),
        )  # fmt: skip

    def _meet(self, change: _Change) -> list[Cut]:
        before, told = self._waiting, []
        if before is not None:
            is_empty = before.is_empty or self._is_empty or change.is_empty
            if is_empty and self._full_s >= change.start_s - _CLOSE_S:
                change = before.then(change)
            else:
                told = self._tell()
        self._waiting, self._is_empty, self._full_s = change, False, np.inf
        return told

    def _tell(self) -> list[Cut]:
        change, self._waiting, self._full_s = self._waiting, None, np.inf
        return [] if change is None or change.ends < self._settings.probability else [change.cut()]
