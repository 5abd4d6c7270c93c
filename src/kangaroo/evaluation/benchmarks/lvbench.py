"""LVBench: 1,549 questions with four options about 103 films of an hour; a question may have several types."""

from collections.abc import Iterator

from kangaroo.evaluation.benchmark import Benchmark, Prompt, Question, Row, Rules, each_words, words
from kangaroo.evaluation.choices import LETTER_TOKENS, choice, options_text, own_prompt, split_options
from kangaroo.evaluation.dataset import Dataset
from kangaroo.evaluation.harnesses import lmms_eval_letter


def _records(data: Dataset) -> Iterator[Row]:
    for row in data.rows("video_info.meta.jsonl"):
        every = row.get("qa")
        for asked in every if isinstance(every, list) else [{}]:  # a film without is told as one that cannot be asked
            yield {"film": row, "asked": asked}


def _question(record: Row) -> Question:
    film, asked = record["film"], record["asked"]
    said, options = split_options(words(asked["question"]))
    return Question(
        id=words(asked["uid"]),
        film=words(film["key"]),
        question=said,
        options=options,
        answer=words(asked["answer"]),
        groups=(*(("type", kind) for kind in each_words(asked["question_type"])), ("film", words(film["type"]))),
    )


def _prompt(question: Question, _: str, rules: Rules) -> Prompt:
    if rules is Rules.STRICT:
        return own_prompt(question)
    text = f"{question.question}\n{options_text(question, '({}) {}')}\nAnswer the question with the option letter"
    return Prompt(text=text, max_new_tokens=LETTER_TOKENS)


LVBENCH = Benchmark(
    name="lvbench",
    title="LVBench",
    source="https://huggingface.co/datasets/THUDM/LVBench (films from YouTube, named by their key)",
    records=_records,
    question=_question,
    prompt=_prompt,
    judge=choice(lambda output, _: lmms_eval_letter(output, "ABCD")),
)
