"""Write a film to a file, and beside it what is true of it."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from kangaroo.errors import OptionError
from kangaroo.playground.film import Film, Scene, does
from kangaroo.playground.questions import questions
from kangaroo.playground.render import Renderer
from kangaroo.playground.rounds import in_words, phrase_in
from kangaroo.playground.script import MAX_THINGS
from kangaroo.playground.vocabulary import PLACES, Language, Style
from kangaroo.playground.wording import heard
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.write import write_video


def draw(film: Film, folder: Path) -> tuple[Path, Path]:
    """Write `film.mp4` and `facts.json` into a folder, made where it is missing, and return both paths.

    >>> draw(make_film(seed=1), Path("out"))

    Raises:
        OptionError: The folder or the facts cannot be written.
        VideoError: The film cannot be written.
    """
    video, told = folder / "film.mp4", folder / "facts.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        told.write_text(json.dumps(facts(film), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OptionError(f"{error.filename}: cannot be written ({error.strerror}); name another folder") from None
    write_film(film, video)
    return video, told


def write_film(film: Film, path: Path, *, sampler: FrameSampler | None = None, style: Style = Style.FLUENT) -> None:
    """Draw a film at its own size into an mp4 file.

    Args:
        film: What happens.
        path: Replaced where it exists.
        sampler: None draws every frame of the film's rate. With a sampler the file is as long and gives that sampler
            the same frames at the same seconds, but holds hardly any others: a tenth of the work.
        style: Who drew the sprites.

    Raises:
        OptionError: The style's pictures are not installed.
        VideoError: The file cannot be written.
    """
    if sampler is None:
        write_video(path, _pictures(film, film.frame_times_s, style), fps=float(film.fps))
        return
    times_s = _seen_times(film, sampler)
    write_video(path, _pictures(film, times_s, style), times_s=times_s)


def _seen_times(film: Film, sampler: FrameSampler) -> Float64[np.ndarray, " frame"]:
    """Return the seconds of a film's frames that a sampler takes; of its first frame, from which times count; and of
    one last frame, halfway between the last taken and the end, which gives the file the film's length.
    """
    taken = film.taken_times_s(sampler)
    return np.unique([0.0, *taken, (taken[-1] + film.num_frames / film.fps) / 2])


def facts(film: Film) -> dict[str, Any]:
    """Return who is there, what happens when, and every question with its answer, in both languages."""
    return {
        "seed": film.seed,
        "duration_s": film.duration_s,
        "width_px": film.width_px,
        "height_px": film.height_px,
        "fps": film.fps,
        "scenes": [_scene(scene) for scene in film.scenes],
        "questions": list(_asked(film)),
    }


def _scene(scene: Scene) -> dict[str, Any]:
    names = [thing.look.name._asdict() for thing in scene.things]
    return {
        "start_s": scene.start_s,
        "end_s": scene.end_s,
        "things": [
            {"name": name, "place": PLACES[thing.cell]._asdict(), "arrives_s": scene.arrival_s(index)}
            for index, (name, thing) in enumerate(zip(names, scene.things, strict=True))
        ],
        "events": [
            {
                "start_s": event.start_s,
                "end_s": event.end_s,
                "thing": names[event.thing],
                "verb": event.verb,
                "does": does(event, scene)._asdict(),
            }
            for event in scene.events
        ],
    }


def _asked(film: Film) -> Iterator[dict[str, Any]]:
    for question in questions(film, random.Random(film.seed)):
        yield {
            "family": question.family,
            "question": {
                language: in_words(question, heard(question.template, language)[0], language) for language in Language
            },
            "answer": question.answer._asdict(),
            "wrong": [{language: phrase_in(wrong, language) for language in Language} for wrong in question.wrong],
        }


def _pictures(
    film: Film, times_s: Float64[np.ndarray, " frame"], style: Style
) -> Iterator[UInt8[np.ndarray, "row column rgb"]]:
    """Draw frame by frame; while nothing moves, the picture before serves again."""
    renderer = Renderer("cpu", style=style)
    shown, picture = b"", None
    for time_s in times_s:
        moment = np.array([time_s])
        state = bytes([film.scene_at(time_s)]) + film.states(moment, num_slots=MAX_THINGS).tobytes()
        if picture is None or state != shown:
            picture = renderer.draw(film, moment, height_px=film.height_px, width_px=film.width_px)[0].numpy()
            shown = state
        yield picture
