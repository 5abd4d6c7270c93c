"""Ask any questions about many films and write a line for each, in the questions' order.

Answers are kept as they come in a folder beside the output, each under a hash of all that was asked: a run that was
cut off goes on, and a question added to the file costs only itself. Imports without torch.
"""

import hashlib
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from kangaroo.alone import alone_in
from kangaroo.chat.answerer import Answerer
from kangaroo.errors import OptionError, VideoError
from kangaroo.evaluation.ahead import Ahead
from kangaroo.evaluation.asking import Asked, OnFailure, Pace, Reply, sampler_of
from kangaroo.evaluation.json_files import Line as Kept
from kangaroo.evaluation.json_files import replace_lines
from kangaroo.evaluation.question_file import FilmQuestion, Line, Look, read_questions
from kangaroo.evaluation.runner import ABOUT, Progress, examine
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

_KEPT = ("times_s", "notes", "finish_reason", "prompt_tokens", "new_tokens")


def answer_questions(
    answerer: Answerer,
    questions: Path,
    out: Path,
    *,
    default: Look = Look(),
    pace: Pace = Pace(),
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Ask every line of a file and write a line for each to `out`; return those lines.

    >>> answer_questions(kangaroo.load("joey"), Path("questions.jsonl"), Path("answers.jsonl"))

    Args:
        answerer: Who answers, greedily.
        questions: A file as `read_questions` takes it. Paths of films count from its folder.
        out: Written when all is asked. What was answered stays in `OUT.run`; of that only failures are asked again.
        default: What lines do not say.
        pace: How many questions are asked at once, and how many films are read ahead.
        progress: Called with the numbers of questions answered and of all.

    Raises:
        OptionError: The questions cannot be read, `out` is no file of ours, `OUT.run` is of another model, or another
            process writes into it.
    """
    kept_in = _folder_of(out, questions)
    lines = read_questions(questions, default=default)
    folder, rule = questions.resolve().parent, sampler_of(answerer) or FrameSampler()
    asked = {line.number: _asked(line.asked, folder, rule) for line in lines if line.asked is not None}
    films = {film: place for place, film in enumerate(dict.fromkeys(one.film for one in asked.values()))}
    once = sorted({one.id: one for one in asked.values()}.values(), key=lambda one: films[one.film])
    with alone_in(kept_in), Ahead(answerer, once, pace.workers) as ahead:
        run = examine(
            answerer,
            kept_in,
            ahead.asked,
            about={"exam": "batch"},
            pace=pace,
            before=ahead.begin,
            on_failure=OnFailure.GO_ON,
            progress=progress,
        )
        kept = {line["id"]: line for line in run.lines}
        written = [
            _written(line, kept[asked[line.number].id] if line.number in asked else None, run.about["model"])
            for line in lines
        ]
        replace_lines(out, written)
    return written


def _folder_of(out: Path, questions: Path) -> Path:
    """Return where answers are kept as they come; what is not ours is not written over."""
    folder = out.with_name(f"{out.name}.run")
    if out.is_dir():
        raise OptionError(f"{out} is a folder; name a file for the answers")
    if out.exists() and (not (folder / ABOUT).exists() or out.samefile(questions)):
        raise OptionError(f"{out} exists and holds no answers of this command; name another file, or delete it")
    return folder


def _asked(wanted: FilmQuestion, folder: Path, rule: FrameSampler) -> Asked:
    film, sampler = _print_of(wanted.source(folder)), wanted.look.sampler(rule)
    subtitles = None if wanted.subtitles is None else _print_of(VideoSource(folder / wanted.subtitles))
    what = [film, sampler.to_dict(), subtitles, wanted.question, wanted.look.max_new_tokens]
    return Asked(
        id=hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32],
        film=(film, sampler),
        conversation=partial(wanted.conversation, folder, rule),
        max_new_tokens=wanted.look.max_new_tokens,
        num_frames=0 if film is None else sampler.num_frames or sampler.max_frames,  # at most
    )


def _print_of(source: VideoSource | None) -> str | None:
    """Return what changes when a file does, so that it is asked about again; its name alone where it is missing."""
    if source is None:
        return None
    try:
        return source.fingerprint()
    except VideoError:
        return source.name


def _written(line: Line, kept: Kept | None, model: str) -> dict[str, Any]:
    reply = kept or asdict(Reply(id="", failure=line.fault))
    return {
        "id": line.id,
        "line": line.number,
        "video": line.asked and line.asked.video,
        "question": line.asked and line.asked.question,
        "answer": None if reply["failure"] is not None else reply["output"],
        "model": model,
        "frames": reply["num_frames"],
        **{name: reply[name] for name in _KEPT},
        "timings_s": {name: round(seconds, 6) for name, seconds in reply["timings_s"].items()},
        "failure": reply["failure"],
    }
