"""Runs of benchmarks as folders: report on one, score it again under other rules, join shards, compare two.

A folder holds `run.json` (what was asked and who answered), `questions.jsonl`, `answers.jsonl` (as they came),
`sessions.jsonl` (how fast, where), `pictures.jsonl` (of the report's examples) and the reports. Nothing here needs a
model or the data set. Imports without torch.
"""

import logging
from collections.abc import Hashable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from kangaroo.alone import alone_in, make_folder
from kangaroo.chat.answerer import Answerer
from kangaroo.errors import OptionError
from kangaroo.evaluation.benchmark import Benchmark, Question, Rules
from kangaroo.evaluation.json_files import Line, adding, read_lines, replace_json, replace_lines
from kangaroo.evaluation.referee import JUDGEMENTS, Referee
from kangaroo.evaluation.result_report import BenchmarkReport
from kangaroo.evaluation.results import Judged, figures, judge_all
from kangaroo.evaluation.runner import ABOUT, ANSWERS, FORMAT, differing, read_about, read_answers
from kangaroo.evaluation.score import cluster_bootstrap

logger = logging.getLogger(__name__)

QUESTIONS, SESSIONS, PICTURES = "questions.jsonl", "sessions.jsonl", "pictures.jsonl"
_OF_ONE_RUN = ("benchmark", "model", "likelihoods", "rules", "sampler", "shown", "questions")


def report_on(
    benchmark: Benchmark,
    out: Path,
    about: dict[str, Any],
    judged: Sequence[Judged],
    rules: Rules,
    *,
    total: int,
    referee: Referee,
) -> BenchmarkReport:
    """Write the report of judged questions, and what is submitted where labels are hidden, into a run's folder.

    `total` is the number of questions, those that were not reached yet too. Under other rules than the run's own both
    files carry the rules in their names, and the run's stay as they were.
    """
    shown = next((one.question for one in judged if not one.question.fault), None)
    report = BenchmarkReport(
        values={
            "about": about,
            "title": benchmark.title,
            "source": benchmark.source,
            "sessions": _sessions(out),
            "judge": None if benchmark.appeals is None else referee.told(),
            "prompt": None if shown is None else asdict(benchmark.prompt(shown, "", Rules(about["rules"]))),
            **figures(benchmark, judged, rules, total=total),
        },
        judged=judged,
        pictures=_pictures(out),
    )
    of_rules = "" if rules == about["rules"] else f"-{rules}"
    report.write(out, f"report{of_rules}")
    if benchmark.submission is not None:
        # a malformed record has no name to submit, and one that comes twice that of the first
        good = [one for one in judged if not one.question.fault]
        read = [(one.question, one.verdict.parsed if one.verdict else None) for one in good]
        replace_json(out / f"submission{of_rules}.json", benchmark.submission(read))
    return report


def _kept(
    benchmarks: dict[str, Benchmark], folder: Path
) -> tuple[dict[str, Any], Benchmark, list[Question], dict[str, Line]]:
    about = read_about(folder)
    if about.get("format") != FORMAT:
        raise OptionError(f"{folder} is of another version ({about.get('format')}, not {FORMAT}); run it again")
    benchmark = benchmarks.get(str(about.get("benchmark")))
    if benchmark is None:
        raise OptionError(f"{folder} holds no run of a benchmark; known: {', '.join(benchmarks)}")
    questions = [_question(line) for line in _placed(folder).values()]
    return about, benchmark, questions, {line["id"]: line for line in read_answers(folder / ANSWERS)}


def _question(line: Line) -> Question:
    values = {name: value for name, value in line.items() if name != "place"}
    groups = tuple((name, value) for name, value in values["groups"])
    return Question(**{**values, "groups": groups, "options": tuple(values["options"])})


def _placed(folder: Path) -> dict[int, Line]:
    """Return a run's questions by their places."""
    path, again = folder / QUESTIONS, "run the benchmark again"
    if not path.exists():
        raise OptionError(f"{path} is missing; {again}")
    return {line["place"]: line for line in read_lines(path, lambda line: type(line.get("place")) is int, remedy=again)}


def rescore(
    benchmarks: dict[str, Benchmark], folder: Path, rules: Rules, judge: Answerer | None = None
) -> BenchmarkReport:
    """Score a run's answers under other rules, or with a judge, and write a report beside that of the run.

    The model that answered is not called, nor a judge that is not named.

    Raises:
        OptionError: The folder holds no run of a benchmark, there is nothing to judge, or a judge is named while
            another process writes into the folder.
    """
    about, benchmark, questions, lines = _kept(benchmarks, folder)
    if judge is not None and benchmark.appeals is None:
        raise OptionError(f"{benchmark.name} is scored by rules alone; leave the judge out")
    with nullcontext() if judge is None else alone_in(folder):
        referee = Referee(folder, judge)
        judged = judge_all(benchmark, questions, lines, rules, referee)
        return report_on(benchmark, folder, about, judged, rules, total=len(questions), referee=referee)


def merge(benchmarks: dict[str, Benchmark], folders: Sequence[Path], out: Path) -> BenchmarkReport:
    """Join the shards of one run into the folder `out` and report on them as one; one that is unfinished is named.

    Raises:
        OptionError: The folders are not the shards of one run, each once, or `out` holds a run.
    """
    kept = [_kept(benchmarks, folder) for folder in folders]
    about = kept[0][0]
    for folder, (other, *_) in zip(folders, kept, strict=True):
        if name := differing(about, other, _OF_ONE_RUN):
            raise OptionError(f"{folder} and {folders[0]} are of two runs: they differ in {name}")
    of = about["shard"]["of"]
    numbers = sorted(other["shard"]["number"] for other, *_ in kept)
    if any(other["shard"]["of"] != of for other, *_ in kept) or numbers != list(range(1, of + 1)):
        raise OptionError(f"these are shards {', '.join(map(str, numbers))} of {of}; give each of them once")
    if (out / ABOUT).exists():
        raise OptionError(f"{out} holds a run; give another folder")
    make_folder(out)
    for folder, (*_, questions, lines) in zip(folders, kept, strict=True):
        if left := sum(not one.fault and one.id not in lines for one in questions):
            logger.warning("%s is unfinished: %d of its %d questions were not asked yet", folder, left, len(questions))
    places = {place: line for folder in folders for place, line in _placed(folder).items()}
    replace_lines(out / QUESTIONS, (places[place] for place in sorted(places)))
    replace_lines(out / ANSWERS, (line for *_, own in kept for line in own.values()))
    replace_lines(out / SESSIONS, (one for folder in folders for one in _sessions(folder)))
    keep_pictures(out, {id: urls for folder in folders for id, urls in _pictures(folder).items()})
    if heard := [line for folder in folders for line in read_answers(folder / JUDGEMENTS)]:
        replace_lines(out / JUDGEMENTS, heard)
    replace_json(out / ABOUT, {**about, "shard": {"number": 1, "of": 1}})
    return rescore(benchmarks, out, Rules(about["rules"]))


class _One(NamedTuple):
    """What a question scored in a run; of two runs it is the same one where all that was `asked` is."""

    score: float
    film: Hashable
    asked: Hashable = None


class _Scored(NamedTuple):
    """A run's scores by the questions' ids; `of` names what was asked."""

    of: str
    model: str
    scores: dict[str, _One]


def compare(benchmarks: dict[str, Benchmark], first: Path, second: Path, rules: Rules) -> dict[str, Any]:
    """Return by how much a second run is better than a first on the questions that both scored, films drawn anew.

    An id alone makes no pair: film, question and options must be the same too, or it is counted as `unlike`. Runs of
    the playground and of the needle are compared too; their questions must be the same ones.

    Raises:
        OptionError: They are not runs of one benchmark, or have no question in common.
    """
    before, after = (_scored(benchmarks, folder, rules) for folder in (first, second))
    if before.of != after.of:
        raise OptionError(f"{first} is of {before.of}, {second} of {after.of}; give two of one")
    of_both = [name for name in before.scores if name in after.scores]
    both = [name for name in of_both if before.scores[name].asked == after.scores[name].asked]
    if not both:
        others = f": {len(of_both)} have the same id, but ask something else" if of_both else ""
        raise OptionError(f"{first} and {second} have no scored question in common{others}")
    pairs = [(before.scores[name].score, after.scores[name].score) for name in both]
    differences = [new - old for old, new in pairs]
    return {
        "benchmark": before.of,
        "rules": rules,
        "models": [before.model, after.model],
        "number": len(both),
        "only_in_one": len(before.scores.keys() ^ after.scores.keys()),
        "unlike": len(of_both) - len(both),
        "scores": [sum(pair[side] for pair in pairs) / len(pairs) for side in (0, 1)],
        "difference": sum(differences) / len(differences),
        "interval": cluster_bootstrap(differences, [before.scores[name].film for name in both]),
        "only_first_right": sum(old > new for old, new in pairs),
        "only_second_right": sum(old < new for old, new in pairs),
    }


def _scored(benchmarks: dict[str, Benchmark], folder: Path, rules: Rules) -> _Scored:
    about = read_about(folder)
    if "benchmark" not in about and "questions" in about and about.get("format") == FORMAT:
        # the playground's and the needle's: scored as they were answered
        if rules is not Rules.STRICT:
            raise OptionError(f"{folder} is scored by the rules of its own alone; leave --rules out")
        exam = f"{about.get('exam', 'playground')} {about['questions'][:12]}"
        scores = {line["id"]: _One(float(line["score"]), line["film"]) for line in read_answers(folder / ANSWERS)}
        return _Scored(of=exam, model=about["model"], scores=scores)
    about, benchmark, questions, lines = _kept(benchmarks, folder)
    judged = judge_all(benchmark, questions, lines, rules, Referee(folder))
    return _Scored(
        of=about["benchmark"],
        model=about["model"] + (" without the film" if about["shown"] == "nothing" else ""),
        scores={
            asked.id: _One(one.score, asked.film, (asked.film, asked.question, asked.options))
            for one in judged
            if one.score is not None
            for asked in [one.question]
        },
    )


def write_questions(out: Path, every: Sequence[Question], own: Sequence[Question]) -> None:
    """Write down the questions of a run, each with its place among all that were not asked here too."""
    places = {one.id: place for place, one in enumerate(every)}
    replace_lines(out / QUESTIONS, ({"place": places[one.id], **asdict(one)} for one in own))


def write_session(out: Path, session: Mapping[str, Any]) -> None:
    """Add to a run how fast questions were asked this time, by which weights, on which machine."""
    with adding(out / SESSIONS) as add:
        add(session)


def keep_pictures(out: Path, pictures: Mapping[str, Sequence[str]]) -> None:
    """Write down the pictures of a report's examples, so that scoring again needs no film."""
    replace_lines(out / PICTURES, ({"id": id, "pictures": urls} for id, urls in pictures.items()))


def _sessions(folder: Path) -> list[Line]:
    return read_lines(folder / SESSIONS, remedy="delete the file: only times and machines are lost")


def _pictures(folder: Path) -> dict[str, list[str]]:
    lines = read_lines(folder / PICTURES, remedy="delete the file: only a report's pictures are lost")
    return {line["id"]: line["pictures"] for line in lines}
