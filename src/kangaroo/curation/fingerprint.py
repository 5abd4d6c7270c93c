"""Hash pictures so that copies of a film hash alike, whatever their codec, size or rate.

Axes: frame, height, width.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from kangaroo.curation.clip import Clip
from kangaroo.errors import OptionError
from kangaroo.video.frames import Frames

VERSION = 1
_SIDE = 8


@dataclass(frozen=True, kw_only=True)
class FingerprintSettings:
    """How a clip is hashed.

    Attributes:
        flat: A picture whose brightness (0 to 255) varies less than this between its parts has no hash, since all
            such pictures would be alike.
    """

    flat: float = 3.0

    def __post_init__(self) -> None:
        if self.flat < 0:
            raise OptionError(f"flat is {self.flat:g}; give 0 or more")


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """A hash of 64 bits, in 16 hexadecimal digits, for each picture that has one, and its seconds in the film."""

    hashes: tuple[str, ...]
    times_s: tuple[float, ...]


def fingerprint(_: Clip, inputs: dict[str, Any], settings: FingerprintSettings) -> Fingerprint:
    """Hash the pictures of a clip."""
    frames: Frames = inputs["frames"]
    pairs = zip(map(_hash, frames.pixels, [settings.flat] * len(frames)), frames.times_s.tolist(), strict=True)
    known = [(found, round(time_s, 3)) for found, time_s in pairs if found is not None]
    return Fingerprint(hashes=tuple(one for one, _ in known), times_s=tuple(time_s for _, time_s in known))


def _hash(picture: UInt8[np.ndarray, "height width 3"], flat: float) -> str | None:
    """Return whether each of 8 x 8 parts is brighter than the one to its left."""
    import cv2

    grey = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (_SIDE + 1, _SIDE), interpolation=cv2.INTER_AREA)
    if float(grey.std()) < flat:
        return None
    return np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes().hex()
