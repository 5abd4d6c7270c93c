"""MLVU: seven tasks with options about films of minutes to hours (M-Avg), and two to be told freely (G-Avg).

What is told freely needs a judge, who gives two marks of 1 to 5 each.
"""

import re
from collections.abc import Iterable, Iterator

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
from kangaroo.evaluation.choices import LETTER_TOKENS, choice, letter_of, options_text, own_prompt, verdict
from kangaroo.evaluation.dataset import Dataset
from kangaroo.evaluation.harnesses import lmms_eval_letter

_TASKS = ("1_plotQA", "2_needle", "3_ego", "4_count", "5_order", "6_anomaly_reco", "7_topic_reasoning")
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
_SYSTEM = (
    "Carefully watch this video and pay attention to every detail. Based on your observations, select the best option "
    "that accurately addresses the question."
)


def _records(data: Dataset, tasks: Iterable[str] = _TASKS) -> Iterator[Row]:
    for task in tasks:
        for place, row in enumerate(data.rows(f"json/{task}.json", f"MLVU/json/{task}.json")):
            yield {"task": task, "place": place, "row": row}


def _question(record: Row) -> Question:
    row, task = record["row"], record["task"]
    options = tuple(map(words, row["candidates"]))
    return Question(
        id=f"{task}/{record['place']}",
        film=f"video/{task}/{row['video']}",
        question=words(row["question"]),
        options=options,
        answer=letter_of(words(row["answer"]), options),
        groups=(("task", task.partition("_")[2]),),
    )


def _prompt(question: Question, _: str, rules: Rules) -> Prompt:
    options = options_text(question, "({}) {}")
    match rules:
        case Rules.STRICT:
            return own_prompt(question)
        case Rules.LMMS_EVAL:
            text = f"{question.question}\n{options}\nOnly give the best option.\nBest option: ("
            return Prompt(text=text, max_new_tokens=LETTER_TOKENS)
        case Rules.VLMEVALKIT:
            text = f"Question: {question.question}\nOptions:\n{options}\nOnly give the best option."
            return Prompt(text=text, system=_SYSTEM, max_new_tokens=LETTER_TOKENS)


_choice = choice(lambda output, _: lmms_eval_letter(output, "ABCD"))


def _judge(question: Question, output: str, rules: Rules) -> Verdict:
    if rules is Rules.VLMEVALKIT:
        said = output.strip().partition(")")[0][-1:] if ")" in output else output.strip()
        return verdict(question, said if said in tuple(question.letters) else None)
    return _choice(question, output, rules)


MLVU = Benchmark(
    name="mlvu",
    title="MLVU, questions with options (M-Avg)",
    source="https://huggingface.co/datasets/MLVU/MVLU",
    records=_records,
    question=_question,
    prompt=_prompt,
    judge=_judge,
    mean_over={Rules.STRICT: "task", Rules.LMMS_EVAL: "task"},  # VLMEvalKit takes all questions alike
)


def _told(record: Row) -> Question:
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
    marks = re.findall(r"(?<![\d.])[1-5](?![\d.]*\d)", reply)
    return (int(marks[0]) + int(marks[1])) / _MARKS if len(marks) == 2 else None


MLVU_GENERATION = Benchmark(
    name="mlvu-generation",
    title="MLVU, told freely (G-Avg)",
    source=MLVU.source,
    records=lambda data: _records(data, _TOLD),
    question=_told,
    prompt=lambda question, _spoken, _rules: Prompt(text=question.question, max_new_tokens=512),
    judge=lambda _question, _output, _rules: Verdict(outcome=Outcome.UNJUDGED),
    appeals=Appeals(ask=_appeal, read=_ruling),
    points=_MARKS,
    mean_over=dict.fromkeys(Rules, "task"),
)
