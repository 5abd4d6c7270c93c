"""Run an examination and write down every answer. Imports without torch.

`answers.jsonl` gets a line as each answer ends, so a run that is cut off goes on where it was; `run.json` says what is
asked and who answers, and a run that differs is refused.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from kangaroo.chat.answerer import Answerer
from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import OptionError
from kangaroo.evaluation.asking import Pace, Record, at_once, in_order, one_by_one, sampler_of
from kangaroo.evaluation.films import Drawing, Films
from kangaroo.evaluation.playground import Part, Playground, make_playground
from kangaroo.evaluation.report import Report, make_report
from kangaroo.playground.vocabulary import Style

logger = logging.getLogger(__name__)

_FORMAT = "kangaroo-evaluation-2"
Progress = Callable[[int, int], None]
_PROBE = ("A", "The red circle enters from the left.", "蓝色方形向左移动。")


def evaluate_playground(
    answerer: Answerer,
    out: str | Path,
    *,
    num_questions: int = 2000,
    seed: int = 0,
    parts: Sequence[Part] = tuple(Part),
    films: str | Path | None = None,
    style: Style = Style.FLUENT,
    drawing: Drawing = Drawing.WHOLE,
    pace: Pace = Pace(),
    progress: Progress | None = None,
) -> Report:
    """Ask everything that was not asked before, then write `report.json` and `report.md` into the folder `out`.

    >>> print(evaluate_playground(kangaroo.load("joey"), "runs/joey").markdown())

    Args:
        answerer: Who answers, greedily.
        out: Where answers and reports go. What a run with the same questions and model left there is kept.
        num_questions: Lettered questions; see `make_playground`.
        seed: Of the films and questions.
        parts: Which ways of asking.
        films: Where drawn films are kept for further runs; `out/films` when not given.
        style: Who drew the sprites. The questions are the same in every style.
        drawing: Whether whole films are drawn, or only what the model's sampler takes of them.
        pace: How many questions are asked at once, and how many processes draw films.
        progress: Called with the number of answers so far and of all questions.

    Raises:
        OptionError: The number of questions is impossible, a style is not installed, or `out` holds a run of another
            model or other questions.
        KangarooError: A question could not be answered; what was answered is kept.
    """
    out = Path(out)
    exam = make_playground(num_questions=num_questions, seed=seed, parts=parts)
    sampler = None
    if drawing is Drawing.SEEN and (sampler := sampler_of(answerer)) is None:
        raise OptionError(f"{answerer.name} does not tell which frames it takes; draw whole films")
    about = {
        "num_questions": num_questions,
        "seed": seed,
        "parts": [part for part in Part if part in parts],
        "style": style,
        "drawing": drawing,
    }
    with Films(Path(films) if films else out / "films", sampler=sampler, style=style, workers=pace.workers) as shelf:
        run = examine(answerer, out, exam, shelf, about=about, pace=pace, progress=progress)
    report = make_report(run.about, exam, [asdict(record) for record in run.records], speed=run.speed)
    report.write(out)
    return report


@dataclass(frozen=True, kw_only=True)
class Run:
    """An examination that is over: what it was, every answer in the order of the questions, and how fast it went."""

    about: dict[str, Any]
    records: list[Record]
    speed: dict[str, Any]


def examine(
    answerer: Answerer,
    out: Path,
    exam: Playground,
    films: Films,
    *,
    about: dict[str, Any],
    pace: Pace,
    progress: Progress | None,
) -> Run:
    """Ask what was not asked before and keep every answer in `out` as it comes.

    Raises:
        OptionError: `out` holds a run of another model or other questions.
        KangarooError: A question could not be answered; what was answered is kept.
    """
    sampler = sampler_of(answerer)
    about = {
        "format": _FORMAT,
        "model": answerer.name,
        "likelihoods": _likelihoods(answerer),
        "sampler": None if sampler is None else sampler.to_dict(),
        **about,
        "questions": exam.digest(),
    }
    out.mkdir(parents=True, exist_ok=True)
    _agree(out / "run.json", about)
    records = _kept(out / "answers.jsonl")
    known = {record.id for record in records}
    left = [item for item in exam.items if item.id not in known]
    if known:
        logger.info("%s: %d of %d questions were answered before", out, len(known), len(exam.items))
    if pace.batch > 1:
        left = in_order(exam, left, sampler)
    films.ahead(exam.films[item.film] for item in left if item.shows_film)
    began = perf_counter()
    asked = (
        at_once(answerer, exam, left, films, batch=pace.batch)
        if pace.batch > 1
        else one_by_one(answerer, exam, left, films)
    )
    with (out / "answers.jsonl").open("a", encoding="utf-8") as file:
        for record in asked:
            file.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
            file.flush()
            records.append(record)
            if progress is not None:
                progress(len(records), len(exam.items))
    speed = {**asdict(pace), "asked": len(left), "seconds": perf_counter() - began}
    order = {item.id: place for place, item in enumerate(exam.items)}
    records.sort(key=lambda record: order[record.id])
    return Run(about=about, records=records, speed=speed)


def _likelihoods(answerer: Answerer) -> list[float] | None:
    """Return how likely the model finds a few answers: two models of one name are told apart by them."""
    try:
        return [round(nats, 4) for nats in answerer.score(Conversation().ask("What happens?"), _PROBE)]
    except OptionError:
        return None  # an endpoint that cannot score: its name must do


def _agree(path: Path, about: dict[str, Any]) -> None:
    """Write down what this run is, or refuse to mix it with another one."""
    if not path.exists():
        path.write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return
    try:
        before = dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        raise OptionError(f"{path}: damaged; give another folder, or delete this one") from None
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


def _kept(path: Path) -> list[Record]:
    """Read the answers of before. A last line that was cut off is dropped; that question is asked again."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    if lines[-1]:
        path.write_text("".join(f"{line}\n" for line in lines[:-1]), encoding="utf-8")
    records = {}
    for number, line in enumerate(lines[:-1], start=1):
        try:
            values = json.loads(line)
            record = Record(**{**values, "part": Part(values["part"])})
        except (ValueError, TypeError, KeyError):
            raise OptionError(f"{path}: line {number} is damaged; delete that line, or give another folder") from None
        records[record.id] = record
    return list(records.values())
