"""Decode the runs of a plan, and from them the wanted frames alone.

Axes: height, width, channel.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from threading import Event

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from kangaroo.video.container import decoder_of
from kangaroo.video.plan import DecodePlan, Run
from kangaroo.video.scale import Scaler
from kangaroo.video.timeline import Timeline

# In these codecs a picture marked as no reference is referred to by none, so leaving it out changes no other.
# HEVC's mark holds only within a temporal layer, and later codecs have none that their decoders skip by.
_SKIP_EXACT = frozenset({"h264", "mpeg1video", "mpeg2video", "mpeg4"})


Watch = Callable[[float, UInt8[np.ndarray, "height width 3"]], None]
"""Is told a picture's second and the picture, from several threads, in any order, some of them again."""


class SeekError(Exception):
    """The container does not arrive where its packets said it would; decode it from the start instead."""


@dataclass(kw_only=True)
class Decoded:
    """What came out: the small picture for each packet that gave one, and how often decoding failed."""

    pixels: dict[int, UInt8[np.ndarray, "height width 3"]] = field(default_factory=dict)
    missing: list[int] = field(default_factory=list)
    num_errors: int = 0
    num_damaged: int = 0

    def take(self, other: "Decoded") -> None:
        """Take in what came out of other runs."""
        self.pixels |= other.pixels
        self.missing += other.missing
        self.num_errors += other.num_errors
        self.num_damaged += other.num_damaged


class RunDecoder:
    """Decodes runs of one open container, which stands at its start.

    >>> RunDecoder(container, stream, timeline, scaler, threads=2, given_up=Event()).decode(joined(plan.runs))

    Once `given_up` is set, decoding ends with what has come out. `watch`, if given, is told of each picture as
    it comes, with its second.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        timeline: Timeline,
        scaler: Scaler,
        *,
        threads: int,
        given_up: Event,
        watch: Watch | None = None,
    ) -> None:
        self.container = container
        self.stream = stream
        self.context = decoder_of(stream)
        self.context.thread_type = "AUTO"  # type: ignore[assignment]
        self.context.thread_count = threads
        self.timeline = timeline
        self.scaler = scaler
        self.given_up = given_up
        self.watch = watch
        self.skips = self.context.name in _SKIP_EXACT and not timeline.is_by_order
        self.stands_alone = bool(timeline.is_key.all()) and not timeline.is_by_order
        self._at_start = True

    def decode(self, runs: tuple[Run, ...]) -> Decoded:
        """Return the frames that the runs want. A frame that does not come out gives way to the one before it,
        which is what a viewer sees; where there is none, it is reported missing.

        Raises:
            SeekError: The container cannot be read from the middle.
        """
        decoded = Decoded()
        for run in runs:
            self._decode_run(run, decoded)
        return decoded

    def _decode_run(self, run: Run, decoded: Decoded) -> None:
        waiting = sorted(run.wanted, key=lambda packet: self.timeline.times_s[packet])
        before: VideoFrame | None = None
        before_packet = -1
        for packet, frame in self._frames(run, decoded):
            time_s = self.timeline.times_s[packet]
            while waiting and self.timeline.times_s[waiting[0]] < time_s:
                self._take(waiting.pop(0), before, before_packet, decoded)
            if waiting and waiting[0] == packet:
                self._take(waiting.pop(0), frame, packet, decoded)
            before, before_packet = frame, packet
        for wanted in waiting:
            self._take(wanted, before, before_packet, decoded)

    def _take(self, wanted: int, frame: VideoFrame | None, packet: int, decoded: Decoded) -> None:
        if frame is None:
            decoded.missing.append(wanted)
        elif packet not in decoded.pixels:
            decoded.pixels[packet] = self.scaler.pixels(frame)
            decoded.num_damaged += bool(getattr(frame, "is_corrupt", False))
            if self.watch is not None:
                self.watch(float(self.timeline.times_s[packet]), decoded.pixels[packet])

    def _frames(self, run: Run, decoded: Decoded) -> Iterator[tuple[int, VideoFrame]]:
        """Yield the run's frames as the decoder gives them, each with its packet."""
        if self.timeline.is_by_order:
            ordered = map(int, self.timeline.shown)
            yield from zip(ordered, self._raw_frames(run, decoded), strict=False)
            return
        for frame in self._raw_frames(run, decoded):
            if (packet := self.timeline.packet_of(frame.pts)) is not None:
                yield packet, frame

    def _raw_frames(self, run: Run, decoded: Decoded) -> Iterator[VideoFrame]:
        wanted = frozenset(run.wanted)
        for index, packet in self._packets(run):
            is_wanted = index in wanted
            if self.stands_alone and not is_wanted:
                continue
            if self.skips:
                self.context.skip_frame = "DEFAULT" if is_wanted else "NONREF"
            try:
                yield from self.context.decode(packet)
            except av.FFmpegError:
                decoded.num_errors += 1
        try:
            yield from self.context.decode(None)
        except av.FFmpegError:
            decoded.num_errors += 1

    def _packets(self, run: Run) -> Iterator[tuple[int, av.Packet]]:
        index = 0
        if not (self._at_start and run.first == 0):
            self.container.seek(int(self.timeline.pts[run.first]), stream=self.stream, backward=True)
            self.context.flush_buffers()
            index = -1
        self._at_start = False
        try:
            for packet in self.container.demux(self.stream):
                if self.given_up.is_set() or (packet.size == 0 and packet.pts is None):
                    return
                if index < 0:
                    index = self._arrived(packet, run)
                    if index < 0:
                        continue
                yield index, packet
                index += 1
                if index > run.last:
                    return
        except av.FFmpegError:
            return  # the timeline ends here too, and has noted it
        if index < 0:
            raise SeekError

    def _arrived(self, packet: av.Packet, run: Run) -> int:
        """Return the run's start once `packet` is it, -1 while it is still to come."""
        index = self.timeline.packet_of(packet.pts)
        if index is not None and index > run.first:
            raise SeekError
        return run.first if index == run.first else -1


def from_start(plan: DecodePlan) -> DecodePlan:
    """Return the plan as one run from the film's first packet: slow, and never wrong."""
    wanted = tuple(sorted(map(int, plan.packets)))
    return replace(plan, runs=(Run(first=0, last=max(run.last for run in plan.runs), wanted=wanted),))
