"""Know a film by hashes of its pictures, by which copies are found whatever their codec, size or rate."""

from dataclasses import dataclass

from kangaroo.video.frames import Frames
from kangaroo.video.looks import look_hash


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """A hash of 64 bits, in 16 hexadecimal digits, for each picture that is not empty, and its seconds in the film."""

    hashes: tuple[str, ...]
    times_s: tuple[float, ...]


def fingerprint(frames: Frames) -> Fingerprint:
    """Return the hashes of frames. Two frames a second are enough.

    >>> fingerprint(frames).hashes
    """
    hashes = map(look_hash, frames.pixels)
    known = [(one, round(float(time_s), 3)) for one, time_s in zip(hashes, frames.times_s, strict=True) if one]
    return Fingerprint(hashes=tuple(one for one, _ in known), times_s=tuple(time_s for _, time_s in known))
