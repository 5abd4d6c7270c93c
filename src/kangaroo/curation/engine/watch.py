"""Decode a film once: cut it, and give each clip's pictures to every step that looks. Runs in a worker.

Pictures are held from the start of a clip until it is cut off and measured, so memory follows the longest clip.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kangaroo.curation.clip import Clip
from kangaroo.curation.engine.ledger import State
from kangaroo.curation.engine.look import Kept, Look, fitted_px
from kangaroo.curation.engine.step import Seen, Step, dumps, plain
from kangaroo.curation.measures.changes import SMALL_PX, measure_changes
from kangaroo.curation.measures.clips import CutFinder, CutSettings, Cutter, Span, clip_id
from kangaroo.errors import KangarooError, VideoError
from kangaroo.video.decode import read_frames
from kangaroo.video.frames import Frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource
from kangaroo.video.stream import Streamed

_TIDY_S = 1.0  # of film, after which is let go of what no clip needs


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What a worker does with one film.

    Attributes:
        video: The file.
        content: Names its content.
        shown_px: Height and width as shown.
        is_image: One clip without length.
        cut: How to cut it; None where the clips are known.
        finder_of: Returns who finds cuts where the rules do not: a function that a fresh interpreter can import.
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
    finder_of: Callable[[CutSettings], CutFinder | None]
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
    cv2.setNumThreads(1)  # there is a worker for each core
    outcomes: dict[tuple[str, str], tuple[State, str]] = {}
    if errand.is_image:
        clips = list(errand.clips) or [_clip(errand, Span(0.0, 0.0))]
        outcomes.update(_measured(errand, clips[0], _still(errand)))
        return Found(clips=tuple(clips), outcomes=outcomes)
    needed = _needed(errand)
    if errand.cut is None and not needed:
        for clip in errand.clips:
            outcomes.update(_measured(errand, clip, {}))
        return Found(clips=errand.clips, outcomes=outcomes)
    film = Streamed.open(VideoSource(errand.video), is_rough=True)
    cutter = Cutter(errand.cut, errand.finder_of(errand.cut)) if errand.cut is not None else None
    clips = []
    for clip, seen in _clips(errand, film, cutter, needed):
        clips.append(clip)
        outcomes.update(_measured(errand, clip, seen))
    if not film.num_frames:
        raise VideoError(f"{errand.video}: not one frame can be decoded")
    return Found(
        clips=tuple(clips), outcomes=outcomes, num_short=cutter.num_short if cutter else 0, notes=tuple(film.notes)
    )


def _clips(
    errand: Errand, film: Streamed, cutter: Cutter | None, needed: frozenset[Seen]
) -> Iterator[tuple[Clip, Mapping[Seen, Any]]]:
    kept = Kept(errand.look, film, shown_px=errand.shown_px, needed=needed, cutter=cutter)
    waiting = list(errand.clips)
    tidy_s = _TIDY_S
    for time_s, frame in film:
        spans = kept.offer(time_s, frame, wanted=cutter is not None or waiting[0].start_s <= time_s)
        waiting += [_clip(errand, span) for span in spans]
        while waiting and waiting[0].end_s < time_s:
            clip = waiting.pop(0)
            yield clip, kept.of(clip)
        if cutter is None and not waiting:
            return
        if time_s >= tidy_s:
            tidy_s = time_s + _TIDY_S
            open_s = np.inf if cutter is None else cutter.open_since_s
            kept.forget(min([open_s, *(clip.start_s for clip in waiting)]))
    if cutter is not None:
        waiting += [_clip(errand, span) for span in cutter.end(film.timeline.duration_s)]
    for clip in waiting:
        yield clip, kept.of(clip)


def _still(errand: Errand) -> dict[Seen, Any]:
    """Return what is seen of an image."""
    size_px = fitted_px(errand.shown_px, errand.look.stills_px)
    frames = read_frames(VideoSource(errand.video), FrameSampler(), size_px=size_px)
    small = cv2.resize(frames.pixels[0], SMALL_PX[::-1], interpolation=cv2.INTER_AREA)
    glance = Frames(pixels=small[None], times_s=frames.times_s)
    return {
        Seen.STILLS: frames,
        Seen.PAIRS: Frames(pixels=frames.pixels[:0], times_s=frames.times_s[:0]),
        Seen.GLANCES: glance,
        Seen.CHANGES: measure_changes([glance]),
    }


def _needed(errand: Errand) -> frozenset[Seen]:
    """Return what the wanted steps see."""
    wanted = None if errand.cut is not None else frozenset[str]().union(*errand.wanted.values())
    names = {name for step in errand.steps if wanted is None or step.name in wanted for name in step.needs}
    return frozenset(one for one in Seen if one in names)


def _measured(errand: Errand, clip: Clip, seen: Mapping[Seen, Any]) -> dict[tuple[str, str], tuple[State, str]]:
    """Run the wanted steps on a clip."""
    results: dict[str, Any] = dict(errand.known.get(clip.id, {}))
    outcomes: dict[tuple[str, str], tuple[State, str]] = {}
    for step in errand.steps:
        if errand.cut is None and step.name not in errand.wanted.get(clip.id, ()):
            continue
        if problem := _problem(step, results, seen, is_image=errand.is_image):
            outcomes[clip.id, step.name] = State.QUARANTINED, problem
            continue
        inputs = {name: seen[Seen(name)] if name in set(Seen) else results[name] for name in step.needs}
        try:
            results[step.name] = plain(step.function(clip, inputs, step.settings))
            outcomes[clip.id, step.name] = State.DONE, dumps(results[step.name])
        except KangarooError as error:
            results.pop(step.name, None)
            outcomes[clip.id, step.name] = State.QUARANTINED, str(error)
    return outcomes


def _problem(step: Step, results: Mapping[str, Any], seen: Mapping[Seen, Any], *, is_image: bool) -> str | None:
    """Return why a step cannot be done, None where it can."""
    for name in step.needs:
        if name not in set(Seen):
            if name not in results:
                return f"needs {name}, which failed"
        elif not len(seen[Seen(name)]) and not (is_image and name == Seen.PAIRS):
            return "not one frame of the clip can be decoded" if name != Seen.PAIRS else "it has no two frames"
    return None


def _clip(errand: Errand, span: Span) -> Clip:
    return Clip(id=clip_id(errand.content, span), video=errand.video, start_s=span.start_s, end_s=span.end_s)
