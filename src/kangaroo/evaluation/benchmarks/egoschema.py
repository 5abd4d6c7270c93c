"""EgoSchema: questions with five options about clips of three minutes; 500 answers are public, 5,031 are not."""

from collections.abc import Iterable
from dataclasses import replace

from kangaroo.evaluation.benchmark import Benchmark, Outcome, Question, Row, words
from kangaroo.evaluation.choices import asked_directly, choice, letter_at, unlettered
from kangaroo.evaluation.harnesses import lmms_eval_mmmu_letter


def _question(row: Row) -> Question:
    answer = row.get("answer")
    return Question(
        id=words(row["question_idx"]),
        film=words(row["video_idx"]),
        question=words(row["question"]),
        options=unlettered(row["option"]),
        answer=None if answer in (None, "") else letter_at(int(answer)),
    )


def _submission(read: Iterable[tuple[Question, str | None]]) -> dict[str, int]:
    """Return what the authors' server takes: the number of the option for each film, -1 for none."""
    return {question.film: -1 if letter is None else question.letters.index(letter) for question, letter in read}


EGOSCHEMA = Benchmark(
    name="egoschema",
    title="EgoSchema, the 500 questions with public answers",
    source="https://huggingface.co/datasets/lmms-lab/egoschema",
    records=lambda data: data.rows("Subset/test-*.parquet"),
    question=_question,
    prompt=asked_directly,
    judge=choice(lambda output, question: lmms_eval_mmmu_letter(output, question.options), failing=Outcome.GUESSED),
)

EGOSCHEMA_FULL = replace(
    EGOSCHEMA,
    name="egoschema-full",
    title="EgoSchema, all 5,031 questions, to be submitted",
    records=lambda data: data.rows("MC/test-*.parquet"),
    submission=_submission,
)
