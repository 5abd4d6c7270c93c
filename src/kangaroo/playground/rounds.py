"""Questions become rounds of a conversation: open or with four lettered options, heard or unheard wordings."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kangaroo.playground.film import Film
from kangaroo.playground.questions import CHOICE_FAMILIES, Family, Question, questions
from kangaroo.playground.vocabulary import Language, Phrase
from kangaroo.playground.wording import LETTER_ONLY, OPENINGS, heard

LETTERS = "ABCD"


@dataclass(frozen=True, kw_only=True)
class Round:
    """One question in words and the answer expected."""

    family: Family
    question: str
    answer: str
    language: Language


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """What rounds a training conversation holds.

    Attributes:
        num_rounds: Rounds of one conversation, when the film allows as many.
        describe_share: Share of conversations with a description: half of them begin with it, in the others it may
            come anywhere.
        choice_share: Share of the other rounds that are asked with options.
        weights: Families asked more or less often than the others, which weigh 1.
    """

    num_rounds: int = 6
    describe_share: float = 0.3
    choice_share: float = 0.6
    weights: tuple[tuple[Family, float], ...] = ()


def in_words(question: Question, wording: str, language: Language) -> str:
    """Fill a wording's slots."""
    words = wording.format(**{name: phrase_in(phrase, language) for name, phrase in question.slots.items()})
    return words[0].upper() + words[1:]


def phrase_in(phrase: Phrase, language: Language) -> str:
    """Return a phrase in one language."""
    return phrase.zh if language is Language.ZH else phrase.en


def options_for(question: Question, letter: int) -> tuple[Phrase, ...]:
    """Return four options with the right answer at place `letter` (0 to 3)."""
    assert len(question.wrong) >= 3, f"{question.template} has {len(question.wrong)} wrong answers"
    options = list(question.wrong[:3])
    options.insert(letter, question.answer)
    return tuple(options)


def with_options(
    words: str, options: Sequence[Phrase], language: Language, instruction: str, *, bracketed: bool = False
) -> str:
    """Write a question, its lettered options and what kind of answer is wanted, a line each."""
    mark = "({}) {}" if bracketed else "{}. {}"
    lines = [mark.format(letter, phrase_in(option, language)) for letter, option in zip(LETTERS, options, strict=True)]
    return "\n".join([words, *lines, *([instruction] if instruction else [])])


def training_rounds(film: Film, rng: random.Random, mixture: Mixture) -> list[Round]:
    """Choose rounds about a film as training sees them: families evenly, wordings heard, one main language."""
    found = questions(film, rng)
    by_family: dict[Family, list[Question]] = {}
    for question in found[1:]:
        by_family.setdefault(question.family, []).append(question)
    language = rng.choice(tuple(Language))
    mixed = rng.random() < 0.2
    weights = dict(mixture.weights)
    describes = rng.random() < mixture.describe_share
    count = min(mixture.num_rounds, len(found) if describes else len(found) - 1)
    described_at = rng.choice((0, rng.randrange(count))) if describes else None
    rounds: list[Round] = []
    last: Question | None = None
    for place in range(count):
        if place == described_at:
            rounds.append(_spoken(found[0], language, rng, as_choice=False))
            last = None
            continue
        (family,) = rng.choices(tuple(by_family), [weights.get(family, 1.0) for family in by_family])
        question = by_family[family].pop(rng.randrange(len(by_family[family])))
        if not by_family[family]:
            del by_family[family]
        if mixed:
            language = rng.choice(tuple(Language))
        as_choice = family in CHOICE_FAMILIES and len(question.wrong) >= 3 and rng.random() < mixture.choice_share
        follows = last is not None and last.subject is not None and last.subject == question.subject
        asked = _with_pronoun(question) if follows and rng.random() < 0.5 else question
        rounds.append(_spoken(asked, language, rng, as_choice=as_choice))
        last = question
    return rounds


def _with_pronoun(question: Question) -> Question:
    """Say "it" for the thing that the round before was about."""
    return replace(question, slots={**question.slots, "thing": Phrase("it", "它")})


def _spoken(question: Question, language: Language, rng: random.Random, *, as_choice: bool) -> Round:
    words = in_words(question, rng.choice(heard(question.template, language)), language)
    words = words.replace("the it", "it").replace("The it", "It")
    if rng.random() < 0.15:
        words = rng.choice(OPENINGS[language]) + words
    answer = phrase_in(question.answer, language)
    if as_choice:
        letter = rng.randrange(4)
        letter_only = rng.random() < 0.7
        bracketed = rng.random() < 0.3
        instruction = rng.choice(LETTER_ONLY[language]) if letter_only else ""
        words = with_options(words, options_for(question, letter), language, instruction, bracketed=bracketed)
        mark = LETTERS[letter]
        answer = mark if letter_only else f"({mark}) {answer}" if bracketed else f"{mark}. {answer}"
    return Round(family=question.family, question=words, answer=answer, language=language)
