"""Ask the playground's questions, judge each answer as it comes and report. Imports without torch."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kangaroo.alone import alone_in
from kangaroo.chat.answerer import Answerer
from kangaroo.errors import OptionError
from kangaroo.evaluation.asking import Asked, Pace, Reply, sampler_of
from kangaroo.evaluation.films import Drawing, Films
from kangaroo.evaluation.json_files import Line
from kangaroo.evaluation.judge import judge
from kangaroo.evaluation.playground import Item, Part, Playground, make_playground
from kangaroo.evaluation.report import Report, make_report
from kangaroo.evaluation.runner import Progress, Run, examine
from kangaroo.playground.vocabulary import Style
from kangaroo.video.sampler import FrameSampler

_MAX_NEW_TOKENS = {Part.DESCRIBE: 640, Part.OPEN: 64}


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
        run = examine_films(answerer, out, exam, shelf, about=about, pace=pace, progress=progress)
    report = make_report(run.about, exam, run.lines, speed=run.speed)
    report.write(out)
    return report


def examine_films(
    answerer: Answerer,
    out: Path,
    exam: Playground,
    films: Films,
    *,
    about: dict[str, Any],
    pace: Pace,
    progress: Progress | None,
) -> Run:
    """Ask what was not asked before about drawn films; each line holds the question, the answer and the verdict.

    Raises:
        OptionError: `out` holds a run of another model or other questions, or another process writes into it.
        KangarooError: A question could not be answered; what was answered is kept.
    """
    sampler = sampler_of(answerer) or FrameSampler()
    items = {item.id: item for item in exam.items}
    with alone_in(out):
        return examine(
            answerer,
            out,
            [_asked(exam, item, films, sampler) for item in exam.items],
            about={**about, "questions": exam.digest()},
            pace=pace,
            before=lambda left: films.ahead(exam.films[items[one.id].film] for one in left if items[one.id].shows_film),
            keep=lambda reply: _line(items[reply.id], reply),
            progress=progress,
        )


def _asked(exam: Playground, item: Item, films: Films, sampler: FrameSampler) -> Asked:
    film = exam.films[item.film]
    return Asked(
        id=item.id,
        film=item.film if item.shows_film else None,
        conversation=lambda: item.conversation(films.get(film) if item.shows_film else films.folder),
        max_new_tokens=_MAX_NEW_TOKENS.get(item.part, 16),
        num_frames=len(sampler.wanted_times(film.duration_s)) if item.shows_film else 0,
    )


def _line(item: Item, reply: Reply) -> Line:
    verdict = judge(item, reply.output)
    return {
        **asdict(reply),
        "pair": item.pair,
        "part": item.part,
        "family": item.family,
        "language": item.language,
        "film": item.film,
        "question": item.question,
        "expected": item.expected,
        "names_sprite": item.names_sprite,
        "parsed": verdict.parsed,
        "right": verdict.right,
        "score": verdict.score,
        "truth": verdict.truth,
        "off_s": verdict.off_s,
    }
