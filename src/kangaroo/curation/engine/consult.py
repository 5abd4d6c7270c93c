"""Run on one kept clip the steps that wait for models. Its key frames are decoded once for all of them."""

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from kangaroo.curation.clip import Clip
from kangaroo.curation.engine.ledger import CurationError, State, Unit
from kangaroo.curation.engine.pipeline import Pipeline
from kangaroo.curation.engine.pool import Desks
from kangaroo.curation.engine.step import Seen, Step, dumps
from kangaroo.curation.measures.key_frames import KeyFrameSettings, pick_key_frames
from kangaroo.errors import EndpointError, KangarooError
from kangaroo.video.decode import read_frames
from kangaroo.video.frames import Frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

_CANDIDATES = 4  # pictures that each key frame is picked among


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be asked about a clip.

    Attributes:
        clip: The clip.
        steps: Pending ones, in the order of their needs.
        known: Results that are there, by step.
        failed: Steps that failed for good before.
        size_px: Height and width of the pictures shown.
    """

    clip: Clip
    steps: tuple[Step, ...]
    known: Mapping[str, Any]
    failed: frozenset[str]
    size_px: tuple[int, int]


def consult(question: Question, parts: Pipeline, desks: Desks, *, time_s: float) -> list[Unit]:
    """Return what came of each step: an endpoint that fails, or the lack of what it needs, leaves it blocked."""
    results, failed = dict(question.known), set(question.failed)
    units = []
    for step in question.steps:
        try:
            state, told = _outcome(step, question, results, failed, parts, desks, time_s=time_s)
        except EndpointError as error:
            state, told = State.BLOCKED, str(error)
        except CurationError:
            raise
        except KangarooError as error:
            state, told = State.QUARANTINED, str(error)
        if state is State.DONE:
            results[step.name] = json.loads(told)
        elif state is State.QUARANTINED:
            failed.add(step.name)
        units.append(Unit(signature=parts.signatures[step.name], subject=question.clip.id, state=state, told=told))
    return units


def _outcome(
    step: Step,
    question: Question,
    results: dict[str, Any],
    failed: Set[str],
    parts: Pipeline,
    desks: Desks,
    *,
    time_s: float,
) -> tuple[State, str]:
    clip = question.clip
    if missing := [name for name in step.needs if name not in results and name != Seen.KEY_FRAMES]:
        if bad := [name for name in missing if name in failed]:
            return State.QUARANTINED, f"needs {bad[0]}, which failed"
        return State.BLOCKED, f"needs {missing[0]}"
    if step.looks and Seen.KEY_FRAMES not in results:
        found = desks.call(
            key_frames_of, clip, parts.key_frames, question.size_px, parts.writing_on(results),
            name=str(clip.video), time_s=time_s, doing="decoding it",
        )  # fmt: skip
        if not len(found):
            return State.QUARANTINED, "no picture of the clip is worth showing"
        results[Seen.KEY_FRAMES] = found
    return State.DONE, dumps(step.function(clip, {name: results[name] for name in step.needs}, step.settings))


def key_frames_of(
    clip: Clip, settings: KeyFrameSettings, size_px: tuple[int, int], writing: Mapping[float, float]
) -> Frames:
    """Return the pictures of a clip that models are shown; none where all are black. Runs in a worker.

    Args:
        clip: The clip.
        settings: How they are picked.
        size_px: Their height and width.
        writing: Share of the picture that writing covers, at the seconds where somebody measured.

    Raises:
        VideoError: The clip cannot be decoded.
    """
    source = VideoSource(clip.video)
    if clip.end_s == clip.start_s:
        return read_frames(source, FrameSampler(), size_px=size_px)
    sampler = FrameSampler(num_frames=_CANDIDATES * settings.num_frames, start_s=clip.start_s, end_s=clip.end_s)
    frames = read_frames(source, sampler, size_px=size_px)
    text = [_nearest(writing, time_s) for time_s in frames.times_s.tolist()] if writing else None
    picked = pick_key_frames(frames, settings, start_s=clip.start_s, end_s=clip.end_s, text=text)
    places = [one.place for one in picked]
    return Frames(pixels=frames.pixels[places], times_s=frames.times_s[places])


def _nearest(writing: Mapping[float, float], time_s: float) -> float:
    return writing[min(writing, key=lambda known_s: abs(known_s - time_s))]
