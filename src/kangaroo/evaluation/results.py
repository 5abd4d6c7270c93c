"""The answers of a benchmark become figures: a score that says over how many questions it stands, and why not over all.

What the data lack (a film, a readable record) is no question asked and left out, reason by reason; what the model or
its server did not manage counts as wrong. Imports without torch.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kangaroo.evaluation.asking import Blame
from kangaroo.evaluation.benchmark import Appeals, Benchmark, Outcome, Question, Rules, Verdict
from kangaroo.evaluation.json_files import Line
from kangaroo.evaluation.referee import Referee
from kangaroo.evaluation.score import cluster_bootstrap, share, wilson

_LISTED = 20
READING = 2  # raised when `parse.py` or a benchmark's judge reads an answer differently


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A question with what was answered; no verdict where it was not, with the reason.

    `counts` says that an answer would have had a score: it has none where labels are hidden or a judge is missing.
    """

    question: Question
    output: str = ""
    verdict: Verdict | None = None
    failure: str = ""
    blame: Blame | None = None
    is_cut_off: bool = False
    num_frames: int = 0
    counts: bool = True

    @property
    def score(self) -> float | None:
        """What it is worth, None where it is not part of the score."""
        if self.verdict is not None:
            return self.verdict.score
        return 0.0 if self.blame is Blame.MODEL and self.counts else None


def judge_all(
    benchmark: Benchmark,
    questions: Iterable[Question],
    lines: Mapping[str, Line],
    rules: Rules,
    referee: Referee | None = None,
) -> list[Judged]:
    """Judge every question that was reached, whatever rules it was asked under; the model that answered is not called.

    What only a judge can tell, `referee` is asked.
    """
    judged = [judge_line(benchmark, one, lines.get(one.id), rules) for one in questions if one.fault or one.id in lines]
    if benchmark.appeals is None or referee is None:
        return judged
    return _appealed(benchmark.appeals, judged, rules, referee)


def _appealed(appeals: Appeals, judged: Sequence[Judged], rules: Rules, referee: Referee) -> list[Judged]:
    prompts = [
        None if one.verdict is None else appeals.ask(one.question, one.output, one.verdict, rules) for one in judged
    ]
    replies = referee.hear([prompt for prompt in prompts if prompt is not None])
    heard = []
    for one, prompt in zip(judged, prompts, strict=True):
        score = None if prompt is None or prompt not in replies else appeals.read(one.question, replies[prompt])
        verdict = one.verdict if score is None else Verdict(outcome=Outcome.JUDGED, score=score)
        heard.append(replace(one, verdict=verdict, counts=one.counts or referee.name is not None))
    return heard


def judge_line(benchmark: Benchmark, question: Question, line: Line | None, rules: Rules) -> Judged:
    """Judge one question by its line of `answers.jsonl`, None where its fault kept it from being asked."""
    if line is None:
        return Judged(question=question, failure=question.fault, blame=Blame.DATA)
    if line["failure"] is not None:
        silent = benchmark.judge(question, "?", rules).outcome
        return Judged(
            question=question,
            failure=str(line["failure"]),
            blame=Blame(line["blame"]),
            counts=silent not in (Outcome.HIDDEN, Outcome.UNJUDGED),
        )
    return Judged(
        question=question,
        output=line["output"],
        verdict=benchmark.judge(question, line["output"], rules),
        is_cut_off=line["finish_reason"] == "length",
        num_frames=line["num_frames"],
    )


def figures(benchmark: Benchmark, judged: Sequence[Judged], rules: Rules, *, total: int) -> dict[str, Any]:
    """Return every figure of a run under some rules, as `report.json` holds them.

    `total` counts the questions that were not reached yet too.
    """
    scored = [one for one in judged if one.score is not None]
    verdicts = [one.verdict for one in judged if one.verdict is not None]
    mean_over = benchmark.mean_over.get(rules)
    groups = _groups(scored)
    strict = None if rules is Rules.STRICT else _read_strictly(benchmark, judged)
    seen = [one.num_frames for one in judged if one.num_frames]
    failures = {blame: [one for one in judged if one.blame is blame] for blame in Blame}
    return {
        "rules": rules,
        "reading": READING,
        "questions": len(judged),
        "unasked": total - len(judged),
        "number": len(scored),
        "films": len({one.question.film for one in scored}),
        **_overall(scored, groups, mean_over),
        "mean_over": mean_over,
        "strictly": strict,
        "points": benchmark.points,
        "outcomes": {str(outcome): sum(one.outcome is outcome for one in verdicts) for outcome in Outcome},
        "frames": (min(seen, default=0), max(seen, default=0)),
        "cut_off": sum(one.is_cut_off for one in judged),
        "failures": {
            str(blame): {
                "number": len(own),
                "first": [
                    {"id": one.question.id, "film": one.question.film, "why": one.failure} for one in own[:_LISTED]
                ],
            }
            for blame, own in failures.items()
        },
        "given": _counted(one.parsed for one in verdicts if one.outcome in (Outcome.READ, Outcome.HIDDEN)),
        "right": _counted(one.question.answer for one in judged if one.verdict and _is_choice(benchmark, one.question)),
        "groups": groups,
        "grid": None if benchmark.grid is None else _grid(scored, *benchmark.grid),
    }


def _read_strictly(benchmark: Benchmark, judged: Sequence[Judged]) -> dict[str, Any]:
    """Return the score by our own rules, and how many of the same answers they score otherwise."""
    own = [replace(one, verdict=_strictly(benchmark, one, one.verdict) if one.verdict else None) for one in judged]
    scored = [one for one in own if one.score is not None]
    differ = sum(one.score != other.score for one, other in zip(judged, own, strict=True))
    return {"differ": differ, **_overall(scored, _groups(scored), benchmark.mean_over.get(Rules.STRICT))}


def _strictly(benchmark: Benchmark, one: Judged, found: Verdict) -> Verdict:
    """Return the verdict of our own rules; a judge's word stands where these would have asked one too."""
    own = benchmark.judge(one.question, one.output, Rules.STRICT)
    appeals = benchmark.appeals if found.outcome is Outcome.JUDGED else None
    return own if appeals is None or appeals.ask(one.question, one.output, own, Rules.STRICT) is None else found


def _is_choice(benchmark: Benchmark, question: Question) -> bool:
    """Whether there are few answers to a question, a letter or yes and no, that are counted one by one."""
    return bool(question.options) or (benchmark.points is None and question.answer in ("yes", "no"))


def _overall(scored: Sequence[Judged], groups: Mapping[str, Any], mean_over: str | None) -> dict[str, Any]:
    """Return the score and its interval: the mean over questions, or over the means of a group."""
    if not scored:
        return {"score": None, "interval": None}
    scores, films = [one.score or 0.0 for one in scored], [one.question.film for one in scored]
    if mean_over is None:
        whole = share(scores, films)
        return {"score": whole["score"], "interval": whole["interval"]}
    means = [own["score"] for own in groups[mean_over].values()]
    strata = [dict(one.question.groups)[mean_over] for one in scored]
    low, high = cluster_bootstrap(scores, films, strata=strata)
    if all(score in (0, 1) for score in scores):  # as `share` does, so that twenty right ones are not certainty
        least, most = wilson(round(sum(scores)), len(scores))
        mean, all_mean = sum(means) / len(means), sum(scores) / len(scores)
        low, high = min(low, mean - (all_mean - least)), max(high, mean + (most - all_mean))
    return {"score": sum(means) / len(means), "interval": (max(0.0, low), min(1.0, high))}


def _groups(scored: Iterable[Judged]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, list[Judged]]] = defaultdict(lambda: defaultdict(list))
    for one in scored:
        for name, value in one.question.groups:
            found[name][value].append(one)
    return {
        name: {
            value: share([one.score or 0.0 for one in own], [one.question.film for one in own])
            for value, own in sorted(values.items(), key=lambda item: _in_order(item[0]))
        }
        for name, values in found.items()
    }


def _grid(scored: Iterable[Judged], down: str, across: str) -> dict[str, dict[str, float]]:
    """Return the mean score for each pair of values of two groups."""
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in scored:
        groups = dict(one.question.groups)
        cells[groups[down], groups[across]].append(one.score or 0.0)
    grid: dict[str, dict[str, float]] = defaultdict(dict)
    for (row, column), own in sorted(cells.items(), key=lambda item: [*map(_in_order, item[0])]):
        grid[row][column] = sum(own) / len(own)
    return dict(grid)


def _in_order(value: str) -> tuple[float, str]:
    """Return the key by which values are sorted: numbers as numbers."""
    return (float(value), "") if value.replace(".", "", 1).isdecimal() else (float("inf"), value)


def _counted(values: Iterable[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(value for value in values if value).items()))
