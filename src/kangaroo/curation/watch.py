"""Decode a film once: cut it, and give each clip's pictures to every step that looks. Runs in a worker.

Pictures are held from the start of a clip until it is cut off and measured, so memory follows the longest clip.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from kangaroo.curation.clip import Clip
from kangaroo.curation.cut import CutSettings, Cutter, Span, clip_id
from kangaroo.curation.ledger import State
from kangaroo.curation.step import FRAMES, Step, dumps, plain
from kangaroo.errors import KangarooError, OptionError, VideoError
from kangaroo.video.decode import read_frames
from kangaroo.video.frames import Frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.scale import Scaler, transfer_of
from kangaroo.video.source import VideoSource
from kangaroo.video.stream import Streamed

_SMALL_PX = (72, 128)  # what cuts are found in


@dataclass(frozen=True, kw_only=True)
class Look:
    """Which pictures of a clip the steps see: pairs a moment apart, on a grid that counts from the film's start.

    Attributes:
        every_s: From one pair to the next.
        pair_s: From the first picture of a pair to the second; 0 takes single pictures.
        side_px: Of the longer side; smaller films are not enlarged.
    """

    every_s: float = 0.5
    pair_s: float = 0.07
    side_px: int = 640

    def __post_init__(self) -> None:
        if not 0 <= self.pair_s < self.every_s < 3600:
            raise OptionError(f"every_s {self.every_s:g}, pair_s {self.pair_s:g}: give 0 <= pair_s < every_s < 3600")
        if not 16 <= self.side_px <= 4096:
            raise OptionError(f"side_px is {self.side_px}; give 16 to 4096")


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What a worker does with one film.

    Attributes:
        video: The file.
        content: Names its content.
        shown_px: Height and width as shown.
        is_image: One clip without length.
        cut: How to cut it; None where the clips are known.
        look: Which pictures steps see.
        clips: The known clips, in the order of time.
        steps: In the order of their needs.
        wanted: Names of steps to run by the clips' ids; all where the film is cut.
        known: Results that were there before, by clip and step.
    """

    video: Path
    content: str
    shown_px: tuple[int, int]
    is_image: bool
    cut: CutSettings | None
    look: Look
    steps: tuple[Step, ...]
    clips: tuple[Clip, ...] = ()
    wanted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    known: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a film gave.

    Attributes:
        clips: As cut, or as they were known.
        outcomes: How each unit ended, by clip and step: a state, and the result as JSON or the reason.
        num_short: Scenes that were too short for a clip.
        notes: What was found odd while decoding.
    """

    clips: tuple[Clip, ...]
    outcomes: Mapping[tuple[str, str], tuple[State, str]]
    num_short: int = 0
    notes: tuple[str, ...] = ()


def watch(errand: Errand) -> Found:
    """Do an errand.

    Raises:
        VideoError: The film cannot be decoded.
    """
    source, outcomes, clips = VideoSource(errand.video), {}, []
    if errand.is_image:
        clips = list(errand.clips) or [_clip(errand, Span(0.0, 0.0))]
        outcomes.update(_measured(errand, clips[0], read_frames(source, FrameSampler(), size_px=_size_px(errand))))
        return Found(clips=tuple(clips), outcomes=outcomes)
    if errand.cut is None and not any(_looks(errand, clip) for clip in errand.clips):
        for clip in errand.clips:
            outcomes.update(_measured(errand, clip, None))
        return Found(clips=errand.clips, outcomes=outcomes)
    film = Streamed.open(source)
    cutter = Cutter(errand.cut) if errand.cut is not None else None
    for clip, frames in _clips(errand, film, cutter):
        clips.append(clip)
        outcomes.update(_measured(errand, clip, frames))
    if not film.num_frames:
        raise VideoError(f"{errand.video}: not one frame can be decoded")
    return Found(
        clips=tuple(clips), outcomes=outcomes, num_short=cutter.num_short if cutter else 0, notes=tuple(film.notes)
    )


def pictures_at(video: Path, times_s: Sequence[float], size_px: tuple[int, int]) -> Frames:
    """Return the pictures that are shown at given seconds of a film. Runs in a worker.

    Raises:
        VideoError: None can be decoded.
    """
    source = VideoSource(video)
    samplers = (FrameSampler(num_frames=1, start_s=time_s, end_s=time_s + 0.001) for time_s in times_s)
    found = [read_frames(source, sampler, size_px=size_px) for sampler in samplers]
    return Frames(
        pixels=np.concatenate([one.pixels for one in found]), times_s=np.concatenate([one.times_s for one in found])
    )


def _clips(errand: Errand, film: Streamed, cutter: Cutter | None) -> Iterator[tuple[Clip, Frames]]:
    kept = _Kept(errand.look, Scaler(
        size_px=_size_px(errand), pixel_aspect=film.pixel_aspect, transfer=transfer_of(film.color_trc)
    ))  # fmt: skip
    small = VideoReformatter()
    waiting = list(errand.clips)
    for time_s, frame in film:
        kept.offer(time_s, frame, wanted=cutter is not None or waiting[0].start_s <= time_s)
        if cutter is not None:
            waiting += [_clip(errand, span) for span in cutter.add(_small(small, frame), time_s)]
        while waiting and waiting[0].end_s < time_s:
            clip = waiting.pop(0)
            yield clip, kept.of(clip)
        if cutter is None and not waiting:
            return
        open_s = np.inf if cutter is None else cutter.open_since_s
        kept.forget(min([open_s, *(clip.start_s for clip in waiting)]))
    if cutter is not None:
        waiting += [_clip(errand, span) for span in cutter.end(film.timeline.duration_s)]
    for clip in waiting:
        yield clip, kept.of(clip)


class _Kept:
    """The pictures that clips not yet finished may need."""

    def __init__(self, look: Look, scaler: Scaler) -> None:
        self.look, self.scaler = look, scaler
        self._kept: list[tuple[float, np.ndarray]] = []
        self._next_s, self._partner_s = -np.inf, np.inf

    def offer(self, time_s: float, frame: VideoFrame, *, wanted: bool) -> None:
        """Keep a wanted picture that stands first at or behind a point of the grid, or that is the second of a pair."""
        if time_s >= self._next_s:
            self._next_s = (np.floor(time_s / self.look.every_s + 1e-9) + 1) * self.look.every_s
            self._partner_s = time_s + self.look.pair_s if self.look.pair_s else np.inf
        elif time_s >= self._partner_s - 1e-6:
            self._partner_s = np.inf
        else:
            return
        if wanted:
            self._kept.append((time_s, self.scaler.pixels(frame)))

    def of(self, clip: Clip) -> Frames:
        inside = [(time_s, pixels) for time_s, pixels in self._kept if clip.start_s <= time_s <= clip.end_s]
        if not inside:
            return Frames(pixels=np.zeros((0, 1, 1, 3), np.uint8), times_s=np.zeros(0))
        return Frames(pixels=np.stack([one for _, one in inside]), times_s=np.array([time_s for time_s, _ in inside]))

    def forget(self, before_s: float) -> None:
        while self._kept and self._kept[0][0] < before_s:
            self._kept.pop(0)


def _measured(errand: Errand, clip: Clip, frames: Frames | None) -> dict[tuple[str, str], tuple[State, str]]:
    """Run the wanted steps on a clip."""
    results: dict[str, Any] = dict(errand.known.get(clip.id, {}))
    outcomes: dict[tuple[str, str], tuple[State, str]] = {}
    for step in errand.steps:
        if errand.cut is None and step.name not in errand.wanted.get(clip.id, ()):
            continue
        missing = [name for name in step.needs if name != FRAMES and name not in results]
        if missing:
            outcomes[clip.id, step.name] = State.QUARANTINED, f"needs {missing[0]}, which failed"
            continue
        if step.looks and (frames is None or not len(frames)):
            outcomes[clip.id, step.name] = State.QUARANTINED, "not one frame of the clip can be decoded"
            continue
        inputs = {name: frames if name == FRAMES else results[name] for name in step.needs}
        try:
            results[step.name] = plain(step.function(clip, inputs, step.settings))
            outcomes[clip.id, step.name] = State.DONE, dumps(results[step.name])
        except KangarooError as error:
            results.pop(step.name, None)
            outcomes[clip.id, step.name] = State.QUARANTINED, str(error)
    return outcomes


def _looks(errand: Errand, clip: Clip) -> bool:
    wanted = errand.wanted.get(clip.id, frozenset())
    return any(step.looks and step.name in wanted for step in errand.steps)


def _clip(errand: Errand, span: Span) -> Clip:
    return Clip(id=clip_id(errand.content, span), video=errand.video, start_s=span.start_s, end_s=span.end_s)


def _size_px(errand: Errand) -> tuple[int, int]:
    return fitted_px(errand.shown_px, errand.look.side_px)


def fitted_px(shown_px: tuple[int, int], side_px: int) -> tuple[int, int]:
    """Return height and width of a picture whose longer side is to be no more than so many pixels."""
    height, width = shown_px
    scale = min(1.0, side_px / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _small(reformatter: VideoReformatter, frame: VideoFrame) -> np.ndarray:
    height, width = _SMALL_PX
    small = reformatter.reformat(
        frame, width=width, height=height, format="rgb24", interpolation=Interpolation.FAST_BILINEAR
    )
    return small.to_ndarray()
