"""Films that are no film file: one image, a folder of images, arrays at hand."""

import re
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import Float64

from kangaroo.errors import VideoError
from kangaroo.video.container import local_path, open_container
from kangaroo.video.ending import is_cut_off
from kangaroo.video.frames import Frames
from kangaroo.video.source import VideoSource

SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".jxl", ".pgm", ".png", ".ppm", ".qoi", ".tif", ".tiff", ".webp"}
)


def is_folder(source: VideoSource) -> bool:
    """Say whether the source is a folder of images.

    Raises:
        VideoError: The path does not exist.
    """
    return isinstance(source.value, str | Path) and local_path(source).is_dir()


def list_pictures(source: VideoSource) -> list[Path]:
    """Return the folder's images as a person counts them: frame2 before frame10.

    Raises:
        VideoError: The folder holds no image.
    """
    pictures = [path for path in local_path(source).iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
    pictures = [path for path in pictures if not path.name.startswith(".")]
    if not pictures:
        raise VideoError(f"{source.name}: the folder holds no image ({', '.join(sorted(SUFFIXES))})")
    return sorted(pictures, key=_counting)


def _counting(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name.lower())]


def folder_times(source: VideoSource, num_pictures: int) -> tuple[Float64[np.ndarray, " frame"], float]:
    """Return when each image of a folder appears and how long they last together, in seconds."""
    return np.arange(num_pictures) / source.folder_fps, num_pictures / source.folder_fps


def array_times(frames: Frames) -> tuple[Float64[np.ndarray, " frame"], float]:
    """Return when each frame at hand appears, counted from the first, and how long they last together.

    The last frame is taken to last as long as the typical one.
    """
    times_s = frames.times_s - frames.times_s[0]
    return times_s, float(times_s[-1] + np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0


def array_frame(frames: Frames, index: int) -> VideoFrame:
    """Return one frame at hand as FFmpeg's scaler takes it."""
    return VideoFrame.from_ndarray(np.ascontiguousarray(frames.pixels[index]), format="rgb24")


def decode_picture(source: VideoSource) -> tuple[VideoFrame, float, tuple[str, ...]]:
    """Return an image file's picture, the aspect of its pixels, and what is wrong with it.

    Raises:
        VideoError: The image cannot be decoded.
    """
    reason = "it may be cut off"
    with open_container(source) as (container, stream):
        notes = ("the picture is cut off",) if is_cut_off(source, container.format.name) else ()
        try:
            for packet in container.demux(stream):
                for frame in packet.decode():
                    return frame, float(stream.sample_aspect_ratio or 1), notes
        except av.FFmpegError as error:
            reason = f"FFmpeg: {(error.strerror or 'unknown').lower()}"
    raise VideoError(f"{source.name}: the picture cannot be decoded ({reason})")
