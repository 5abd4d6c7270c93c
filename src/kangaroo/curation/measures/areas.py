"""How much of a picture a set of shapes covers, what overlaps counted once.

Shapes are convex polygons in shares of the picture: x and y from 0 to 1, so that they mean the same at every size.
Axes: shape, corner, (x, y); row, column.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool

Polygon = tuple[tuple[float, float], ...]
GRID_PX = (288, 512)  # fine enough that a line of text three hundredths high is measured to a hundredth of its area


def union_mask(polygons: Iterable[Polygon], *, height_px: int, width_px: int) -> Bool[np.ndarray, "row column"]:
    """Return which pixels have their middle inside at least one polygon."""
    mask = np.zeros((height_px, width_px), dtype=bool)
    for polygon in polygons:
        corners = np.array(polygon) * (width_px, height_px)
        left, top = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (width_px, height_px))
        right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, (width_px, height_px))
        x = np.arange(left, right)[None, :] + 0.5
        y = np.arange(top, bottom)[:, None] + 0.5
        sides = [
            (after[0] - corner[0]) * (y - corner[1]) - (after[1] - corner[1]) * (x - corner[0])
            for corner, after in zip(corners, np.roll(corners, -1, axis=0), strict=True)
        ]
        inside = np.all([side >= 0 for side in sides], axis=0) | np.all([side <= 0 for side in sides], axis=0)
        mask[top:bottom, left:right] |= inside
    return mask


def union_share(polygons: Sequence[Polygon]) -> float:
    """Return the share of the picture that the polygons cover together."""
    height_px, width_px = GRID_PX
    return float(union_mask(polygons, height_px=height_px, width_px=width_px).mean()) if polygons else 0.0


def rectangle(left: float, top: float, right: float, bottom: float) -> Polygon:
    """Return an upright rectangle as a polygon."""
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def overlap(one: Polygon, other: Polygon) -> float:
    """Return the bounding rectangles' common area over their joint area: 1 for the same place, 0 for apart."""
    (first_low, first_high), (second_low, second_high) = _bounds(one), _bounds(other)
    sides = np.minimum(first_high, second_high) - np.maximum(first_low, second_low)
    common = float(np.prod(np.maximum(sides, 0)))
    joint = float(np.prod(first_high - first_low) + np.prod(second_high - second_low)) - common
    return common / joint if joint > 0 else 0.0


def _bounds(polygon: Polygon) -> tuple[np.ndarray, np.ndarray]:
    corners = np.array(polygon)
    return corners.min(axis=0), corners.max(axis=0)
