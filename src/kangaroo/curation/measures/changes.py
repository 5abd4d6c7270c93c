"""What changes from frame to frame of a film, kept as a few numbers a frame: an hour is 60 MB, whatever its size.

A film is read once, small, in chunks; cuts, frozen stretches and blackness are all found in what this keeps.
Axes: frame, row, column, channel.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from kangaroo.video.frames import Frames

SMALL_PX = (90, 160)  # (height, width) that changes are measured at: smaller loses small objects, larger gains nothing
THUMB_PX = (9, 16)
_BINS = 8  # of each colour's brightness


@dataclass(frozen=True, kw_only=True, eq=False)
class Changes:
    """What each frame of a film shows beside the frame before; the first frame changes by 0.

    Attributes:
        times_s: When each frame is shown.
        moved: Mean absolute difference of the pixels' colours, in levels (0 to 255).
        recoloured: Share of pixels whose colour the frame before had no place for (0 to 1): blind to motion.
        light: Mean brightness, in levels.
        thumbs: The frame at 16 x 9 pixels.
    """

    times_s: Float64[np.ndarray, " frame"]
    moved: Float32[np.ndarray, " frame"]
    recoloured: Float32[np.ndarray, " frame"]
    light: Float32[np.ndarray, " frame"]
    thumbs: UInt8[np.ndarray, "frame 9 16 3"]

    def __len__(self) -> int:
        return len(self.times_s)

    def between(self, start_s: float, end_s: float) -> "Changes":
        """Return the frames shown from a second until before another."""
        first, last = np.searchsorted(self.times_s, (start_s, end_s))
        span = slice(int(first), int(last))
        return Changes(
            times_s=self.times_s[span],
            moved=self.moved[span],
            recoloured=self.recoloured[span],
            light=self.light[span],
            thumbs=self.thumbs[span],
        )


class ChangesMeter:
    """Measures frames as they come, and forgets those that nobody needs any more.

    >>> meter = ChangesMeter()
    >>> for pixels, time_s in small_frames:
    ...     meter.add(pixels, time_s)
    >>> meter.since(0.0)
    """

    def __init__(self) -> None:
        self._rows: list[tuple[float, float, float, float]] = []
        self._thumbs: list[np.ndarray] = []
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, pixels: UInt8[np.ndarray, "row column 3"], time_s: float) -> None:
        """Measure the next frame, of about 160 x 90 px: measures are means over pixels."""
        colours = _colours(pixels)
        thumb = cv2.resize(pixels, THUMB_PX[::-1], interpolation=cv2.INTER_AREA)
        moved = recoloured = 0.0
        if self._before is not None:
            moved = cv2.norm(pixels, self._before[0], cv2.NORM_L1) / pixels.size
            recoloured = float(cv2.norm(colours, self._before[1], cv2.NORM_L1)) / 2
        self._before = pixels, colours
        self._rows.append((time_s, moved, recoloured, float(thumb.mean())))
        self._thumbs.append(thumb)

    def since(self, start_s: float) -> Changes:
        """Return what was measured of frames shown at a second or later."""
        first = bisect_left(self._rows, start_s, key=lambda row: row[0])
        rows, thumbs = self._rows[first:], self._thumbs[first:]
        table = np.array(rows, dtype=np.float64).reshape(-1, 4)
        moved, recoloured, light = table[:, 1:].T.astype(np.float32)
        return Changes(
            times_s=table[:, 0],
            moved=moved,
            recoloured=recoloured,
            light=light,
            thumbs=np.stack(thumbs) if thumbs else np.zeros((0, *THUMB_PX, 3), np.uint8),
        )

    def shown_before(self, time_s: float) -> float:
        """Return when the last frame before a second was shown."""
        return self._rows[bisect_left(self._rows, time_s, key=lambda row: row[0]) - 1][0]

    def forget(self, before_s: float) -> None:
        """Let go of frames shown before a second."""
        first = bisect_left(self._rows, before_s, key=lambda row: row[0])
        del self._rows[:first], self._thumbs[:first]


def measure_changes(chunks: Iterable[Frames]) -> Changes:
    """Return what changes from frame to frame, chunks taken as one film.

    >>> changes = measure_changes([frames])
    """
    meter = ChangesMeter()
    for frames in chunks:
        for pixels, time_s in zip(frames.pixels, frames.times_s.tolist(), strict=True):
            meter.add(pixels, time_s)
    return meter.since(-np.inf)


def _colours(pixels: np.ndarray) -> np.ndarray:
    """Share of the pixels in each bin of colour space, neighbouring bins blurred so that a shade is no step."""
    counts = cv2.calcHist([pixels[::2, ::2]], [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3)
    for _ in range(3):  # the first axis is blurred and becomes the last
        counts = (counts.reshape(_BINS, -1).T @ _BLUR).reshape([_BINS] * 3)
    return counts / counts.sum()


def _blur() -> Float32[np.ndarray, "bin bin"]:
    """Return the weights 1, 2, 1 for each bin, what would fall off the ends staying there."""
    near = np.eye(_BINS) * 2 + np.eye(_BINS, k=1) + np.eye(_BINS, k=-1)
    near[[0, -1], [0, -1]] += 1
    return near.astype(np.float32)


_BLUR = _blur()
