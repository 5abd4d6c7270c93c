"""Ask an `Answerer` many questions and keep every answer as it comes. Imports without torch.

`answers.jsonl` gets a line as each answer ends, so a run that is cut off goes on where it was; `run.json` says what is
asked and who answers, and a run that differs is refused.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from time import perf_counter
from typing import Any

from kangaroo.chat.answerer import Answerer
from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import OptionError
from kangaroo.evaluation.asking import Asked, OnFailure, Pace, Reply, at_once, in_order, one_by_one, sampler_of

logger = logging.getLogger(__name__)

ANSWERS, ABOUT = "answers.jsonl", "run.json"
Line = dict[str, Any]
Progress = Callable[[int, int], None]
FORMAT = "kangaroo-evaluation-4"
_PROBE = ("A", "The red circle enters from the left.", "蓝色方形向左移动。")


@dataclass(frozen=True, kw_only=True)
class Run:
    """An examination that is over.

    Attributes:
        about: What was asked and who answered.
        lines: What was kept of each answer, in the order of the questions.
        speed: How fast it went.
    """

    about: dict[str, Any]
    lines: list[Line]
    speed: dict[str, Any]


def examine(
    answerer: Answerer,
    out: Path,
    asked: Sequence[Asked],
    *,
    about: Mapping[str, Any],
    pace: Pace,
    before: Callable[[Sequence[Asked]], None] | None = None,
    keep: Callable[[Reply], Line] = asdict,
    on_failure: OnFailure = OnFailure.STOP,
    progress: Progress | None = None,
) -> Run:
    """Ask what was not answered before and keep every answer in `out` as it comes.

    Args:
        answerer: Who answers, greedily.
        out: The folder of `answers.jsonl` and `run.json`.
        asked: All questions, also those answered before; what failed before is asked again.
        about: What `out` may hold no other of.
        pace: How many are asked at once.
        before: Called with what is left to ask, in the order of asking.
        keep: Turns a reply into its line: the reply's own fields and others.
        on_failure: Whether a question that cannot be answered ends the run.
        progress: Called with the number of lines so far and of all questions.

    Raises:
        OptionError: `out` holds a run of another model or other questions.
        KangarooError: A question could not be answered and `on_failure` stops there; what was answered is kept.
    """
    sampler = sampler_of(answerer)
    about = {
        "format": FORMAT,
        "model": answerer.name,
        "likelihoods": _likelihoods(answerer),
        "sampler": None if sampler is None else sampler.to_dict(),
        **about,
    }
    out.mkdir(parents=True, exist_ok=True)
    _agree(out / ABOUT, about)
    lines = {line["id"]: line for line in read_answers(out / ANSWERS) if line["failure"] is None}
    left = [one for one in asked if one.id not in lines]
    if lines:
        logger.info("%s: %d of %d questions were answered before", out, len(lines), len(asked))
    if pace.batch > 1:
        left = in_order(left)
    if before is not None:
        before(left)
    began = perf_counter()
    replies = (
        at_once(answerer, left, on_failure, batch=pace.batch)
        if pace.batch > 1
        else one_by_one(answerer, left, on_failure)
    )
    mend(out / ANSWERS)
    with (out / ANSWERS).open("a", encoding="utf-8") as file:
        for reply in replies:
            line = keep(reply)
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            lines[reply.id] = line
            if progress is not None:
                progress(len(lines), len(asked))
    speed = {**asdict(pace), "asked": len(left), "seconds": perf_counter() - began}
    return Run(about=dict(about), lines=[lines[one.id] for one in asked], speed=speed)


def read_answers(path: Path) -> list[Line]:
    """Return what was kept; of a question asked twice only the later line. A last line that was cut off is left out.

    Raises:
        OptionError: A line is damaged.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")  # a cut may go through a character
    wanted = {field.name for field in fields(Reply)}
    kept = {}
    for number, text in enumerate(lines[:-1], start=1):
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict) or not wanted <= line.keys() or not isinstance(line["id"], str):
            raise OptionError(f"{path}: line {number} is damaged; delete that line, or give another folder")
        kept[line["id"]] = line
    return list(kept.values())


def mend(path: Path) -> None:
    """Take a last line that was cut off out of the file, so that the next does not go on with it."""
    if path.exists():
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            os.truncate(path, data.rfind(b"\n") + 1)


def read_about(folder: Path) -> dict[str, Any]:
    """Return what a run says of itself.

    Raises:
        OptionError: The folder holds no run, or it is damaged.
    """
    path = folder / ABOUT
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError:
        raise OptionError(f"{folder} holds no run: {ABOUT} is missing; give a folder that --out named") from None
    except (ValueError, TypeError):
        raise OptionError(f"{path}: damaged; give another folder, or delete this one") from None


def _likelihoods(answerer: Answerer) -> list[float] | None:
    """Return how likely the model finds a few answers: two models of one name are told apart by them."""
    try:
        return [round(one.nats, 4) for one in answerer.score(Conversation().ask("What happens?"), _PROBE)]
    except OptionError:
        return None  # an endpoint that cannot score: its name must do


def _agree(path: Path, about: Mapping[str, Any]) -> None:
    """Write down what this run is, or refuse to mix it with another one."""
    if not path.exists():
        path.write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return
    before = read_about(path.parent)
    for name, value in about.items():
        if name == "likelihoods" and _alike(before.get(name), value):
            continue
        if before.get(name) != value:
            raise OptionError(
                f"{path.parent} holds a run with {name} {_short(before.get(name))}, this one has {_short(value)}; "
                "give another folder, or delete that one"
            )


def _alike(first: Any, second: Any) -> bool:
    """Whether two lists of likelihoods differ by no more than machines and numbers of threads do."""
    if not isinstance(first, list) or not isinstance(second, list) or len(first) != len(second):
        return False
    return all(abs(one - other) < 0.02 for one, other in zip(first, second, strict=True))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
