"""Measure what is wrong with a clip as a picture: black bars, blackness, stillness to the pixel, blur.

Axes: frame, row, column.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from kangaroo.curation.measures.changes import Changes
from kangaroo.errors import OptionError
from kangaroo.video.frames import Frames

_BAR = 28.0  # levels; bars are 16 or 0, more with what compression spills into them
_LEAST_BAR = 0.02  # of the side: less is a border, and cutting it off would not matter
_BLACK_PART = 0.75  # of a bar's pixels at least
_BLUR_WIDTH_PX = 320  # blur is told at one size, so that films of all sizes compare
_BLUR_REACH = 9


@dataclass(frozen=True, kw_only=True)
class Box:
    """Where the picture is without its black bars, in shares of the frame's sides."""

    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0

    @property
    def share(self) -> float:
        """Of the frame's area."""
        return (self.right - self.left) * (self.bottom - self.top)

    def crop(self, frames: Frames) -> Frames:
        """Return the picture without its bars."""
        height, width = frames.pixels.shape[1:3]
        rows = slice(round(self.top * height), round(self.bottom * height))
        columns = slice(round(self.left * width), round(self.right * width))
        return Frames(pixels=frames.pixels[:, rows, columns], times_s=frames.times_s, notes=frames.notes)


@dataclass(frozen=True, kw_only=True)
class TechnicalRule:
    """When a frame counts as black or frozen.

    Attributes:
        black: A frame is black whose mean is darker, in levels.
        frozen: A frame is the one before it again if its pixels differ by less, in levels.
    """

    black: float = 20.0
    frozen: float = 0.1

    def __post_init__(self) -> None:
        for name in ("black", "frozen"):
            if not 0 <= getattr(self, name) <= 255:
                raise OptionError(f"{name} is {getattr(self, name):g}; give levels, 0 to 255")


@dataclass(frozen=True, kw_only=True)
class Technical:
    """What a clip is like as a picture.

    Attributes:
        picture_share: Of the frame's area, without black bars.
        black_share: Of the clip's frames.
        frozen_share: Of the clip's frames that are the frame before again.
        longest_frozen_s: The longest time for which nothing changes.
        blur: How little a further blur takes away, in the middle of the frames: 0 sharp to 1 without any edge.
        contrast: Standard deviation of brightness, in levels, in the middle of the frames.
    """

    picture_share: float
    black_share: float
    frozen_share: float
    longest_frozen_s: float
    blur: float
    contrast: float


def find_picture(frames: Frames) -> Box:
    """Return the frame without the black bars that all frames share; the whole frame where all is black.

    A row is part of a bar if three in four of its pixels are black in every frame, so a subtitle laid over a bar does
    not make it a picture.
    """
    grey = np.stack([cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) for pixels in frames.pixels])
    lit = grey > _BAR
    rows = (lit.mean(axis=2) > 1 - _BLACK_PART).any(axis=0)
    columns = (lit.mean(axis=1) > 1 - _BLACK_PART).any(axis=0)
    if not rows.any() or not columns.any():
        return Box()
    (top, bottom), (left, right) = _edges(rows), _edges(columns)
    return Box(left=left, top=top, right=right, bottom=bottom)


def _edges(lit: np.ndarray) -> tuple[float, float]:
    first, last = np.flatnonzero(lit)[[0, -1]] / len(lit) + (0, 1 / len(lit))
    return float(first) if first >= _LEAST_BAR else 0.0, float(last) if last <= 1 - _LEAST_BAR else 1.0


def measure_technical(
    stills: Frames, changes: Changes, *, picture: Box = Box(), rule: TechnicalRule = TechnicalRule()
) -> Technical:
    """Return what a clip is like as a picture.

    Args:
        stills: A few frames of the clip, at least 320 px wide if blur is to be told.
        changes: What changes in all of the clip's frames.
        picture: The frame without its bars, from `find_picture`.
        rule: When a frame counts as black or frozen.
    """
    inside = [cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) for pixels in picture.crop(stills).pixels]
    frozen = changes.moved[1:] < rule.frozen
    return Technical(
        picture_share=picture.share,
        black_share=float((changes.light < rule.black).mean()) if len(changes) else 0.0,
        frozen_share=float(frozen.mean()) if len(frozen) else 0.0,
        longest_frozen_s=_longest_s(frozen, changes.times_s),
        blur=float(np.median([_blur(grey) for grey in inside])),
        contrast=float(np.median([grey.std() for grey in inside])),
    )


def _longest_s(frozen: np.ndarray, times_s: np.ndarray) -> float:
    steps = np.diff(np.concatenate(([0], frozen.astype(int), [0])))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return float((times_s[ends] - times_s[starts]).max()) if len(starts) else 0.0


def _blur(grey: UInt8[np.ndarray, "row column"]) -> float:
    """The share of neighbour differences that survives a blur (Crete and others, 2007), the worse of both ways."""
    height, width = grey.shape
    size = _BLUR_WIDTH_PX, max(1, round(height * _BLUR_WIDTH_PX / width))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    left = []
    for axis, kernel in ((0, (1, _BLUR_REACH)), (1, (_BLUR_REACH, 1))):
        sharp = np.abs(np.diff(small, axis=axis))
        soft = np.abs(np.diff(cv2.blur(small, kernel), axis=axis))
        total = float(sharp.sum())
        left.append(1 - float(np.maximum(sharp - soft, 0).sum()) / total if total else 1.0)
    return max(left)
