"""TempCompass: what only time tells (speed, direction, order ...), asked in four ways about 410 short films.

Captions need a judge: it is shown the caption alone and asked a question about the film.
"""

import re
from collections.abc import Iterator

from kangaroo.evaluation.benchmark import Appeals, Benchmark, Outcome, Prompt, Question, Row, Rules, Verdict, words
from kangaroo.evaluation.choices import (
    LETTER_TOKENS,
    OWN_TOKENS,
    letter_at,
    letter_of,
    options_text,
    split_options,
    verdict,
)
from kangaroo.evaluation.dataset import Dataset
from kangaroo.evaluation.parse import parse_letter, parse_yes_no

CHOICE, YES_NO, MATCHING, CAPTIONING = "multi-choice", "yes_no", "caption_matching", "captioning"
_BEST = "Please directly give the best option:"
_ENDINGS = {CHOICE: f"\n{_BEST}", YES_NO: "\nPlease answer yes or no:", MATCHING: f"\n{_BEST}", CAPTIONING: ""}
_NAMED = re.compile(r"^((?:Sentence|Option|Caption) (\w+)): (.*)$", re.MULTILINE)


def _records(data: Dataset) -> Iterator[Row]:
    for task in _ENDINGS:
        for place, row in enumerate(data.rows(f"{task}/test-*.parquet")):
            yield {**row, "task": task, "id": f"{task}/{place}"}


def _question(row: Row) -> Question:
    task, text, answer = row["task"], words(row["question"]), words(row["answer"])
    options: tuple[str, ...] = ()
    if task == CHOICE:
        options, answer = split_options(text)[1], answer[:1]
    elif task == MATCHING:
        options = tuple(one.strip() for _, _, one in _NAMED.findall(text))
        answer = letter_of(answer.partition(": ")[2].strip(), options)
    elif task == YES_NO and answer not in ("yes", "no"):
        raise ValueError(f"its answer {answer!r:.40} is neither yes nor no")
    if task in (CHOICE, MATCHING) and not options:
        raise ValueError(f"no options in {text!r:.60}")
    rubric = ""
    if task == CAPTIONING:
        rubric, answer = words(row["mc_question"]), words(row["mc_answer"])[:1]
        letters = [letter_at(place) for place in range(len(split_options(rubric)[1]))]
        if len(letters) < 2 or answer not in letters:
            raise ValueError(f"no options with {answer!r} in {rubric!r:.60}")
    return Question(
        id=row["id"],
        film=f"videos/{row['video_id']}",
        rubric=rubric,
        question=text,
        options=options,
        answer=answer,
        groups=(("task", task), ("dimension", words(row["dim"]))),
        task=task,
    )


def _prompt(question: Question, _: str, rules: Rules) -> Prompt:
    tokens = 512 if question.task == CAPTIONING else OWN_TOKENS if rules is Rules.STRICT else LETTER_TOKENS
    if rules is Rules.STRICT and question.task == MATCHING:
        asked = question.question.partition("\n")[0]
        return Prompt(text=f"{asked}\n{options_text(question)}\n{_BEST}", max_new_tokens=tokens)
    return Prompt(text=question.question + _ENDINGS[question.task], max_new_tokens=tokens)


def _judge(question: Question, output: str, rules: Rules) -> Verdict:
    """Judge by rules; a caption cannot be."""
    strict = rules is Rules.STRICT
    match question.task:
        case "captioning":
            return Verdict(outcome=Outcome.UNJUDGED)
        case "yes_no":
            said = parse_yes_no(output)
            start = output.lower()
            theirs = True if start.startswith("yes") else False if start.startswith("no") else None
            return _yes_no(question, said if strict else theirs)
        case "caption_matching":
            return verdict(question, parse_letter(output, question.options) if strict else _named(question, output))
        case _:
            return verdict(question, parse_letter(output, question.options) if strict else _marked(output))


def _yes_no(question: Question, said: bool | None) -> Verdict:
    if said is None:
        return Verdict(outcome=Outcome.UNREAD, score=0.0)
    word = "yes" if said else "no"
    return Verdict(outcome=Outcome.READ, parsed=word, score=float(word == question.answer))


def _marked(output: str) -> str | None:
    return output[:1] if re.fullmatch(r"[A-D](?:[.)].*)?", output, re.DOTALL) else None


def _named(question: Question, output: str) -> str | None:
    """Return the letter of the option whose whole line, sentence, name or mark is said; the later rule wins."""
    said = None
    inner = output.split(") ")[1] if ") " in output else None
    for place, (name, mark, sentence) in enumerate(_NAMED.findall(question.question)):
        if (
            output in (f"{name}: {sentence}", sentence, name, mark)
            or inner == sentence
            or output.replace(".", "") in (name, mark)
        ):
            said = letter_at(place)
    return said


def _appeal(question: Question, output: str, found: Verdict, rules: Rules) -> Prompt | None:
    """Ask about every caption; about other answers only where lmms-eval does, which could not read them."""
    if question.task == CAPTIONING:
        return Prompt(
            system="You know a film from its description alone. Reply with one letter and nothing else.",
            text=f"The description:\n{output}\n\n{question.rubric}\n\nWhich option does the description support?",
        )
    if rules is Rules.LMMS_EVAL and found.outcome is Outcome.UNREAD:
        right = question.answer or ""
        if question.options:
            right = f"{right}. {question.options[question.letters.index(right)]}"
        return Prompt(
            system="You mark answers. Reply with the word Correct or Incorrect and nothing else.",
            text=f"{question.question}\n\nThe right answer: {right}\nThe answer to mark: {output}",
        )
    return None


def _ruling(question: Question, reply: str) -> float | None:
    if question.task == CAPTIONING:
        letter = parse_letter(reply, split_options(question.rubric)[1])
        return None if letter is None else float(letter == question.answer)
    said = reply.strip().lower()
    return 1.0 if said.startswith("correct") else 0.0 if said.startswith("incorrect") else None


TEMPCOMPASS = Benchmark(
    name="tempcompass",
    title="TempCompass",
    source="https://huggingface.co/datasets/lmms-lab/TempCompass",
    records=_records,
    question=_question,
    prompt=_prompt,
    judge=_judge,
    appeals=Appeals(ask=_appeal, read=_ruling),
    mean_over=dict.fromkeys(Rules, "task"),
)
