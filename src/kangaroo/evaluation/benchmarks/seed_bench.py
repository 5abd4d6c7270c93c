"""SEED-Bench, its three video types: actions recognised, actions foreseen, steps put in order.

`seed-bench-video-ranked` is its authors' way: nothing is said, the option that the model finds likeliest counts.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from kangaroo.evaluation.benchmark import Benchmark, Prompt, Question, Row, Rules, Verdict, Way, words
from kangaroo.evaluation.choices import asked_directly, choice, letter_of, verdict
from kangaroo.evaluation.dataset import Dataset
from kangaroo.evaluation.harnesses import first_character

_TYPES = {10: "Action Recognition", 11: "Action Prediction", 12: "Procedure Understanding"}
_COUNTED_IN_FRAMES, _FRAMES_PER_S = 12, 15  # Breakfast's clips; those of Epic-Kitchens are in seconds


def _records(data: Dataset) -> Iterator[Row]:
    for table in data.rows("SEED-Bench.json"):
        for row in table["questions"]:
            if not isinstance(row, dict):
                yield {}  # told as one that cannot be asked
            elif row.get("question_type_id") in tuple(_TYPES):
                yield row


def _question(row: Row) -> Question:
    kind = row["question_type_id"]
    unit = _FRAMES_PER_S if kind == _COUNTED_IN_FRAMES else 1
    start, end = row["segment"] if row.get("segment") else (None, None)
    return Question(
        id=words(row["question_id"]),
        film=str(PurePosixPath(row["data_id"])),
        question=words(row["question"]),
        options=tuple(words(row[f"choice_{letter}"]) for letter in "abcd"),
        answer=words(row["answer"]),
        groups=(("type", _TYPES[kind]),),
        start_s=None if start is None else start / unit,
        end_s=None if end is None else end / unit,
    )


SEED_BENCH = Benchmark(
    name="seed-bench-video",
    title="SEED-Bench, video",
    source="https://huggingface.co/datasets/AILab-CVC/SEED-Bench (films of SSv2, Epic-Kitchens and Breakfast)",
    records=_records,
    question=_question,
    prompt=asked_directly,
    judge=choice(lambda output, question: first_character(output, question.letters)),
)


def _ranked(question: Question, output: str, _: Rules) -> Verdict:
    letter = letter_of(output, question.options)
    return verdict(question, letter if letter in tuple(question.letters) else None)


SEED_BENCH_RANKED = replace(
    SEED_BENCH,
    name="seed-bench-video-ranked",
    title="SEED-Bench, video, options ranked by likelihood",
    prompt=lambda question, _spoken, _rules: Prompt(text=question.question),
    judge=_ranked,
    way=Way.RANK,
)
