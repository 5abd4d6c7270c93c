"""Write kept clips as films of their own, each video decoded once for all its clips. Runs in a worker."""

import shutil
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kangaroo.curation.clip import Clip
from kangaroo.data.write import whole
from kangaroo.errors import OptionError, VideoError
from kangaroo.video.scale import Scaler, transfer_of
from kangaroo.video.source import VideoSource
from kangaroo.video.stream import Streamed
from kangaroo.video.write import write_video


@dataclass(frozen=True, kw_only=True)
class MediaSettings:
    """How clips are written.

    Attributes:
        side_px: Of the longer side; smaller films are not enlarged.
        crf: x264's quality: 0 is lossless, 51 is worst.
        shard_mib: A new shard begins where the last holds this much.
    """

    side_px: int = 854
    crf: int = 20
    shard_mib: int = 1024

    def __post_init__(self) -> None:
        if not 16 <= self.side_px <= 8192:
            raise OptionError(f"side_px is {self.side_px}; give 16 to 8192")
        if not 0 <= self.crf <= 51:
            raise OptionError(f"crf is {self.crf}; give 0 to 51")
        if self.shard_mib < 1:
            raise OptionError(f"shard_mib is {self.shard_mib}; give 1 or more")


def file_of(clip: Clip, settings: MediaSettings) -> str:
    """Return the name of a clip's file, which tells how it was made."""
    is_image = clip.end_s == clip.start_s
    return f"{clip.id}{clip.video.suffix.lower()}" if is_image else f"{clip.id}-{settings.side_px}-{settings.crf}.mp4"


def export(video: Path, clips: tuple[Clip, ...], folder: Path, settings: MediaSettings) -> None:
    """Write clips of one video, in the order of time, into a folder; an image is copied.

    Raises:
        VideoError: The video cannot be decoded, or a clip has no frame.
    """
    if clips[0].end_s == clips[0].start_s:
        with whole(folder / file_of(clips[0], settings)) as unfinished:
            shutil.copyfile(video, unfinished)
        return
    film = Streamed.open(VideoSource(video))
    frames = _Lookahead(film, settings)
    for clip in clips:
        with whole(folder / file_of(clip, settings)) as unfinished:
            times_s: deque[float] = deque()
            write_video(unfinished, frames.until(clip, times_s), times_s=_drained(times_s), crf=settings.crf)


class _Lookahead:
    """The frames of a film, of which one may be looked at before it is taken."""

    def __init__(self, film: Streamed, settings: MediaSettings) -> None:
        self._film, self._settings = film, settings
        self._frames = iter(film)
        self._scaler: Scaler | None = None
        self._next = next(self._frames, None)

    def until(self, clip: Clip, times_s: "deque[float]") -> Iterator[np.ndarray]:
        """Yield the pictures of a clip, and put their times from the clip's first on into a queue."""
        first_s: float | None = None
        while self._next is not None and self._next[0] < clip.end_s:
            time_s, frame = self._next
            if time_s >= clip.start_s:
                if self._scaler is None:
                    self._scaler = Scaler(
                        size_px=self._size_px(frame.height, frame.width, frame.rotation),
                        pixel_aspect=self._film.pixel_aspect,
                        transfer=transfer_of(self._film.color_trc),
                    )
                first_s = time_s if first_s is None else first_s
                times_s.append(time_s - first_s)
                yield self._scaler.pixels(frame)
            self._next = next(self._frames, None)
        if first_s is None:
            raise VideoError(f"{clip.video}: no frame from {clip.start_s:.3f} to {clip.end_s:.3f} s can be decoded")

    def _size_px(self, height: int, width: int, rotation_deg: int) -> tuple[int, int]:
        shown = height, round(width * self._film.pixel_aspect)
        if rotation_deg % 180:
            shown = shown[1], shown[0]
        scale = min(1.0, self._settings.side_px / max(shown))
        return max(2, round(shown[0] * scale / 2) * 2), max(2, round(shown[1] * scale / 2) * 2)


def _drained(times_s: "deque[float]") -> Iterator[float]:
    while times_s:
        yield times_s.popleft()
