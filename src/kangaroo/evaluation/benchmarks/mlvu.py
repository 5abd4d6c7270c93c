"""MLVU: seven tasks with options about films of minutes to hours; M-Avg is the mean of the tasks."""

from collections.abc import Iterable, Iterator

from kangaroo.evaluation.benchmark import Benchmark, Prompt, Question, Row, Rules, Verdict, each_words, words
from kangaroo.evaluation.choices import LETTER_TOKENS, choice, letter_of, options_text, own_prompt, verdict
from kangaroo.evaluation.dataset import Dataset
from kangaroo.evaluation.harnesses import lmms_eval_letter

_TASKS = ("1_plotQA", "2_needle", "3_ego", "4_count", "5_order", "6_anomaly_reco", "7_topic_reasoning")
_SYSTEM = (
    "Carefully watch this video and pay attention to every detail. Based on your observations, select the best option "
    "that accurately addresses the question."
)


def records(data: Dataset, tasks: Iterable[str] = _TASKS) -> Iterator[Row]:
    """Yield the records of some tasks, each with its place."""
    for task in tasks:
        for place, row in enumerate(data.rows(f"json/{task}.json", f"MLVU/json/{task}.json")):
            yield {"task": task, "place": place, "row": row}


def _question(record: Row) -> Question:
    row, task = record["row"], record["task"]
    options = each_words(row["candidates"])
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
    records=records,
    question=_question,
    prompt=_prompt,
    judge=_judge,
    mean_over={Rules.STRICT: "task", Rules.LMMS_EVAL: "task"},  # VLMEvalKit takes all questions alike
)
