"""LongVideoBench: what was seen or said at some moment of films of 8 s to an hour; two to five options."""

from collections.abc import Iterable
from dataclasses import replace

from kangaroo.evaluation.benchmark import Benchmark, Outcome, Prompt, Question, Row, Rules, each_words, words
from kangaroo.evaluation.choices import asked_directly, choice, letter_at
from kangaroo.evaluation.harnesses import longvideobench_letter

_COLUMNS = tuple(f"option{place}" for place in range(5))


def _question(row: Row) -> Question:
    candidates = row["candidates"] if "candidates" in row else [row[name] for name in _COLUMNS]
    right = row.get("correct_choice")
    return Question(
        id=words(row["id"]),
        film=f"videos/{row['video_path']}",
        question=words(row["question"]),
        options=each_words(candidates, absent=(None, "N/A")),
        answer=None if right is None or int(right) < 0 else letter_at(int(right)),
        groups=tuple((name, words(row[name])) for name in ("duration_group", "question_category", "topic_category")),
    )


def _unlabelled(row: Row) -> Question:
    return replace(_question(row), answer=None)


def _prompt(question: Question, spoken: str, rules: Rules) -> Prompt:
    prompt = asked_directly(question, spoken, rules)
    if rules is Rules.STRICT:
        return prompt
    ending = "\n" if rules is Rules.LMMS_EVAL else ""
    return replace(prompt, text=f"{prompt.text}{ending}", max_new_tokens=32)


def _submission(read: Iterable[tuple[Question, str | None]]) -> dict[str, str]:
    """Return what the authors' server takes: a letter for each id, none where nothing could be read."""
    return {question.id: letter or "" for question, letter in read}


LONGVIDEOBENCH = Benchmark(
    name="longvideobench",
    title="LongVideoBench, validation",
    source="https://huggingface.co/datasets/longvideobench/LongVideoBench",
    records=lambda data: data.rows("lvb_val.json", "validation-*.parquet", "data/validation-*.parquet"),
    question=_question,
    prompt=_prompt,
    # the authors' own way, too
    judge=choice(lambda output, _: longvideobench_letter(output, "ABCDE"), failing=Outcome.GUESSED),
)

LONGVIDEOBENCH_TEST = replace(
    LONGVIDEOBENCH,
    name="longvideobench-test",
    title="LongVideoBench, test, to be submitted",
    records=lambda data: data.rows("lvb_test_wo_gt.json", "test-*.parquet", "data/test-*.parquet"),
    question=_unlabelled,
    submission=_submission,
)
