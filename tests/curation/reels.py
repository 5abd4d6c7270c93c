"""Films of scenes that differ, a pipeline over them, and steps whose results are easy to foresee.

Axes: frame, height, width.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kangaroo.curation.engine.pipeline import Pipeline
from kangaroo.curation.engine.recipe import Recipe
from kangaroo.curation.engine.step import Seen, Step
from kangaroo.curation.wiring import RULES, SETTINGS, pipeline
from kangaroo.data.record import Record, Said
from kangaroo.dialogue.conversation import Role
from kangaroo.errors import VideoError
from kangaroo.video.write import write_video

ENGINE_RULES = tuple(rule for rule in RULES if rule.name in ("duration", "size", "duplicates"))


def scenes(seed: int, count: int, *, height: int = 240, width: int = 320) -> list[np.ndarray]:
    """Pictures of random blocks, none like another."""
    blocks = np.random.default_rng(seed).integers(0, 255, (count, 6, 8, 3), dtype=np.uint8)
    return [np.kron(block, np.ones((height // 6, width // 8, 1), np.uint8)) for block in blocks]


def draw_reel(
    path: Path, pictures: Sequence[np.ndarray], *, seconds: Sequence[float], fps: int = 10, shrink: int = 1, **options
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = (
        np.ascontiguousarray(with_mover(picture, number)[::shrink, ::shrink])
        for picture, length_s in zip(pictures, seconds, strict=True)
        for number in range(round(length_s * fps))
    )
    write_video(path, frames, fps=float(fps), preset="ultrafast", **options)
    return path


def with_mover(picture: np.ndarray, number: int) -> np.ndarray:
    """The picture with a square that goes its way on it."""
    moved = picture.copy()
    left = 3 * number % (picture.shape[1] - 32)
    moved[16:48, left : left + 32] = (255, 255, 255)
    return moved


def recipe_over(folder: Path, out: Path, **changes) -> Recipe:
    steps = {name: kind() for name, kind in SETTINGS.items()} | changes.pop("steps", {})
    keep = {rule.name: rule.bounds for rule in RULES} | changes.pop("keep", {})
    return Recipe(videos=(str(folder),), out=out, steps=steps, keep=keep, **changes)


def parts_of(recipe: Recipe, *steps: Step, **changes) -> Pipeline:
    """The engine alone: of our own steps the fingerprint, which copies are found by, and no words."""
    parts = pipeline(recipe)
    own = [step for step in parts.steps if step.name == "fingerprint"]
    values = {"rules": ENGINE_RULES, "writing_on": lambda _: {}, "choose": None, "records": None} | changes
    return replace(parts, steps=(*own, *steps), **values)


def brightness(clip, inputs, settings):
    """A step for a worker: what the engine shows is what is there."""
    frames = inputs[Seen.GLANCES]
    mean = float(np.round(frames.pixels.mean(), 6))
    return {"mean": mean, "count": len(frames), "first_s": float(frames.times_s[0]), "is_dark": mean < 20}


def doubled(clip, inputs, settings):
    return {"mean": 2 * inputs["brightness"]["mean"]}


def troubled(clip, inputs, settings):
    """Hangs on one film and fails on another."""
    if clip.video.stem == "hangs":
        time.sleep(600)
    if clip.video.stem == "fails":
        raise VideoError("cannot be measured")
    return {"value": 1}


BRIGHTNESS = Step(name="brightness", version=1, settings=(), needs=(Seen.GLANCES,), function=brightness)
DOUBLED = Step(name="doubled", version=1, settings=(), needs=("brightness",), function=doubled)
TROUBLED = Step(name="troubled", version=1, settings=(), needs=(Seen.GLANCES,), function=troubled)


def one_record(clip, results, medium):
    """A record of a clip whose answer is its caption, or else its brightness."""
    said = results["caption"]["said"] if "caption" in results else f"Brightness {results['brightness']['mean']:.1f}."
    turns = (Said(Role.USER, (medium, "What is seen?")), Said(Role.ASSISTANT, (said,)))
    yield Record(id=clip.id, source="drawn", language="en", licence="CC0-1.0", task="caption", turns=turns)
