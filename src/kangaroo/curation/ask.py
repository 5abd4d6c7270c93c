"""Run on one kept clip the steps that wait for models. Its key frames are decoded once for all of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kangaroo.curation.clip import Clip
from kangaroo.curation.ledger import CurationError, State, Unit
from kangaroo.curation.pipeline import Pipeline
from kangaroo.curation.step import FRAMES, Step, dumps
from kangaroo.curation.watch import pictures_at
from kangaroo.errors import EndpointError, KangarooError
from kangaroo.video.isolate import Errands


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be asked about a clip.

    Attributes:
        clip: The clip.
        steps: Pending ones, in the order of their needs.
        known: Results that are there, by step.
        size_px: Height and width of the pictures shown.
    """

    clip: Clip
    steps: tuple[Step, ...]
    known: Mapping[str, Any]
    size_px: tuple[int, int]


def ask(question: Question, parts: Pipeline, errands: Errands, *, time_s: float) -> list[Unit]:
    """Return what came of each step: an endpoint that fails, or the lack of what it needs, leaves it blocked."""
    results = dict(question.known)
    units = []
    for step in question.steps:
        try:
            state, told = _outcome(step, question, results, parts, errands, time_s=time_s)
        except EndpointError as error:
            state, told = State.BLOCKED, str(error)
        except CurationError:
            raise
        except KangarooError as error:
            state, told = State.QUARANTINED, str(error)
        if state is State.DONE:
            results[step.name] = json.loads(told)
        units.append(Unit(signature=parts.signatures[step.name], subject=question.clip.id, state=state, told=told))
    return units


def _outcome(
    step: Step, question: Question, results: dict[str, Any], parts: Pipeline, errands: Errands, *, time_s: float
) -> tuple[State, str]:
    clip = question.clip
    if missing := [name for name in step.needs if name != FRAMES and name not in results]:
        return State.BLOCKED, f"needs {missing[0]}"
    if step.looks and FRAMES not in results:
        assert parts.key_times is not None, f"{step.name} is shown pictures, so somebody must pick them"
        times_s = parts.key_times(clip, results)
        if not times_s:
            return State.QUARANTINED, "no picture of the clip is worth showing"
        results[FRAMES] = errands.call(
            pictures_at, clip.video, times_s, question.size_px, name=str(clip.video), time_s=time_s, doing="decoding it"
        )
    return State.DONE, dumps(step.function(clip, {name: results[name] for name in step.needs}, step.settings))
