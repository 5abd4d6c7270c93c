"""Read the frames of a film that a sampler wants, at the size that the model sees.

A file is read twice: first its packets alone, for the times of all frames; then, by the plan made from them,
the few stretches that hold a wanted frame. Memory grows with the frames wanted, not with the film.
Axes: frame, height, width.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event

import numpy as np
from jaxtyping import Float64

from kangaroo.errors import VideoError
from kangaroo.system import num_cores
from kangaroo.video.container import holds_one_picture, open_container
from kangaroo.video.ending import is_cut_off
from kangaroo.video.frames import Frames
from kangaroo.video.info import promised_duration_s
from kangaroo.video.pictures import array_frame, array_times, decode_picture, folder_times, is_folder, list_pictures
from kangaroo.video.plan import DecodePlan, Run, choose_frames, make_plan
from kangaroo.video.runs import Decoded, RunDecoder, SeekError, Watch, from_start
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.scale import Resize, Scaler, transfer_of
from kangaroo.video.source import VideoSource
from kangaroo.video.timeline import Timeline, read_timeline

__all__ = ["FramePlan", "Resize", "join_pictures", "plan_frames", "read_frames"]

_MOST_DECODERS = 8  # each holds some pictures of the film's size
_SHORTFALL = 0.97  # a film that ends before this share of what its header promises was cut off


@dataclass(frozen=True, kw_only=True, eq=False)
class FramePlan:
    """Which frames would be seen.

    Attributes:
        times_s: When each frame that would be seen appears, in seconds since the film's first frame.
        duration_s: How long the film is on screen; 0 for an image.
        num_frames: Frames in the film.
        num_decoded: Frames that must be decoded to see the wanted ones.
        notes: What a reader should know of these times.
    """

    times_s: Float64[np.ndarray, " frame"]
    duration_s: float
    num_frames: int
    num_decoded: int
    notes: tuple[str, ...] = ()


def read_frames(
    source: VideoSource,
    sampler: FrameSampler,
    *,
    size_px: int | tuple[int, int],
    resize: Resize = Resize.STRETCH,
    watch: Watch | None = None,
) -> Frames:
    """Return the frames on screen at the sampler's times, each once, with their true times.

    Times count from the film's first frame. An image is one frame at 0 s, whatever the sampler says.

    >>> read_frames(VideoSource("film.mp4"), FrameSampler(num_frames=8), size_px=448).times_s

    Args:
        source: The film.
        sampler: Picks the times.
        size_px: Side of a square, or (height, width).
        resize: How the picture comes to that size.
        watch: Told of each frame of a film in a file as it is decoded, unless it is decoded in another process.

    Raises:
        VideoError: The film is missing or not one frame of it can be read. What can be read only in part is
            returned with a note.
        OptionError: The sampler's clip starts after the film's end.
    """
    look = _Look(sampler=sampler, size_px=size_px, resize=resize, watch=watch)
    with source.fetched() as local:
        if local.apart is not None:
            own = replace(local, apart=None)
            return local.apart.call(read_frames, own, sampler, name=local.name, size_px=size_px, resize=resize)
        if isinstance(local.value, Frames):
            return look.at_arrays(local.value)
        if is_folder(local):
            return look.at_folder(local)
        if holds_one_picture(local):
            return look.at_image(local)
        return look.at_film(local)


def join_pictures(
    pictures: Sequence[VideoSource], times_s: Sequence[float], *, max_bytes: int, film: str
) -> VideoSource:
    """Return still pictures and when each is shown as one film at hand.

    Args:
        pictures: Of one size, in order.
        times_s: Rising.
        max_bytes: More than this all pictures together may not take.
        film: What messages call it.

    Raises:
        VideoError: One cannot be read, they differ in size, are too large, or the times do not rise.
    """
    read: list[Frames] = []
    for picture in pictures:
        info = picture.open()
        size_px = info.height_px, info.width_px
        if not info.is_image:
            raise VideoError(f"{picture.name}: a film, not a picture; a list of frames holds pictures")
        if read and size_px != read[0].pixels.shape[1:3]:
            raise VideoError(
                f"{picture.name}: {size_px[1]} x {size_px[0]} px, the first picture of {film} has another size; "
                "give all one size"
            )
        if 3 * size_px[0] * size_px[1] * len(pictures) > max_bytes:
            raise VideoError(
                f"{film}: {len(pictures)} pictures of {size_px[1]} x {size_px[0]} px take more than the {max_bytes} "
                "bytes that are read; give smaller ones or fewer"
            )
        read.append(read_frames(picture, FrameSampler(), size_px=size_px))
    joined = VideoSource.from_arrays(np.concatenate([one.pixels for one in read]), times_s=list(times_s))
    return replace(joined, label=film)


def plan_frames(source: VideoSource, sampler: FrameSampler) -> FramePlan:
    """Return which frames `read_frames` would give; no picture is decoded for it.

    Raises:
        VideoError: The film is missing or cannot be read.
        OptionError: The sampler's clip starts after the film's end.
    """
    with source.fetched() as local:
        if local.apart is not None:
            return local.apart.call(plan_frames, replace(local, apart=None), sampler, name=local.name)
        if isinstance(local.value, Frames) or is_folder(local):
            if isinstance(local.value, Frames):
                shown_s, duration_s = array_times(local.value)
            else:
                shown_s, duration_s = folder_times(local, len(list_pictures(local)))
            times_s = shown_s[choose_frames(sampler, shown_s, duration_s)]
            return FramePlan(times_s=times_s, duration_s=duration_s, num_frames=len(shown_s), num_decoded=len(times_s))
        if holds_one_picture(local):
            return FramePlan(times_s=np.zeros(1), duration_s=0.0, num_frames=1, num_decoded=1)
        timeline = _timeline(local)
        plan = make_plan(timeline, sampler)
        return FramePlan(
            times_s=plan.times_s,
            duration_s=timeline.duration_s,
            num_frames=len(timeline.shown),
            num_decoded=plan.num_decoded,
            notes=(*timeline.notes, *_clip_notes(sampler, timeline.duration_s)),
        )


@dataclass(frozen=True, kw_only=True)
class _Look:
    """How a film is looked at, whatever kind of film it is."""

    sampler: FrameSampler
    size_px: int | tuple[int, int]
    resize: Resize
    watch: Watch | None = None

    def at_arrays(self, frames: Frames) -> Frames:
        shown_s, duration_s = array_times(frames)
        chosen = choose_frames(self.sampler, shown_s, duration_s)
        scaler = self._scaler()
        pixels = np.stack([scaler.pixels(array_frame(frames, int(index))) for index in chosen])
        notes = (*frames.notes, *_clip_notes(self.sampler, duration_s))
        return Frames(pixels=pixels, times_s=shown_s[chosen], notes=notes)

    def at_folder(self, source: VideoSource) -> Frames:
        pictures = list_pictures(source)
        shown_s, duration_s = folder_times(source, len(pictures))
        read, times_s, notes = [], [], list(_clip_notes(self.sampler, duration_s))
        for index in choose_frames(self.sampler, shown_s, duration_s):
            try:
                read.append(self.at_image(VideoSource(pictures[index])))
                times_s.append(shown_s[index])
                notes += [f"{pictures[index].name}: {note}" for note in read[-1].notes]
            except VideoError as error:
                notes.append(f"left out: {error}")
        if not read:
            raise VideoError(f"{source.name}: no image of the folder can be read; the first: {notes[-1]}")
        pixels = np.concatenate([picture.pixels for picture in read])
        return Frames(pixels=pixels, times_s=np.array(times_s), notes=tuple(notes))

    def at_image(self, source: VideoSource) -> Frames:
        frame, aspect, notes = decode_picture(source)
        pixels = self._scaler(pixel_aspect=aspect).pixels(frame)
        return Frames(pixels=pixels[None], times_s=np.zeros(1), notes=notes)

    def at_film(self, source: VideoSource) -> Frames:
        timeline = _timeline(source)
        plan = make_plan(timeline, self.sampler)
        try:
            decoded = self._decode(source, timeline, plan)
        except SeekError:
            decoded = None
        whole = from_start(plan)
        if decoded is None or (decoded.missing and plan.runs != whole.runs):
            decoded = self._decode(source, timeline, whole)
        if not decoded.pixels:
            raise VideoError(f"{source.name}: not one of {len(plan.packets)} wanted frames can be decoded")
        packets = sorted(decoded.pixels, key=lambda packet: timeline.times_s[packet])
        notes = (*timeline.notes, *_clip_notes(self.sampler, timeline.duration_s), *_damage_notes(decoded))
        pixels = np.empty((len(packets), *decoded.pixels[packets[0]].shape), np.uint8)
        for place, packet in enumerate(packets):
            pixels[place] = decoded.pixels.pop(packet)  # never all of them twice
        return Frames(
            pixels=pixels,
            times_s=timeline.times_s[packets],
            notes=notes,
        )

    def _decode(self, source: VideoSource, timeline: Timeline, plan: DecodePlan) -> Decoded:
        """Decode a plan, its parts side by side: decoders of their own wait less for one another than their threads."""
        cores = num_cores()
        shares = plan.shares(min(2 * cores, _MOST_DECODERS))  # more than cores, for shares are unequal
        given_up = Event()

        def decode(share: tuple[Run, ...]) -> Decoded:
            with open_container(source) as (container, stream):
                transfer = transfer_of(stream.codec_context.color_trc)
                scaler = self._scaler(pixel_aspect=float(stream.sample_aspect_ratio or 1), transfer=transfer)
                threads = max(1, cores // len(shares))
                decoder = RunDecoder(
                    container, stream, timeline, scaler, threads=threads, given_up=given_up, watch=self.watch
                )
                return decoder.decode(share)

        decoded = Decoded()
        with ThreadPoolExecutor(len(shares)) as threads:
            try:
                for part in threads.map(decode, shares):
                    decoded.take(part)
            except BaseException:  # Ctrl-C too: the pool waits for its threads
                given_up.set()
                raise
        return decoded

    def _scaler(self, *, pixel_aspect: float = 1.0, transfer: str | None = None) -> Scaler:
        return Scaler(size_px=self.size_px, resize=self.resize, pixel_aspect=pixel_aspect, transfer=transfer)


def _timeline(source: VideoSource) -> Timeline:
    with open_container(source) as (container, stream):
        promised_s, promised_frames = promised_duration_s(container, stream), stream.frames
        timeline = read_timeline(container, stream, name=source.name)
        demuxer = container.format.name
    notes = list(timeline.notes)
    num_frames = len(timeline.pts)
    if promised_s:  # then frames are not counted: an edit list shows fewer than are stored
        if timeline.duration_s < promised_s * _SHORTFALL and not timeline.is_guessed:
            notes.append(f"the file is cut off: {timeline.duration_s:.1f} s of {promised_s:.1f} s can be read")
    elif num_frames < promised_frames * _SHORTFALL:
        notes.append(f"the file is cut off: {num_frames} of {promised_frames} frames can be read")
    elif is_cut_off(source, demuxer):
        notes.append("the file is cut off: its end is missing")
    return replace(timeline, notes=tuple(notes))


def _clip_notes(sampler: FrameSampler, duration_s: float) -> tuple[str, ...]:
    if sampler.end_s is None or sampler.end_s <= duration_s + 0.5:
        return ()
    return (f"the film ends at {duration_s:.1f} s, before the clip's end at {sampler.end_s:g} s",)


def _damage_notes(decoded: Decoded) -> tuple[str, ...]:
    notes = []
    if decoded.num_errors:
        notes.append(f"{decoded.num_errors} damaged parts of the film could not be decoded")
    if decoded.num_damaged:
        notes.append(f"{decoded.num_damaged} frames are damaged")
    if decoded.missing:
        notes.append(f"{len(decoded.missing)} wanted frames could not be decoded and are left out")
    return tuple(notes)
