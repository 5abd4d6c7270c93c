"""Measure how much moves in a clip, and whether the camera or what it shows.

Flow is measured between frames shown shortly after one another: over half a second fast motion is lost. A place counts
as moving only if carrying its pixels along explains the change there, so noise is no motion. Speeds are in diagonals
of the frame a second, so that size and rate of a film do not matter.
Axes: pair, row, column, (x, y).
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from kangaroo.errors import OptionError
from kangaroo.video.frames import Frames

_WINDOW_PX = 9  # neighbourhood over which a change is judged
_LEAST_CHANGE = 2.0  # levels: what re-encoding alone changes
_EXPLAINED = 0.6  # what carrying along must leave at most of a change
_CELLS_MOVING, _CELL_KNOWN = 6, 0.02  # a camera moves so many ninths of the picture, each seen in so much of its area


@dataclass(frozen=True, kw_only=True)
class MotionRule:
    """What counts as moving.

    Attributes:
        moving: Least speed of a moving place, in diagonals a second.
        still_speed: A clip stands still whose mean speed is lower, in diagonals a second,
        still_share: and of which a smaller share moves.
    """

    moving: float = 0.005
    still_speed: float = 0.002
    still_share: float = 0.01

    def __post_init__(self) -> None:
        for name in ("moving", "still_speed", "still_share"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name} is {getattr(self, name):g}; give more than 0")


@dataclass(frozen=True, kw_only=True)
class Motion:
    """How a clip moves, means over its pairs of frames.

    Attributes:
        speed: Mean over the picture, in diagonals a second.
        fast: Ninth decile over the picture, in diagonals a second.
        moving_share: Of the picture's area.
        camera: Speed of the picture as a whole (shift, zoom, turn), in diagonals a second.
        object: Mean speed of what moves against the whole, in diagonals a second.
        activity: The clip stands still where this is below 1: its speed or moving share, whichever is more beside what
            the rule calls still.
    """

    speed: float
    fast: float
    moving_share: float
    camera: float
    object: float
    activity: float


def measure_motion(
    pairs: Frames, *, masked: Bool[np.ndarray, "row column"] | None = None, rule: MotionRule = MotionRule()
) -> Motion:
    """Return how much moves from the first to the second frame of each pair.

    About 320 px of width and pairs of two to four frames apart are meant.

    Args:
        pairs: Two frames shown shortly after one another, then two others, and so on.
        masked: Places that do not count, such as text; of the frames' size.
        rule: What counts as moving.

    Raises:
        OptionError: The number of frames is odd or nothing, or the two frames of a pair have one time.
    """
    if len(pairs) < 2 or len(pairs) % 2:
        raise OptionError(
            f"motion is measured on pairs of frames and {len(pairs)} frames were given; give an even number"
        )
    steps_s = np.diff(pairs.times_s)[::2]
    if (steps_s <= 0).any():
        raise OptionError("the two frames of a pair are shown at the same time; give frames with rising times")
    height, width = pairs.pixels.shape[1:3]
    counted = np.ones((height, width), dtype=bool) if masked is None else ~masked
    if not counted.any():
        return Motion(speed=0.0, fast=0.0, moving_share=0.0, camera=0.0, object=0.0, activity=0.0)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    grey = [cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) for pixels in pairs.pixels]
    diagonal_px = float(np.hypot(height, width))
    rows = [
        _measure(flow, before, after, counted, per_second=1 / (step_s * diagonal_px), rule=rule)
        for before, after, step_s in zip(grey[::2], grey[1::2], steps_s, strict=True)
    ]
    speed, fast, moving_share, camera, other = np.mean(rows, axis=0).tolist()
    activity = max(speed / rule.still_speed, moving_share / rule.still_share)
    return Motion(speed=speed, fast=fast, moving_share=moving_share, camera=camera, object=other, activity=activity)


def _measure(
    estimator: cv2.DISOpticalFlow,
    before: UInt8[np.ndarray, "row column"],
    after: UInt8[np.ndarray, "row column"],
    counted: Bool[np.ndarray, "row column"],
    *,
    per_second: float,
    rule: MotionRule,
) -> tuple[float, float, float, float, float]:
    flow = estimator.calc(before, after, None)
    known = _explains(flow, before, after) & counted
    camera = _camera(flow, known, before, after)
    speeds = np.where(known, _lengths(flow), 0.0)[counted] * per_second
    against, whole = speeds, np.zeros_like(speeds)
    if camera.any():
        against = np.where(known, _lengths(flow - camera), 0.0)[counted] * per_second
        whole = _lengths(camera)[counted] * per_second
    # where nothing tells how a flat place moves, it moves with the camera
    everywhere = np.maximum(speeds, np.where(known[counted], 0.0, whole))
    return (
        float(everywhere.mean()),
        float(np.percentile(everywhere, 90)),
        float((everywhere > rule.moving).mean()),
        float(whole.mean()),
        float(against.mean()),
    )


def _explains(
    flow: Float32[np.ndarray, "row column 2"],
    before: UInt8[np.ndarray, "row column"],
    after: UInt8[np.ndarray, "row column"],
) -> Bool[np.ndarray, "row column"]:
    """Where the picture changes, and carrying the pixels along leaves little of the change."""
    window = (_WINDOW_PX, _WINDOW_PX)
    change = cv2.blur(cv2.absdiff(before, after).astype(np.float32), window)
    left = cv2.blur(cv2.absdiff(before, _carry(after, flow)).astype(np.float32), window)
    return (change > _LEAST_CHANGE) & (left < _EXPLAINED * change)


def _carry(
    after: UInt8[np.ndarray, "row column"], flow: Float32[np.ndarray, "row column 2"]
) -> UInt8[np.ndarray, "row column"]:
    return cv2.remap(after, _places(*flow.shape[:2]) + flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@lru_cache(maxsize=4)
def _places(height: int, width: int) -> Float32[np.ndarray, "row column 2"]:
    sides = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    return np.stack(np.meshgrid(*sides), axis=-1)


def _camera(
    flow: Float32[np.ndarray, "row column 2"],
    known: Bool[np.ndarray, "row column"],
    before: UInt8[np.ndarray, "row column"],
    after: UInt8[np.ndarray, "row column"],
) -> Float32[np.ndarray, "row column 2"]:
    """The shift, zoom and turn of the whole picture; zero where only a part of it moves."""
    none = np.zeros_like(flow)
    cells = cv2.resize(known.astype(np.float32), (3, 3), interpolation=cv2.INTER_AREA)
    if (cells > _CELL_KNOWN).sum() < _CELLS_MOVING:
        return none
    rows, columns = (places[:: max(1, len(places) // 2000)] for places in np.nonzero(known))
    here = np.stack([columns, rows], axis=1).astype(np.float32)
    there = here + flow[rows, columns]
    matrix, inliers = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=1.0, maxIters=200)
    if matrix is None or inliers.mean() < 0.5:
        return none
    places = _places(*flow.shape[:2])
    camera = cv2.transform(places, (matrix - np.eye(2, 3)).astype(np.float32))
    # a still background speaks against a camera that moves
    left, change = cv2.absdiff(before, _carry(after, camera)).mean(), cv2.absdiff(before, after).mean()
    return camera if left < _EXPLAINED * change else none


def _lengths(flow: Float32[np.ndarray, "row column 2"]) -> Float32[np.ndarray, "row column"]:
    return cv2.magnitude(flow[..., 0], flow[..., 1])
