"""Runs of benchmarks as folders: report on one, score it again under other rules, join shards, compare two.

A folder holds `run.json` (what was asked and who answered), `questions.jsonl`, `answers.jsonl` (as they came),
`sessions.jsonl` (how fast, where) and the reports. Nothing here needs a model or the data set. Imports without torch.
"""

import json
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from kangaroo.chat.answerer import Answerer
from kangaroo.errors import OptionError
from kangaroo.evaluation.benchmark import Benchmark, Question, Rules
from kangaroo.evaluation.referee import JUDGEMENTS, Referee
from kangaroo.evaluation.result_report import BenchmarkReport
from kangaroo.evaluation.results import Judged, figures, judge_all
from kangaroo.evaluation.runner import ABOUT, ANSWERS, FORMAT, Line, read_about, read_answers
from kangaroo.evaluation.score import cluster_bootstrap

QUESTIONS, SESSIONS = "questions.jsonl", "sessions.jsonl"


def report_on(
    benchmark: Benchmark,
    out: Path,
    about: dict[str, Any],
    judged: Sequence[Judged],
    rules: Rules,
    *,
    referee: Referee,
    pictures: dict[str, list[str]] | None = None,
) -> BenchmarkReport:
    """Write the report of judged questions, and what is submitted where labels are hidden, into a run's folder."""
    shown = next((one.question for one in judged if not one.question.fault), None)
    report = BenchmarkReport(
        values={
            "about": about,
            "title": benchmark.title,
            "source": benchmark.source,
            "sessions": _lines(out / SESSIONS),
            "judge": None if benchmark.appeals is None else referee.told(),
            "prompt": None if shown is None else asdict(benchmark.prompt(shown, "", Rules(about["rules"]))),
            **figures(benchmark, judged, rules),
        },
        judged=judged,
        pictures=pictures or {},
    )
    report.write(out, "report" if rules == about["rules"] else f"report-{rules}")
    if benchmark.submission is not None:
        read = [(one.question, one.verdict.parsed if one.verdict else None) for one in judged]
        text = json.dumps(benchmark.submission(read), ensure_ascii=False)
        (out / "submission.json").write_text(text + "\n", encoding="utf-8")
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
    questions = [_question(json.loads(text)) for _, text in _placed(folder)]
    return about, benchmark, questions, {line["id"]: line for line in read_answers(folder / ANSWERS)}


def _question(values: dict[str, Any]) -> Question:
    del values["place"]
    values["groups"] = tuple((name, value) for name, value in values["groups"])
    return Question(**{**values, "options": tuple(values["options"])})


def _placed(folder: Path) -> list[tuple[int, str]]:
    try:
        texts = (folder / QUESTIONS).read_text(encoding="utf-8").split("\n")  # a question may hold other line ends
        return [(int(json.loads(text)["place"]), text) for text in texts if text]
    except (OSError, ValueError, KeyError, TypeError):
        raise OptionError(f"{folder / QUESTIONS} is missing or damaged; run the benchmark again") from None


def rescore(
    benchmarks: dict[str, Benchmark], folder: Path, rules: Rules, judge: Answerer | None = None
) -> BenchmarkReport:
    """Score a run's answers under other rules, or with a judge, and write a report beside that of the run.

    The model that answered is not called, nor a judge that is not named.

    Raises:
        OptionError: The folder holds no run of a benchmark, or there is nothing to judge.
    """
    about, benchmark, questions, lines = _kept(benchmarks, folder)
    if judge is not None and benchmark.appeals is None:
        raise OptionError(f"{benchmark.name} is scored by rules alone; leave the judge out")
    referee = Referee(folder, judge)
    judged = judge_all(benchmark, questions, lines, rules, referee)
    return report_on(benchmark, folder, about, judged, rules, referee=referee)


def merge(benchmarks: dict[str, Benchmark], folders: Sequence[Path], out: Path) -> BenchmarkReport:
    """Join the shards of one run into the folder `out` and report on them as one.

    Raises:
        OptionError: The folders are not the shards of one run, each once, or `out` holds a run.
    """
    kept = [_kept(benchmarks, folder) for folder in folders]
    about = kept[0][0]
    for folder, (other, *_) in zip(folders, kept, strict=True):
        for name in ("benchmark", "model", "rules", "sampler", "shown", "questions"):
            if other.get(name) != about.get(name):
                raise OptionError(f"{folder} and {folders[0]} are of two runs: they differ in {name}")
    of = about["shard"]["of"]
    numbers = sorted(other["shard"]["number"] for other, *_ in kept)
    if any(other["shard"]["of"] != of for other, *_ in kept) or numbers != list(range(1, of + 1)):
        raise OptionError(f"these are shards {', '.join(map(str, numbers))} of {of}; give each of them once")
    if (out / ABOUT).exists():
        raise OptionError(f"{out} holds a run; give another folder")
    out.mkdir(parents=True, exist_ok=True)
    about = {**about, "shard": {"number": 1, "of": 1}}
    places = {place: text for folder in folders for place, text in _placed(folder)}
    _write_lines(out / QUESTIONS, (places[place] for place in sorted(places)))
    _write_lines(out / ANSWERS, (json.dumps(line, ensure_ascii=False) for *_, own in kept for line in own.values()))
    for session in (one for folder in folders for one in _lines(folder / SESSIONS)):
        write_session(out, session)
    heard = [line for folder in folders for line in read_answers(folder / JUDGEMENTS)]
    if heard:
        _write_lines(out / JUDGEMENTS, (json.dumps(line, ensure_ascii=False) for line in heard))
    (out / ABOUT).write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return rescore(benchmarks, out, Rules(about["rules"]))


class _Scored(NamedTuple):
    """A run's scores by question, each with its film; `of` names what was asked."""

    of: str
    model: str
    scores: dict[str, tuple[float, Hashable]]


def compare(benchmarks: dict[str, Benchmark], first: Path, second: Path, rules: Rules) -> dict[str, Any]:
    """Return by how much a second run is better than a first on the questions that both scored, films drawn anew.

    Runs of the playground and of the needle are compared too; their questions must be the same ones.

    Raises:
        OptionError: They are not runs of one benchmark, or have no question in common.
    """
    before, after = (_scored(benchmarks, folder, rules) for folder in (first, second))
    if before.of != after.of:
        raise OptionError(f"{first} is of {before.of}, {second} of {after.of}; give two of one")
    both = [name for name in before.scores if name in after.scores]
    if not both:
        raise OptionError(f"{first} and {second} have no scored question in common")
    pairs = [(before.scores[name][0], after.scores[name][0]) for name in both]
    differences = [new - old for old, new in pairs]
    return {
        "benchmark": before.of,
        "rules": rules,
        "models": [before.model, after.model],
        "number": len(both),
        "only_in_one": len(before.scores.keys() ^ after.scores.keys()),
        "scores": [sum(pair[side] for pair in pairs) / len(pairs) for side in (0, 1)],
        "difference": sum(differences) / len(differences),
        "interval": cluster_bootstrap(differences, [before.scores[name][1] for name in both]),
        "only_first_right": sum(old > new for old, new in pairs),
        "only_second_right": sum(old < new for old, new in pairs),
    }


def _scored(benchmarks: dict[str, Benchmark], folder: Path, rules: Rules) -> _Scored:
    about = read_about(folder)
    if "benchmark" not in about and about.get("format") == FORMAT:
        # the playground's and the needle's: scored as they were answered
        if rules is not Rules.STRICT:
            raise OptionError(f"{folder} is scored by the rules of its own alone; leave --rules out")
        exam = f"{about.get('exam', 'playground')} {about['questions'][:12]}"
        scores = {line["id"]: (float(line["score"]), line["film"]) for line in read_answers(folder / ANSWERS)}
        return _Scored(of=exam, model=about["model"], scores=scores)
    about, benchmark, questions, lines = _kept(benchmarks, folder)
    judged = judge_all(benchmark, questions, lines, rules, Referee(folder))
    return _Scored(
        of=about["benchmark"],
        model=about["model"] + (" without the film" if about["shown"] == "nothing" else ""),
        scores={one.question.id: (one.score, one.question.film) for one in judged if one.score is not None},
    )


def write_questions(out: Path, every: Sequence[Question], own: Sequence[Question]) -> None:
    """Write down the questions of a run, each with its place among all that were not asked here too."""
    places = {one.id: place for place, one in enumerate(every)}
    _write_lines(
        out / QUESTIONS,
        (json.dumps({"place": places[one.id], **asdict(one)}, ensure_ascii=False) for one in own),
    )


def write_session(out: Path, session: dict[str, Any]) -> None:
    """Add to a run how fast questions were asked this time, by which weights, on which machine."""
    _write_lines(out / SESSIONS, (json.dumps(one, ensure_ascii=False) for one in [*_lines(out / SESSIONS), session]))


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    except ValueError:
        raise OptionError(f"{path} is damaged; delete it: only times and machines are lost") from None


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
