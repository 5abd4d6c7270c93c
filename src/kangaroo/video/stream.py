"""Decode a whole film once, picture after picture, each with its time; nothing is kept.

Times are those of `read_timeline`, so they agree with every other road to a film's frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from kangaroo.video.container import decoder_of, open_container
from kangaroo.video.source import VideoSource
from kangaroo.video.timeline import Timeline, read_timeline


@dataclass(kw_only=True)
class Streamed:
    """A film that is being decoded: iterate it for (seconds, picture), afterwards it knows how that went.

    >>> for time_s, frame in Streamed.open(VideoSource("film.mp4")): ...

    Attributes:
        timeline: The times of all frames.
        pixel_aspect: Width over height of one pixel.
        color_trc: FFmpeg's number of the film's transfer function.
        is_rough: Whether pictures predicted from both sides are left blocky, which saves a fifth of the decoding.
        num_errors: Parts that could not be decoded.
        num_frames: Pictures that came.
    """

    source: VideoSource
    timeline: Timeline
    pixel_aspect: float
    color_trc: int
    num_errors: int = 0
    num_frames: int = 0
    is_rough: bool = False

    @classmethod
    def open(cls, source: VideoSource, *, is_rough: bool = False) -> "Streamed":
        """Read the times of a file's frames.

        Args:
            source: A file or bytes.
            is_rough: See `Streamed`.

        Raises:
            VideoError: It cannot be read.
        """
        with open_container(source) as (container, stream):
            aspect, transfer = float(stream.sample_aspect_ratio or 1), int(stream.codec_context.color_trc)
            timeline = read_timeline(container, stream, name=source.name)
        return cls(
            source=source,
            timeline=timeline,
            pixel_aspect=aspect,
            color_trc=transfer,
            is_rough=is_rough,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of the times and of what could not be decoded."""
        damage = f"{self.num_errors} damaged parts of the film could not be decoded"
        return (*self.timeline.notes, *([damage] if self.num_errors else []))

    def __iter__(self) -> Iterator[tuple[float, VideoFrame]]:
        with open_container(self.source) as (container, stream):
            for time_s, frame in self._timed(self._decoded(container, stream)):
                self.num_frames += 1
                yield time_s, frame

    def _timed(self, frames: Iterator[VideoFrame]) -> Iterator[tuple[float, VideoFrame]]:
        times_s = self.timeline.times_s
        if self.timeline.is_by_order:
            shown = (float(times_s[packet]) for packet in self.timeline.shown)
            yield from zip(shown, frames, strict=False)
            return
        at_s = {
            int(pts): float(times_s[index])
            for index, pts in enumerate(self.timeline.pts)
            if self.timeline.is_shown[index]
        }
        for frame in frames:
            time_s = at_s.pop(frame.pts, None) if frame.pts is not None else None
            if time_s is not None:
                yield time_s, frame

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        context = decoder_of(stream)
        context.thread_count = 1  # films are read side by side
        if self.is_rough:
            context.options = {"skip_loop_filter": "bidir"}
        try:
            for packet in container.demux(stream):
                try:
                    yield from context.decode(packet)
                except av.FFmpegError:
                    self.num_errors += 1
        except av.FFmpegError:
            return  # the timeline ends here too, and has noted it
