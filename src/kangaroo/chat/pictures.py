"""A film becomes JPEG pictures with their times as text, for servers that take pictures. Imports without torch.

Axes: height, width.
"""

import base64
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from jaxtyping import UInt8

from kangaroo.video.decode import read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

LONGEST_SIDE_PX = 448
_QUALITY = 3  # FFmpeg's scale for JPEG: 2 is best, 31 worst
_FULL_RANGE = "yuvj420p"


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A film as message parts in OpenAI's form, the seconds of its frames, and what a reader should know of them."""

    parts: tuple[dict[str, Any], ...]
    times_s: tuple[float, ...]
    notes: tuple[str, ...]

    @property
    def num_bytes(self) -> int:
        """What the pictures weigh."""
        return sum(len(part["image_url"]["url"]) for part in self.parts if "image_url" in part)


def take_pictures(source: VideoSource, sampler: FrameSampler) -> Pictures:
    """Return a film's frames in their own aspect, the longer side `LONGEST_SIDE_PX` or less.

    Raises:
        VideoError: The film cannot be read.
    """
    info = source.open()
    shrink = min(1.0, LONGEST_SIDE_PX / max(info.width_px, info.height_px))
    size_px = max(1, round(info.height_px * shrink)), max(1, round(info.width_px * shrink))
    frames = read_frames(source, sampler, size_px=size_px)
    parts: list[dict[str, Any]] = []
    for pixels, time_s in zip(frames.pixels, frames.times_s.tolist(), strict=True):
        if not info.is_image:
            parts.append({"type": "text", "text": f"[{time_s:.1f} s]"})
        url = "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(pixels)).decode("ascii")
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return Pictures(parts=tuple(parts), times_s=tuple(frames.times_s.tolist()), notes=frames.notes)


def encode_jpeg(pixels: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """Return an RGB picture as the bytes of a JPEG file."""
    picture = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(format=_FULL_RANGE)
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext), f"FFmpeg's mjpeg is a {type(encoder)}"
    encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, _FULL_RANGE
    encoder.time_base = Fraction(1)
    encoder.qmin = encoder.qmax = _QUALITY
    picture.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
