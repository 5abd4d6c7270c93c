"""Which pictures of a film are looked at, and how those are held that clips not yet finished may need.

Pictures lie on grids that count from the film's start, so that they do not depend on where it is cut.
Axes: frame, height, width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from jaxtyping import UInt8

from kangaroo.curation.clip import Clip
from kangaroo.curation.engine.step import Seen
from kangaroo.curation.measures.changes import SMALL_PX, ChangesMeter
from kangaroo.curation.measures.clips import Cutter, Span
from kangaroo.errors import OptionError
from kangaroo.video.frames import Frames
from kangaroo.video.scale import Scaler, transfer_of
from kangaroo.video.stream import Streamed

_STILLS_S, _GLANCES_S = 1.0, 0.5  # grids; of the stills a clip takes some, evenly
_Picture = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, kw_only=True)
class Look:
    """Which pictures of a clip the steps see.

    Attributes:
        stills_every_s: From one still to the next, at least 1, in long clips.
        num_stills: Of shorter clips, as far as a still a second gives them.
        stills_px: Their longer side; smaller films are not enlarged.
        pairs_every_s: From one pair to the next.
        pair_s: From the first picture of a pair to the second, or to the next frame where that is later.
        pairs_px: Their longer side.
    """

    stills_every_s: float = 3.0
    num_stills: int = 3
    stills_px: int = 640
    pairs_every_s: float = 1.0
    pair_s: float = 0.07
    pairs_px: int = 320

    def __post_init__(self) -> None:
        if not _STILLS_S <= self.stills_every_s < 3600 or self.num_stills < 1:
            raise OptionError(
                f"stills_every_s is {self.stills_every_s:g}, num_stills {self.num_stills}; give 1 or more of both"
            )
        if not 0 < self.pair_s < self.pairs_every_s <= 1:
            raise OptionError(
                f"pair_s is {self.pair_s:g}, pairs_every_s {self.pairs_every_s:g}; give 0 < pair_s < pairs_every_s <= 1"
            )
        for name in ("stills_px", "pairs_px"):
            if not 16 <= getattr(self, name) <= 4096:
                raise OptionError(f"{name} is {getattr(self, name)}; give 16 to 4096")


class Kept:
    """The pictures that clips not yet finished may need.

    Args:
        look: Which.
        film: Where they come from.
        shown_px: Its height and width as shown.
        needed: What steps want to see.
        cutter: Is shown every frame, and finds clips; None where they are known.
    """

    def __init__(
        self,
        look: Look,
        film: Streamed,
        *,
        shown_px: tuple[int, int],
        needed: frozenset[Seen],
        cutter: Cutter | None,
    ) -> None:
        self._look, self._needed, self._cutter = look, needed, cutter
        scalers = [
            Scaler(
                size_px=fitted_px(shown_px, side_px),
                pixel_aspect=film.pixel_aspect,
                transfer=transfer_of(film.color_trc),
            )
            for side_px in (look.stills_px, look.pairs_px)
        ]
        self._stills, self._pairs = _Grid(_STILLS_S, scalers[0]), _Grid(look.pairs_every_s, scalers[1])
        self._seconds: dict[float, tuple[float, _Picture]] = {}  # of pairs, by the times of the first pictures
        self._first_s, self._second_s = -np.inf, np.inf
        self._glances = _Grid(_GLANCES_S, None)
        self._meter = ChangesMeter() if cutter is None else cutter.meter
        self._small = VideoReformatter()
        self._turn = scalers[0].turn

    def offer(self, time_s: float, frame: VideoFrame, *, wanted: bool) -> Sequence[Span]:
        """Keep what is needed of a wanted frame, and return the clips that are certain with it."""
        spans: Sequence[Span] = ()
        if self._cutter is not None or self._needed & {Seen.CHANGES, Seen.GLANCES}:
            small = self._shrunk(frame)
            if self._cutter is not None:
                spans = self._cutter.add(small, time_s)
            else:
                self._meter.add(small, time_s)
            if self._glances.is_due(time_s) and wanted:
                self._glances.kept.append((time_s, np.ascontiguousarray(self._turn(frame).apply(small))))
        if self._stills.is_due(time_s) and wanted and Seen.STILLS in self._needed:
            self._stills.keep(time_s, frame)
        if Seen.PAIRS in self._needed:
            self._offer_pair(time_s, frame, wanted=wanted)
        return spans

    def _offer_pair(self, time_s: float, frame: VideoFrame, *, wanted: bool) -> None:
        if time_s >= self._second_s - 1e-6:
            self._seconds[self._first_s] = time_s, self._pairs.scaled(frame)
            self._second_s = np.inf
        if self._pairs.is_due(time_s) and wanted:
            self._pairs.keep(time_s, frame)
            self._first_s, self._second_s = time_s, time_s + self._look.pair_s

    def of(self, clip: Clip) -> Mapping[Seen, Any]:
        """Return what is seen of a clip."""
        stills = self._stills.inside(clip)
        wanted = min(
            len(stills), max(self._look.num_stills, round((clip.end_s - clip.start_s) / self._look.stills_every_s))
        )
        stills = [stills[int((at + 0.5) * len(stills) / wanted)] for at in range(wanted)]
        pairs = [(one, self._seconds.get(one[0])) for one in self._pairs.inside(clip)]
        whole = [(one, other) for one, other in pairs if other is not None and other[0] <= clip.end_s]
        return {
            Seen.STILLS: _frames(stills),
            Seen.PAIRS: _frames([picture for pair in whole for picture in pair]),
            Seen.GLANCES: _frames(self._glances.inside(clip)),
            Seen.CHANGES: self._meter.since(clip.start_s).between(clip.start_s, clip.end_s),
        }

    def forget(self, before_s: float) -> None:
        """Let go of what is older."""
        for grid in (self._stills, self._glances, self._pairs):
            grid.forget(before_s)
        for first_s in [one for one in self._seconds if one < before_s]:
            del self._seconds[first_s]
        if self._cutter is not None:
            self._cutter.forget(before_s)
        else:
            self._meter.forget(before_s)

    def _shrunk(self, frame: VideoFrame) -> _Picture:
        height, width = SMALL_PX
        # the nearest pixels: a sixth of the time that means would take, and means over pixels are all that is told
        small = self._small.reformat(
            frame, width=width, height=height, format="rgb24", interpolation=Interpolation.POINT
        )
        return small.to_ndarray()


class _Grid:
    """Pictures that stand first at or behind points of a grid."""

    def __init__(self, every_s: float, scaler: Scaler | None) -> None:
        self._every_s, self._scaler = every_s, scaler
        self._next_s = -np.inf
        self.kept: list[tuple[float, _Picture]] = []

    def is_due(self, time_s: float) -> bool:
        if time_s < self._next_s:
            return False
        self._next_s = (np.floor(time_s / self._every_s + 1e-9) + 1) * self._every_s
        return True

    def scaled(self, frame: VideoFrame) -> _Picture:
        assert self._scaler is not None, "somebody scales"
        return self._scaler.pixels(frame)

    def keep(self, time_s: float, frame: VideoFrame) -> None:
        self.kept.append((time_s, self.scaled(frame)))

    def inside(self, clip: Clip) -> list[tuple[float, _Picture]]:
        return [one for one in self.kept if clip.start_s <= one[0] <= clip.end_s]

    def forget(self, before_s: float) -> None:
        while self.kept and self.kept[0][0] < before_s:
            self.kept.pop(0)


def _frames(pictures: Sequence[tuple[float, _Picture]]) -> Frames:
    if not pictures:
        return Frames(pixels=np.zeros((0, 1, 1, 3), np.uint8), times_s=np.zeros(0))
    return Frames(
        pixels=np.stack([pixels for _, pixels in pictures]), times_s=np.array([time_s for time_s, _ in pictures])
    )


def fitted_px(shown_px: tuple[int, int], side_px: int) -> tuple[int, int]:
    """Return height and width of a picture whose longer side is to be no more than so many pixels."""
    height, width = shown_px
    scale = min(1.0, side_px / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
