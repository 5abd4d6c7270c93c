"""Hash pictures so that copies of a film hash alike, whatever their codec, size or rate.

A picture becomes 64 bits that scaling, re-encoding and brightness hardly touch: the signs of its coarsest cosine
waves against their median. Axes: frame.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from kangaroo.video.frames import Frames

_SIDE_PX, _WAVES = 32, 8
_FLAT = 3.0  # levels of standard deviation under which a picture shows nothing and is like every other such picture


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """A hash of 64 bits, in 16 hexadecimal digits, for each picture that is not empty, and its seconds in the film."""

    hashes: tuple[str, ...]
    times_s: tuple[float, ...]


def fingerprint(frames: Frames) -> Fingerprint:
    """Return the hashes of frames. Two frames a second are enough.

    >>> fingerprint(frames).hashes
    """
    found = [(_hash(pixels), round(time_s, 3)) for pixels, time_s in zip(frames.pixels, frames.times_s, strict=True)]
    known = [(one, float(time_s)) for one, time_s in found if one is not None]
    return Fingerprint(hashes=tuple(one for one, _ in known), times_s=tuple(time_s for _, time_s in known))


def _hash(pixels: UInt8[np.ndarray, "height width 3"]) -> str | None:
    small = cv2.resize(pixels, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    if grey.std() < _FLAT:
        return None
    waves = cv2.dct(grey)[:_WAVES, :_WAVES].ravel()
    return np.packbits(waves > np.median(waves[1:])).tobytes().hex()  # the first wave is the brightness
