"""Ask an `Answerer` many questions and keep every answer as it comes. Imports without torch.

`answers.jsonl` gets a line as each answer ends, so a run that is cut off goes on where it was; `run.json` says what is
asked and who answers, and a run that differs is refused.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from time import perf_counter
from typing import Any

from kangaroo.chat.answerer import Answerer
from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import OptionError
from kangaroo.evaluation.asking import Asked, OnFailure, Pace, Reply, at_once, in_order, one_by_one, sampler_of
from kangaroo.evaluation.json_files import Line, adding, read_lines, replace_json

logger = logging.getLogger(__name__)

ANSWERS, ABOUT = "answers.jsonl", "run.json"
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
        out: The folder of `answers.jsonl` and `run.json`; whoever calls is `alone_in` it.
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
    with adding(out / ANSWERS) as add:
        for reply in replies:
            lines[reply.id] = line = keep(reply)
            add(line)
            if progress is not None:
                progress(len(lines), len(asked))
    speed = {**asdict(pace), "asked": len(left), "seconds": perf_counter() - began}
    return Run(about=dict(about), lines=[lines[one.id] for one in asked], speed=speed)


def read_answers(path: Path) -> list[Line]:
    """Return what was kept; of a question asked twice the later line, but never a failure for an answer.

    Raises:
        OptionError: A line is damaged.
    """
    wanted = {field.name for field in fields(Reply)}
    kept: dict[str, Line] = {}
    for line in read_lines(path, lambda one: wanted <= one.keys() and isinstance(one["id"], str)):
        if line["failure"] is None or kept.get(line["id"], line)["failure"] is not None:
            kept[line["id"]] = line
    return list(kept.values())


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
        replace_json(path, about)
        return
    before = read_about(path.parent)
    if name := differing(before, about, about):
        raise OptionError(
            f"{path.parent} holds a run with {name} {_short(before.get(name))}, this one has {_short(about[name])}; "
            "give another folder, or delete that one"
        )


def differing(first: Mapping[str, Any], second: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """Return the first of some names under which two runs do not say the same of themselves."""
    for name in names:
        one, other = first.get(name), second.get(name)
        if one != other and not (name == "likelihoods" and _alike(one, other)):
            return name
    return None


def _alike(first: Any, second: Any) -> bool:
    """Whether two lists of likelihoods differ by no more than machines and numbers of threads do."""
    if not isinstance(first, list) or not isinstance(second, list) or len(first) != len(second):
        return False
    return all(abs(one - other) < 0.02 for one, other in zip(first, second, strict=True))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
