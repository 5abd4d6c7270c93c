"""Read the frames of a film that a sampler wants, at the size that the model sees.

Axes: frame, height, width.
"""

from enum import StrEnum

from kangaroo.video.frames import Frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource


class Resize(StrEnum):
    """How a picture comes to the model's size.

    STRETCH scales both sides on their own, PAD keeps the shown aspect and fills the rest with black.
    """

    STRETCH = "stretch"
    PAD = "pad"


def read_frames(
    source: VideoSource, sampler: FrameSampler, *, size_px: int | tuple[int, int], resize: Resize = Resize.STRETCH
) -> Frames:
    """Return the wanted frames (being built)."""
    raise NotImplementedError
