"""MLVU's two tasks that are told freely; G-Avg is their mean. A judge gives each answer two marks of 1 to 5."""

from kangaroo.evaluation.benchmark import (
    Appeals,
    Benchmark,
    Outcome,
    Prompt,
    Question,
    Row,
    Rules,
    Verdict,
    words,
)
from kangaroo.evaluation.benchmarks.mlvu import MLVU, records
from kangaroo.evaluation.parse import parse_marks

_TOLD = {
    "8_sub_scene": (
        "accuracy: does it tell what happens in that scene as the reference and its key points do",
        "relevance: does it keep to what was asked",
    ),
    "9_summary": (
        "completeness: does it hold the reference's main points",
        "reliability: does it say nothing that contradicts the reference",
    ),
}
_MARKS = 10  # two of up to five


def _question(record: Row) -> Question:
    row, task = record["row"], record["task"]
    points = row.get("scoring_points") or ()
    return Question(
        id=f"{task}/{record['place']}",
        film=f"video/{task}/{row['video']}",
        question=words(row["question"]),
        answer=words(row["answer"]),
        groups=(("task", task.partition("_")[2]),),
        task=task,
        rubric=points if isinstance(points, str) else "\n".join(map(words, points)),
    )


def _appeal(question: Question, output: str, _found: Verdict, _rules: Rules) -> Prompt:
    first, second = _TOLD[question.task]
    points = f"\n\nIts key points:\n{question.rubric}" if question.rubric else ""
    return Prompt(
        system="You mark what is told of a film against a reference. Reply with two numbers from 1 to 5 and no words.",
        text=f"Asked: {question.question}\n\nThe reference:\n{question.answer}{points}\n\nTo be marked:\n{output}\n\n"
        f"The first number is {first}? The second is {second}?",
    )


def _ruling(_: Question, reply: str) -> float | None:
    marks = parse_marks(reply, "1-5")
    return sum(marks) / _MARKS if len(marks) == 2 else None


MLVU_GENERATION = Benchmark(
    name="mlvu-generation",
    title="MLVU, told freely (G-Avg)",
    source=MLVU.source,
    records=lambda data: records(data, _TOLD),
    question=_question,
    prompt=lambda question, _spoken, _rules: Prompt(text=question.question, max_new_tokens=512),
    judge=lambda _question, _output, _rules: Verdict(outcome=Outcome.UNJUDGED),
    appeals=Appeals(ask=_appeal, read=_ruling),
    points=_MARKS,
    mean_over=dict.fromkeys(Rules, "task"),
)
