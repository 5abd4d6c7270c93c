"""Lettered questions: how they are put and read under each set of rules. Imports without torch."""

import re
from collections.abc import Callable
from string import ascii_uppercase
from typing import Any

from kangaroo.evaluation.benchmark import Judge, Outcome, Prompt, Question, Rules, Verdict, each_words
from kangaroo.evaluation.harnesses import vlmevalkit_letter
from kangaroo.evaluation.parse import parse_letter

DIRECTLY = "Answer with the option's letter from the given choices directly."
LETTER_TOKENS, OWN_TOKENS = 16, 64  # ours leaves room for an answer that is more than its letter


def options_text(question: Question, form: str = "{}. {}") -> str:
    """Return the options with their letters, a line each."""
    return "\n".join(
        form.format(letter, words) for letter, words in zip(question.letters, question.options, strict=True)
    )


def own_prompt(question: Question, spoken: str = "") -> Prompt:
    """Return our own way to ask, the same in every benchmark and the one that training uses."""
    subtitles = f"Subtitles:\n{spoken}\n\n" if spoken else ""
    return Prompt(
        text=f"{subtitles}{question.question}\n{options_text(question)}\n{DIRECTLY}", max_new_tokens=OWN_TOKENS
    )


def asked_directly(question: Question, _spoken: str, rules: Rules) -> Prompt:
    """Return our own way to ask under our rules, and under all others the question, its options and `DIRECTLY`."""
    if rules is Rules.STRICT:
        return own_prompt(question)
    text = f"{question.question}\n{options_text(question)}\n{DIRECTLY}"
    return Prompt(text=text, max_new_tokens=LETTER_TOKENS)


def letter_at(place: int) -> str:
    """Return the letter of the option at a place, 0 the first.

    Raises:
        ValueError: No letter stands for it.
    """
    if not 0 <= place < len(ascii_uppercase):
        raise ValueError(f"place {place} of an option is not 0 to {len(ascii_uppercase) - 1}, A to Z")
    return ascii_uppercase[place]


def unlettered(options: Any) -> tuple[str, ...]:
    """Return options without the letters that a data set writes before them (`A. red`, `(A) red`).

    Raises:
        TypeError: They are no list of words.
        ValueError: They are more than letters.
    """
    bare = []
    for place, option in enumerate(each_words(options)):
        letter = letter_at(place)
        bare.append(re.sub(rf"^\s*(?:\({letter}\)|{letter}[.):])\s*", "", option))
    return tuple(bare)


def split_options(text: str) -> tuple[str, tuple[str, ...]]:
    r"""Split a question that holds its options, a line each: `What?\n(A) red\n(B) blue`, or `A. red`.

    Lines before the first option are the question; a line that carries no letter goes on with the option before it.

    Raises:
        ValueError: Lines go on after option Z.
    """
    question: list[str] = []
    options: list[str] = []
    for line in text.split("\n"):
        letter = letter_at(len(options))
        if found := re.match(rf"\s*(?:\({letter}\)|{letter}[.):])\s*(.*)$", line):
            options.append(found[1].strip())
        elif options:
            options[-1] = f"{options[-1]} {line.strip()}".strip()
        else:
            question.append(line)
    return "\n".join(question).strip(), tuple(options)


def letter_of(answer: str, options: tuple[str, ...]) -> str:
    """Return the letter of an answer that a data set gives in words; the words themselves where no option has them."""
    return letter_at(options.index(answer)) if answer in options else answer


def choice(read: Callable[[str, Question], str | None], *, failing: Outcome = Outcome.UNREAD) -> Judge:
    """Return how lettered answers are judged where lmms-eval's rules read a letter with `read`.

    `failing` says what those rules make of an answer that they cannot read.
    """

    def judge(question: Question, output: str, rules: Rules) -> Verdict:
        if rules is Rules.LMMS_EVAL:
            return verdict(question, read(output, question), failing)
        if rules is Rules.VLMEVALKIT:
            letter = vlmevalkit_letter(output, question.letters) or only_letter(output, question)
            return verdict(question, letter)
        return verdict(question, parse_letter(output, question.options))

    return judge


def verdict(question: Question, letter: str | None, failing: Outcome = Outcome.UNREAD) -> Verdict:
    """Compare a letter with the right one."""
    if letter is None and failing is Outcome.DROPPED:
        return Verdict(outcome=failing)
    if question.answer is None:
        return Verdict(outcome=Outcome.HIDDEN, parsed=letter)
    if letter is None:
        score = 1 / len(question.options) if failing is Outcome.GUESSED else 0.0
        return Verdict(outcome=failing, score=score)
    return Verdict(outcome=Outcome.READ, parsed=letter, score=float(letter == question.answer))


def only_letter(output: str, question: Question) -> str | None:
    """Read as VLMEvalKit's `can_infer`: one letter alone near the end, else the only option whose words are said."""
    words = re.sub(r"[.()\[\],:;!*#{}]", " ", output).split()
    said = [letter for letter in question.letters if letter in words]
    if len(said) == 1 and said[0] in words[-5:]:
        return said[0]
    held = [
        letter
        for letter, option in zip(question.letters, question.options, strict=True)
        if option.lower() in output.lower()
    ]
    return held[0] if len(held) == 1 else None
