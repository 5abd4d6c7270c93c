"""Films for the page: samples, uploads and links, and small pictures of the frames that a model is shown.

The pictures are read first, in a worker process under limits: a file that hangs or crashes the decoder does so there.
Nothing that a user names is written to disk.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kangaroo.chat.pictures import encode_jpeg
from kangaroo.chat.store import BoundedStore
from kangaroo.errors import VideoError
from kangaroo.video.decode import read_frames
from kangaroo.video.fetch import PublicHosts, fetch_to_file
from kangaroo.video.frames import Frames
from kangaroo.video.isolate import Limits, read_frames_isolated
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.scale import Resize
from kangaroo.video.source import VideoInfo, VideoSource

SAMPLES = ("kangaroo", "badger", "deer")
LIMITS = Limits(time_s=120.0)
_HEIGHT_PX = 108
_IMAGE_HEIGHT_PX = 432  # it stands where films have their player
_WIDEST = 3.0  # pictures wider than so many times their height are shown smaller
_FETCH_TIMEOUT_S = 120.0
_MAX_STRIPS = 4


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Frames as JPEG data URLs, when each appears in seconds, and what to know of them."""

    pictures: tuple[str, ...]
    times_s: tuple[float, ...]
    notes: tuple[str, ...]


class Film:
    """A film that can be read, with its strips.

    Args:
        source: The film.
        sampler: The rule for its first strip.

    Raises:
        VideoError: It cannot be read, or not under limits.
    """

    def __init__(self, source: VideoSource, sampler: FrameSampler) -> None:
        self.source = source
        self._strips: BoundedStore[Strip] = BoundedStore(max_size=_MAX_STRIPS)
        self.strip(sampler)
        self.info: VideoInfo = source.open()
        self.key = source.fingerprint()

    def strip(self, sampler: FrameSampler, *, num_frames: int | None = None) -> Strip:
        """Return the frames that a rule picks; where a model was shown fewer, give their number.

        Raises:
            VideoError: They cannot be read.
        """
        strip = self._strips.get((sampler, num_frames))
        if strip is None:
            strip = _strip(self.source, sampler)
            if num_frames not in (None, len(strip.times_s)):
                strip = _strip(self.source, sampler.with_options(num_frames=num_frames))
            self._strips.put((sampler, num_frames), strip, size=1)
        return strip

    @property
    def mime(self) -> str:
        """What a browser is told that the film is."""
        return {"matroska,webm": "video/webm", "ogg": "video/ogg"}.get(self.info.container, "video/mp4")


def sample(name: str) -> VideoSource:
    """Return a film that comes with the package."""
    return VideoSource(Path(str(files("kangaroo.serving.page") / "samples" / f"{name}.mp4")), label=f"{name}.mp4")


def fetch(url: str, *, max_bytes: int, hosts: PublicHosts | None = None) -> VideoSource:
    """Return the film that an http(s) URL answers, in memory; `hosts` says who may be asked, None anyone.

    Raises:
        VideoError: It may not or cannot be fetched, or is too large.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise VideoError(f"{url!r:.80}: not a link to a film; give one that begins with http:// or https://")
    with fetch_to_file(url, max_bytes=max_bytes, total_timeout_s=_FETCH_TIMEOUT_S, hosts=hosts) as path:
        name = unquote(urlsplit(url).path.rpartition("/")[2]) or urlsplit(url).hostname
        return VideoSource(path.read_bytes(), label=name)


def read_small(source: VideoSource, sampler: FrameSampler, *, size_px: int, resize: Resize = Resize.STRETCH) -> Frames:
    """Return frames `size_px` high in their own aspect, a picture larger. What the worker calls."""
    info = source.open()
    if info.is_image:
        size_px = _IMAGE_HEIGHT_PX
    aspect = min(info.width_px / info.height_px, _WIDEST)
    return read_frames(source, sampler, size_px=(size_px, max(1, round(size_px * aspect))), resize=resize)


def _strip(source: VideoSource, sampler: FrameSampler) -> Strip:
    frames = read_frames_isolated(source, sampler, size_px=_HEIGHT_PX, limits=LIMITS, reader=read_small)
    return Strip(pictures=tuple(_data_urls(frames)), times_s=tuple(frames.times_s.tolist()), notes=frames.notes)


def _data_urls(frames: Frames) -> Iterator[str]:
    for picture in frames.pixels:
        yield f"data:image/jpeg;base64,{base64.b64encode(encode_jpeg(picture)).decode('ascii')}"
