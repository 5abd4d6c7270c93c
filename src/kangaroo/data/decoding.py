"""Open and decode media in a process of their own that serves many, and that a broken film cannot take along."""

from dataclasses import dataclass

from kangaroo.data.record import Kind
from kangaroo.errors import VideoError
from kangaroo.video.container import holds_one_picture
from kangaroo.video.decode import FramePlan, Resize, plan_frames, read_frames
from kangaroo.video.frames import Frames
from kangaroo.video.isolate import Worker
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is wanted of a medium.

    Attributes:
        size_px: Side of the square that frames come to; None only plans, which decodes nothing.
        resize: How they come to it.
    """

    size_px: int | None
    resize: Resize = Resize.STRETCH

    def at(self, source: VideoSource, kind: Kind, sampler: FrameSampler) -> Frames | FramePlan:
        """Return a medium's frames, or the plan of them.

        Raises:
            VideoError: It is missing, broken, damaged in part, shorter than its clip, or of the other kind.
            OptionError: The clip starts after the film's end.
        """
        if holds_one_picture(source) != (kind is Kind.IMAGE):
            raise VideoError(f"{source.name}: the record calls it {kind}, but it is the other; correct the kind")
        if self.size_px is None:
            seen: Frames | FramePlan = plan_frames(source, sampler)
        else:
            seen = read_frames(source, sampler, size_px=self.size_px, resize=self.resize)
        if seen.notes:
            # chat makes do with what is left of a film; an answer about the rest would teach to invent
            raise VideoError(f"{source.name}: {'; '.join(seen.notes)}")
        return seen


class Decoder(Worker):
    """A process that looks at media, one at a time. Use it from one thread.

    >>> with Decoder(Limits(time_s=60)) as decoder:
    ...     decoder.look(Look(size_px=224), VideoSource("film.mp4"), Kind.VIDEO, FrameSampler())
    """

    def look(self, look: Look, source: VideoSource, kind: Kind, sampler: FrameSampler) -> Frames | FramePlan:
        """Return what `Look.at` returns in the decoding process.

        Raises:
            VideoError: As `Look.at`, and when the process crashes or goes past a limit.
            OptionError: As `Look.at`.
        """
        return self.call(look.at, source, kind, sampler, name=source.name)
