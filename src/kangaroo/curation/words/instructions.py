"""Turn a clip's captions into instruction records, by rule or with a language model. Imports without torch.

What a model writes is read strictly: a form that is wrong, a refusal, an answer with a number, colour or side that no
caption has. Such a record is written by rule instead, and counted; every record says who wrote it.
"""

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kangaroo.curation.words.asking import NOTHING, Asker, Cost
from kangaroo.curation.words.merging import Merged
from kangaroo.curation.words.refining import Flaw, refine
from kangaroo.curation.words.sentences import NEGATIONS, content_words, language_of, telling_words
from kangaroo.curation.words.tasks import BY_RULE, InstructSettings, Task, tasks_of
from kangaroo.curation.words.templates import by_rule, lettered
from kangaroo.data.fingerprints import Round
from kangaroo.data.record import Kind, Medium, Record, Said
from kangaroo.dialogue.conversation import Conversation, Role
from kangaroo.playground.vocabulary import Language

_FORMS = {
    Task.SHORT: 'one request for a one-sentence caption and that caption: {"rounds": [{"question", "answer"}]}',
    Task.OPEN: 'one question with an answer of a few words: {"rounds": [{"question", "answer"}]}',
    Task.CHOICE: 'one question, its right answer and three wrong ones: {"question", "answer", "wrong": [3 texts]}',
    Task.SINGLE: 'one question with an answer of one to three sentences: {"rounds": [{"question", "answer"}]}',
    Task.SINGLE_ZH: '一个问题和一到三句话的回答：{"rounds": [{"question", "answer"}]}',
    Task.ROUNDS: 'two to four questions that follow from each other: {"rounds": [{"question", "answer"}, ...]}',
    Task.ROUNDS_ZH: '二到四个前后相关的问题和回答：{"rounds": [{"question", "answer"}, ...]}',
}
_PROMPTS = {
    Language.EN: "This describes a video:\n\n{text}\n\nWrite {form}. Ask only what the description answers, and speak "
    "of the video, not of the description. Reply with that JSON object alone.",
    Language.ZH: "以下是一段视频的描述：\n\n{text}\n\n请写出{form}。只问描述能回答的内容，称之为“视频”而不是“描述”。"
    "只回复该 JSON 对象。",
}


class _UnusableError(Exception):
    """What a model wrote cannot be used; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """A record's words.

    Attributes:
        task: What it teaches.
        rounds: Questions and answers.
        how: Who wrote them.
        problem: Why the model that was asked did not, None where it did or none was asked.
        cost: Of the model, where it was asked.
    """

    task: Task
    rounds: tuple[Round, ...]
    how: str
    problem: str | None = None
    cost: Cost = NOTHING


def write(
    clip_id: str,
    captions: Mapping[Language, Merged],
    settings: InstructSettings = InstructSettings(),
    asker: Asker | None = None,
    *,
    others: Sequence[str] = (),
) -> tuple[Written, ...]:
    """Return the words of a clip's records: as many as the settings want, fewer where the captions give no more.

    Args:
        clip_id: Decides which tasks, and with them which wordings.
        captions: The clip's merged caption in each language that it has been captioned in.
        settings: Which tasks, how many, who writes.
        asker: The model of the settings, opened; None where there is none.
        others: Sentences about other clips, in an order of their own, for wrong options.

    Raises:
        BlockedError: The model cannot be asked now; the clip waits.
    """
    assert (asker is None) == (settings.model is None), "a model that writes is opened, and no other"
    written: list[Written] = []
    for task in tasks_of(clip_id, settings):
        merged = captions.get(task.language)
        if len(written) == settings.num_records or merged is None:
            continue
        ruled = by_rule(task, merged, random.Random(f"{clip_id} {task} {settings.seed}"), others=others)
        one = Written(task=task, rounds=ruled, how=BY_RULE) if ruled else None
        if asker is not None and task in _FORMS and merged.claims:
            one = _asked(task, merged, asker, settings, one, random.Random(f"{clip_id} {task}"))
        if one is not None:
            written.append(one)
    return tuple(written)


def record(
    clip_id: str, written: Written, medium: Medium, *, captions: Merged, captioners: str, settings: InstructSettings
) -> Record:
    """Return a record that names in its source who captioned, merged and wrote.

    Args:
        clip_id: Names the record, with the task.
        written: Its words.
        medium: The clip, as the folder of records holds it.
        captions: The caption that it was written from.
        captioners: Their names, as the source is to say them.
        settings: Name source and licence.
    """
    turns: list[Said] = []
    for number, one in enumerate(written.rounds):
        question = one.question
        if medium.kind is Kind.IMAGE:
            question = question.replace("video", "image").replace("视频", "图片")
        turns.append(Said(Role.USER, (medium, question) if number == 0 else (question,)))
        turns.append(Said(Role.ASSISTANT, (one.answer,)))
    return Record(
        id=f"{clip_id}-{written.task}",
        source=f"{settings.source}; captions by {captioners}, {captions.how}, {written.how}",
        language=str(written.task.language),
        licence=settings.licence,
        task=str(written.task),
        turns=tuple(turns),
    )


def _asked(
    task: Task, merged: Merged, asker: Asker, settings: InstructSettings, ruled: Written | None, rng: random.Random
) -> Written | None:
    """Return what the model writes, or what the rule wrote with the model's problem."""
    prompt = _PROMPTS[task.language].format(text=merged.text, form=_FORMS[task])
    reply = asker.ask(Conversation().ask(prompt))
    try:
        if reply.is_cut_off:
            raise _UnusableError("it was cut off")
        one = Written(task=task, rounds=_read(task, reply.text, merged, rng), how=settings.how)
    except _UnusableError as problem:
        if ruled is None:
            return None
        one = replace(ruled, problem=str(problem))
    return replace(one, cost=reply.cost)


def _read(task: Task, reply: str, merged: Merged, rng: random.Random) -> tuple[Round, ...]:
    found = re.search(r"\{.*\}", reply, re.S)
    try:
        values: Any = json.loads(found[0]) if found else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise _UnusableError("no JSON object")
    if task is Task.CHOICE:
        question, right, wrong = _text(values, "question"), _text(values, "answer"), values.get("wrong")
        options = [right, *wrong] if isinstance(wrong, list) else []
        if len(options) != 4 or not all(isinstance(one, str) and one.strip() for one in options):
            raise _UnusableError("not one right and three wrong options")
        if len({" ".join(content_words(one)) or one for one in options}) < 4:
            raise _UnusableError("two options are the same")
        _check(question, right, merged)
        return (lettered(question, right, [_in_utf8(one).strip() for one in options[1:]], rng),)
    rounds = values.get("rounds")
    least, most = (2, 4) if task in (Task.ROUNDS, Task.ROUNDS_ZH) else (1, 1)
    if not isinstance(rounds, list) or not least <= len(rounds) <= most:
        raise _UnusableError(f"not {least} to {most} rounds")
    written = []
    for one in rounds:
        if not isinstance(one, dict):
            raise _UnusableError("a round is no object")
        question, answer = _text(one, "question"), _text(one, "answer")
        _check(question, answer, merged)
        written.append(Round(question, answer))
    return tuple(written)


def _text(values: Mapping[str, Any], name: str) -> str:
    text = values.get(name)
    if not isinstance(text, str) or not text.strip():
        raise _UnusableError(f"no {name}")
    return _in_utf8(text).strip()


def _check(question: str, answer: str, merged: Merged) -> None:
    if language_of(question) is not merged.language:
        raise _UnusableError("the question is in another language")
    if any(one.flaw is Flaw.REFUSAL for one in refine(answer).removed):
        raise _UnusableError("a refusal")
    if strange := telling_words(answer) - telling_words(merged.text) - NEGATIONS:
        raise _UnusableError(f"no caption says {', '.join(sorted(strange))}")


def _in_utf8(text: str) -> str:
    """Return a text with a question mark for each half of a character, which JSON can spell and no file can hold."""
    return text.encode("utf-8", "replace").decode()
