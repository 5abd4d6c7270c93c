"""The pictures that films are drawn with: shapes as masks to be tinted, sprites as they are.

Axes: tile, layer (premultiplied red, green, blue; share that takes the tint; alpha), row, column.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float32
from torch import Tensor
from torch.nn import functional as F

from kangaroo.playground.noto import noto_tiles
from kangaroo.playground.pack import COLUMNS, TILE_PX
from kangaroo.playground.vocabulary import SHAPES, Style, sprites

OUTLINE_RGB = 0.15
OUTLINE_WIDTH = 0.025
_SUPERSAMPLE = 4


@cache
def atlas(tile_px: int = TILE_PX, style: Style = Style.FLUENT) -> Float32[Tensor, "tile layer row column"]:
    """Return every tile at a size: `TILE_PX` or a fraction of it, made by area averaging. Shapes come first.

    Raises:
        OptionError: The style's pictures are not installed.
    """
    if tile_px != TILE_PX:
        return F.adaptive_avg_pool2d(atlas(TILE_PX, style), tile_px)
    pictures = noto_tiles() if style is Style.NOTO else _sheet_tiles()
    tiles = np.concatenate([np.stack([_shape_tile(slug) for slug in SHAPES]), _in_layers(pictures)])
    return torch.from_numpy(tiles)


def _shape_tile(slug: str) -> np.ndarray:
    side = TILE_PX * _SUPERSAMPLE
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(axis, axis)
    # every distance is below 0 inside, in tile widths
    distance = _distance(slug, x * 1.05, y * 1.05) / 2
    outer = rearrange((distance < 0).astype(np.float32), "(r a) (c b) -> r c (a b)", a=_SUPERSAMPLE, b=_SUPERSAMPLE)
    inner = rearrange(
        (distance < -OUTLINE_WIDTH).astype(np.float32), "(r a) (c b) -> r c (a b)", a=_SUPERSAMPLE, b=_SUPERSAMPLE
    )
    alpha, tint = outer.mean(-1), inner.mean(-1)
    rim = (alpha - tint) * OUTLINE_RGB
    return np.stack([rim, rim, rim, tint, alpha])


def _distance(slug: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a signed distance (exact or a bound) to a shape that fits a circle of radius 0.9; y grows downward."""
    radius = np.hypot(x, y)
    match slug:
        case "circle":
            return radius - 0.85
        case "square":
            return np.maximum(abs(x), abs(y)) - 0.72
        case "triangle":
            return _polygon(x, y, sides=3, turn=0.0) * 1.0
        case "star":
            return _star(x, y)
        case "heart":
            return _heart(x, y)
        case "diamond":
            return (abs(x) / 0.62 + abs(y) / 0.92 - 1) * 0.5
        case "cross":
            return np.minimum(np.maximum(abs(x) - 0.28, abs(y) - 0.85), np.maximum(abs(y) - 0.28, abs(x) - 0.85))
        case "ring":
            return abs(radius - 0.62) - 0.24
        case "moon":
            return np.maximum(radius - 0.88, 0.72 - np.hypot(x - 0.42, y))
        case "hexagon":
            return _polygon(x, y, sides=6, turn=np.pi / 6)
        case "arrow":
            shaft = np.maximum(abs(y) - 0.22, np.maximum(-x - 0.9, x - 0.1))
            head = np.maximum(-x - 0.0, (x + abs(y) * 1.15 - 0.92) * 0.66)
            return np.minimum(shaft, head)
        case "bowl":
            return np.maximum(np.hypot(x, y + 0.35) - 0.9, -(y + 0.35))
        case _:
            raise AssertionError(f"no drawing of {slug}")


def _polygon(x: np.ndarray, y: np.ndarray, *, sides: int, turn: float) -> np.ndarray:
    """Return the distance to a regular polygon with a corner at the top (turned clockwise by `turn`)."""
    inner = 0.88 * np.cos(np.pi / sides)
    centres = np.pi / 2 + turn + np.pi / sides + 2 * np.pi * np.arange(sides) / sides
    return np.max([x * np.cos(angle) - y * np.sin(angle) - inner for angle in centres], axis=0)


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    angle = (np.arctan2(x, -y) + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5
    radius = np.hypot(x, y)
    along, across = radius * np.cos(angle), abs(radius * np.sin(angle))
    # the edge from the tip (0.92, 0) to the notch between two tips
    notch_x, notch_y = 0.4 * np.cos(np.pi / 5), 0.4 * np.sin(np.pi / 5)
    edge_x, edge_y = notch_x - 0.92, notch_y
    return (edge_y * (along - 0.92) - edge_x * across) / np.hypot(edge_x, edge_y)


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    lobes = np.hypot(abs(x) - 0.38, y + 0.32) - 0.44
    point = np.maximum((abs(x) + y * 0.78 - 0.62) * 0.79, -y - 0.45)
    return np.minimum(lobes, np.maximum(point, abs(x) - 0.82))


def _sheet_tiles() -> np.ndarray:
    import av

    with av.open(str(Path(__file__).parent / "sprites.webp")) as container:
        sheet = next(container.decode(video=0)).to_ndarray(format="rgba")
    tiles = rearrange(sheet, "(row h) (column w) rgba -> (row column) h w rgba", h=TILE_PX, w=TILE_PX)
    assert sheet.shape[1] == COLUMNS * TILE_PX
    return tiles[: len(sprites())]


def _in_layers(tiles: np.ndarray) -> np.ndarray:
    pixels = tiles.astype(np.float32) / 255
    alpha = pixels[..., 3]
    layers = [*(pixels[..., channel] * alpha for channel in range(3)), np.zeros_like(alpha), alpha]
    return np.stack(layers, axis=1)
