"""Tell whether two films show the same pictures, and by how many seconds one is shifted against the other.

A frame becomes 64 bits that scaling, re-encoding and brightness hardly touch: the signs of its coarsest cosine
waves against their median. Films are compared at every shift at once, so a longer copy or a late start is found.
Axes: frame.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64, UInt64

from kangaroo.video.frames import Frames

_SIDE_PX, _WAVES = 32, 8
_FLAT = 3.0  # levels of standard deviation under which a picture shows nothing and is like every other such picture


@dataclass(frozen=True, kw_only=True, eq=False)
class Fingerprint:
    """Bits of frames that are a steady step apart, and when each is shown. 0 stands for a picture that is empty."""

    bits: UInt64[np.ndarray, " frame"]
    times_s: Float64[np.ndarray, " frame"]


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """How well two films match: `share` of the shorter one's pictures, the second being `shift_s` later."""

    share: float
    shift_s: float


def fingerprint(frames: Frames) -> Fingerprint:
    """Return 64 bits for each frame. Two frames a second are enough.

    >>> fingerprint(frames).bits
    """
    bits = np.array([_bits(pixels) for pixels in frames.pixels], dtype=np.uint64)
    return Fingerprint(bits=bits, times_s=frames.times_s)


def _bits(pixels: np.ndarray) -> int:
    small = cv2.resize(pixels, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    if grey.std() < _FLAT:
        return 0
    waves = cv2.dct(grey)[:_WAVES, :_WAVES].ravel()
    signs = waves > np.median(waves[1:])  # the first wave is the brightness
    signs[0] = True  # so that no picture has the bits of an empty one
    return int.from_bytes(np.packbits(signs).tobytes(), "big")


def align(one: Fingerprint, other: Fingerprint, *, most_bits: int = 10) -> Alignment:
    """Return the shift at which most pictures match; a share of 0 where none does.

    Args:
        one: A film.
        other: Another, fingerprinted at the same rate.
        most_bits: Pictures match that differ in so many of 64 bits or fewer.
    """
    fewer = min(np.count_nonzero(one.bits), np.count_nonzero(other.bits))
    best, best_shift, length = 0, 0, len(one.bits)
    # nearest shifts first, so that among equals the films lie as they are
    for shift in sorted(range(1 - length, len(other.bits)), key=abs):
        first, second = one.bits[max(0, -shift) :], other.bits[max(0, shift) :]
        common = min(len(first), len(second))
        first, second = first[:common], second[:common]
        same = (np.bitwise_count(first ^ second) <= most_bits) & (first != 0) & (second != 0)
        number = int(np.count_nonzero(same))
        if number > best:
            best, best_shift = number, shift
    if not best:
        return Alignment(share=0.0, shift_s=0.0)
    start = max(0, -best_shift)
    return Alignment(share=best / fewer, shift_s=float(other.times_s[start + best_shift] - one.times_s[start]))
