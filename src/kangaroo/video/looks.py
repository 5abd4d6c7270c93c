"""Hash pictures so that copies hash alike, whatever their codec, size or brightness. Imports without torch.

A picture becomes 64 bits: the signs of its coarsest cosine waves against their median. numpy alone is needed, so that
whoever writes fingerprints and whoever looks for them use the same. Axes: height, width, side (of the small picture).
"""

from functools import cache

import numpy as np
from jaxtyping import Float64, UInt8

_SIDE_PX, _WAVES = 32, 8
_FLAT = 3.0  # levels of standard deviation under which a picture shows nothing and is like every other such picture
_GREY = (0.299, 0.587, 0.114)  # BT.601


def look_hash(pixels: UInt8[np.ndarray, "height width 3"]) -> str | None:
    """Return 64 bits in 16 hexadecimal digits, None for a picture that shows nothing."""
    height, width = pixels.shape[:2]
    grey = _means(height) @ (pixels @ np.array(_GREY)) @ _means(width).T
    if grey.std() < _FLAT:
        return None
    waves = (_cosines() @ grey @ _cosines().T).ravel()
    return np.packbits(waves > np.median(waves[1:])).tobytes().hex()  # the first wave is the brightness


@cache
def _means(size_px: int) -> Float64[np.ndarray, "side height"]:
    """Return the weights that make 32 means of a row or column, each of an equal share."""
    edges = np.linspace(0, size_px, _SIDE_PX + 1)
    starts = np.arange(size_px)
    shares = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return np.clip(shares, 0, None) * _SIDE_PX / size_px


@cache
def _cosines() -> Float64[np.ndarray, "wave side"]:
    """Return the first waves of the orthonormal cosine transform (DCT-II)."""
    wave, place = np.arange(_WAVES)[:, None], np.arange(_SIDE_PX)
    waves = np.cos(np.pi * wave * (2 * place + 1) / (2 * _SIDE_PX)) * np.sqrt(2 / _SIDE_PX)
    waves[0] /= np.sqrt(2)
    return waves
