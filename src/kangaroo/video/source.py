"""Where a film comes from: a file, a folder of frames, a URL, bytes, or frames at hand.

A `VideoSource` is a value: making one reads nothing. `open` tells what the film is.
"""

import hashlib
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from kangaroo.errors import OptionError, VideoError
from kangaroo.video.frames import Frames

if TYPE_CHECKING:
    from kangaroo.video.errands import Errands

_NAME_LENGTH = 120


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What a film is, as `kangaroo info` prints it.

    Attributes:
        name: What the film is called in messages.
        container: FFmpeg's name of the container format; "frames" or "folder" where there is none.
        codec: FFmpeg's name of the video codec; None for frames at hand.
        pixel_format: FFmpeg's name of the pixel format.
        width_px: Width as shown: after rotation and with square pixels.
        height_px: Height as shown.
        duration_s: How long the film is on screen; measured where the container does not say. 0 for an image.
        start_s: The container's time of the first frame. All other times count from that frame.
        fps: Average rate, to inform only: no time is ever derived from it. None for an image or where unknown.
        num_frames: None where only decoding would tell.
        rotation_deg: How far the stored picture is turned clockwise to be shown.
        is_image: One picture that stands still.
        hdr: "pq" or "hlg" for high dynamic range, else None.
        has_alpha: Whether pixels may be transparent.
        has_audio: Whether there is sound (which the model does not hear).
        size_bytes: Size of the file; None for a folder or frames at hand.
    """

    name: str
    container: str
    codec: str | None
    pixel_format: str
    width_px: int
    height_px: int
    duration_s: float
    start_s: float = 0.0
    fps: float | None = None
    num_frames: int | None = None
    rotation_deg: int = 0
    is_image: bool = False
    hdr: str | None = None
    has_alpha: bool = False
    has_audio: bool = False
    size_bytes: int | None = None


@dataclass(frozen=True)
class VideoSource:
    """A film by reference.

    >>> VideoSource("film.mp4").open().duration_s

    Attributes:
        value: A path to a file or to a folder of images, an http(s), file or data URL, the bytes of a file, or
            `Frames`.
        folder_fps: Images a second in a folder, whose files carry no times.
        label: What messages call the film, where its value says little (an upload's bytes).
        apart: Opens and decodes a file or bytes in another process; None does it in this one.
    """

    value: str | Path | bytes | Frames
    folder_fps: float = 1.0
    label: str | None = None
    apart: "Errands | None" = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.folder_fps) and self.folder_fps > 0):
            raise OptionError(f"folder_fps is {self.folder_fps:g}; give a rate above 0")

    @classmethod
    def from_arrays(
        cls,
        pixels: UInt8[np.ndarray, "frame height width 3"],
        *,
        times_s: "np.ndarray | list[float] | None" = None,
        fps: float | None = None,
    ) -> "VideoSource":
        """Return a source of frames at hand, with either their times in seconds or their rate.

        Raises:
            VideoError: The pixels are not uint8 RGB, or neither or both of times and rate are given.
        """
        pixels = np.asarray(pixels)
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3 or 0 in pixels.shape:
            raise VideoError(f"frames must be uint8 [frame, height, width, 3], not {pixels.dtype} {pixels.shape}")
        if (times_s is None) == (fps is None):
            raise VideoError("give either the times of the frames or their rate, and not both")
        times = np.arange(len(pixels)) / fps if fps is not None else np.asarray(times_s, dtype=np.float64)
        if times.shape != pixels.shape[:1] or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
            raise VideoError(f"{len(pixels)} frames need as many rising times, not {times.shape} such")
        return cls(Frames(pixels=pixels, times_s=times))

    @property
    def name(self) -> str:
        """What messages call this film; never its bytes."""
        if self.label is not None:
            return self.label
        if isinstance(self.value, bytes):
            return f"<{len(self.value)} bytes>"
        if isinstance(self.value, Frames):
            return f"<{len(self.value)} frames>"
        text = str(self.value)
        if text[:5].lower() == "data:":
            return f"<data URL of {len(text)} characters>"
        return text if len(text) <= _NAME_LENGTH else f"{text[: _NAME_LENGTH - 3]}..."

    @property
    def is_url(self) -> bool:
        """Whether the film must be fetched over the network."""
        return isinstance(self.value, str) and re.match(r"https?://", self.value, re.IGNORECASE) is not None

    def fingerprint(self) -> str:
        """Return a hash that changes when the film does: a key for cached features.

        Files count as changed by path, size and time of change; URLs only by their text.

        Raises:
            VideoError: The file is missing, or cannot be looked at.
        """
        digest = hashlib.sha256(f"{self.folder_fps!r}\0".encode())
        if isinstance(self.value, bytes):
            digest.update(b"bytes\0" + self.value)
        elif isinstance(self.value, Frames):
            digest.update(f"frames\0{self.value.pixels.shape}\0".encode())
            digest.update(np.ascontiguousarray(self.value.pixels).data)
            digest.update(np.ascontiguousarray(self.value.times_s).data)
        elif self.is_url or str(self.value)[:5].lower() == "data:":
            digest.update(f"url\0{self.value}".encode())
        else:
            from kangaroo.video.container import local_path

            path = local_path(self)
            try:
                for file in (path, *(sorted(path.iterdir()) if path.is_dir() else ())):
                    state = file.stat()
                    digest.update(f"file\0{file.resolve()}\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
            except OSError as error:  # a folder that may not be listed, a link to nothing in it
                raise VideoError(f"{self.name}: cannot be looked at ({error.strerror})") from None
        return digest.hexdigest()

    @contextmanager
    def fetched(self) -> "Iterator[VideoSource]":
        """Lend this film with its bytes at hand, so that opening and reading it fetch a URL only once.

        Raises:
            VideoError: The URL cannot be fetched.
        """
        from kangaroo.video.fetch import decode_data_url, fetch_to_file

        if self.is_url:
            with fetch_to_file(str(self.value)) as path:
                yield replace(self, value=path, label=self.name)
        elif isinstance(self.value, str) and self.value[:5].lower() == "data:":
            yield replace(self, value=decode_data_url(self.value), label=self.name)
        else:
            yield self

    def open(self) -> VideoInfo:
        """Say what the film is. One frame is decoded, because files tell rotation only with a frame.

        Raises:
            VideoError: The film is missing or cannot be read; the message names it and the reason.
        """
        from kangaroo.video.info import read_info

        return read_info(self)
