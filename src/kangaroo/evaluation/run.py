"""Ask an `Answerer` the questions of the playground and write down every answer. Imports without torch.

`answers.jsonl` gets a line as each answer ends, so a run that is cut off goes on where it was; `run.json` says what is
asked and who answers, and a run that differs is refused.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from time import perf_counter
from typing import Any

from kangaroo.chat.answerer import Answerer, Sampling
from kangaroo.chat.session import Ask, OpensSessions
from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import OptionError
from kangaroo.evaluation.judge import judge
from kangaroo.evaluation.playground import Item, Part, Playground, drawn, make_playground
from kangaroo.evaluation.report import Report, make_report

logger = logging.getLogger(__name__)

_FORMAT = "kangaroo-evaluation-1"
_MAX_NEW_TOKENS = {Part.DESCRIBE: 640, Part.OPEN: 64}
_PROBE = ("A", "The red circle enters from the left.", "蓝色方形向左移动。")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One question answered.

    `first_s` is how long the first words took from being asked; `is_cold` says that the film had not been shown
    before, so that these seconds hold everything. `num_frames` is 0 where no film was shown. Tokens are None where an
    endpoint does not tell.
    """

    id: str
    part: Part
    family: str
    language: str
    film: int
    question: str
    expected: str
    output: str
    parsed: str | None
    right: bool
    score: float
    truth: float | None
    num_frames: int
    is_cold: bool
    first_s: float
    prompt_tokens: int | None
    new_tokens: int | None
    finish_reason: str | None
    timings_s: dict[str, float] = field(default_factory=dict)


def evaluate_playground(
    answerer: Answerer,
    out: str | Path,
    *,
    num_questions: int = 2000,
    seed: int = 0,
    parts: Sequence[Part] = tuple(Part),
    films: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
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
        progress: Called with the number of answers so far and of all questions.

    Raises:
        OptionError: The number of questions is impossible, or `out` holds a run of another model or other questions.
        KangarooError: A question could not be answered; what was answered is kept.
    """
    out = Path(out)
    playground = make_playground(num_questions=num_questions, seed=seed, parts=parts)
    about = {
        "format": _FORMAT,
        "model": answerer.name,
        "likelihoods": _likelihoods(answerer),
        "sampler": answerer.frame_sampler.to_dict() if isinstance(answerer, OpensSessions) else None,
        "num_questions": num_questions,
        "seed": seed,
        "parts": [part for part in Part if part in parts],
        "questions": playground.digest(),
    }
    out.mkdir(parents=True, exist_ok=True)
    _agree(out / "run.json", about)
    records = _kept(out / "answers.jsonl")
    known = {record.id for record in records}
    left = [item for item in playground.items if item.id not in known]
    if known:
        logger.info("%s: %d of %d questions were answered before", out, len(known), len(playground.items))
    with (out / "answers.jsonl").open("a", encoding="utf-8") as file:
        for record in _answers(answerer, playground, left, Path(films) if films else out / "films"):
            file.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
            file.flush()
            records.append(record)
            if progress is not None:
                progress(len(records), len(playground.items))
    order = {item.id: place for place, item in enumerate(playground.items)}
    records.sort(key=lambda record: order[record.id])
    report = make_report(about, playground, [asdict(record) for record in records])
    report.write(out)
    return report


def _answers(answerer: Answerer, playground: Playground, items: Sequence[Item], folder: Path) -> Iterator[Record]:
    """Yield answers film by film: with a memory, only a question's own words are read anew."""
    for (shown, place), group in groupby(
        items, key=lambda item: (item.shows_film, item.film if item.shows_film else 0)
    ):
        path = drawn(playground.films[place], folder) if shown else folder
        ask: Ask = answerer.remembering() if isinstance(answerer, OpensSessions) else answerer.answer
        for number, item in enumerate(group):
            yield _record(item, ask, path, is_cold=number == 0)


def _record(item: Item, ask: Ask, path: Path, *, is_cold: bool) -> Record:
    began = perf_counter()
    answer = ask(item.conversation(path), Sampling(max_new_tokens=_MAX_NEW_TOKENS.get(item.part, 16)))
    first_s: float | None = None
    for _ in answer:
        first_s = perf_counter() - began if first_s is None else first_s
    verdict = judge(item, answer.text)
    return Record(
        id=item.id,
        part=item.part,
        family=item.family,
        language=item.language,
        film=item.film,
        question=item.question,
        expected=item.expected,
        output=answer.text,
        parsed=verdict.parsed,
        right=verdict.right,
        score=verdict.score,
        truth=verdict.truth,
        num_frames=sum(map(len, answer.times_s)),
        is_cold=is_cold,
        first_s=perf_counter() - began if first_s is None else first_s,
        prompt_tokens=answer.prompt_tokens,
        new_tokens=answer.new_tokens,
        finish_reason=answer.finish_reason,
        timings_s=answer.timings_s,
    )


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
