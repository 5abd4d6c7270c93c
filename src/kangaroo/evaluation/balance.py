"""Choose questions so that their words alone do not tell the answer. Imports without torch.

Every option of a lettered question carries traits: its words, its rank among numbers, its length, what kind of thing
or action it names. A trait that is right more often than one time in four would be a clue; questions are picked one by
one so that right and offered stay in proportion for every trait.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from kangaroo.playground.questions import Family, Question
from kangaroo.playground.vocabulary import Phrase


@dataclass(frozen=True, eq=False)
class Candidate:
    """A question about a film of the benchmark."""

    film: int
    question: Question

    @property
    def options(self) -> tuple[Phrase, ...]:
        """The right answer, then the three wrong ones."""
        return (self.question.answer, *self.question.wrong[:3])


def pick_balanced(candidates: Sequence[Candidate], number: int, rng: random.Random) -> list[Candidate]:
    """Pick so many candidates, keeping every trait's surplus of being right small and films evenly used.

    The surplus of a trait is how often an option with it was right, less the share of options that had it.
    """
    assert len(candidates) >= number, f"{len(candidates)} candidates for {number} questions"
    left = list(candidates)
    rng.shuffle(left)
    weighed = [_clues(one) for one in left]
    number_of = {trait: place for place, trait in enumerate(dict.fromkeys(chain.from_iterable(weighed)))}
    # a row for each candidate, filled up with a trait that changes nothing
    width = max(map(len, weighed))
    traits = np.full((len(left), width), len(number_of))
    changes = np.zeros((len(left), width))
    for row, clues in enumerate(weighed):
        traits[row, : len(clues)] = [number_of[trait] for trait in clues]
        changes[row, : len(clues)] = list(clues.values())
    films = np.array([one.film for one in left])
    surplus, used, taken = np.zeros(len(number_of) + 1), np.zeros(films.max() + 1), np.zeros(len(left))
    chosen = []
    for _ in range(number):
        costs = np.zeros(len(left))
        for own, change in zip(
            traits.T, changes.T, strict=True
        ):  # column by column: the order of adding is part of ties
            costs += 2 * surplus[own] * change + change**2
        best = int(np.argmin(costs + 0.3 * used[films] + taken))
        surplus[traits[best]] += changes[best]
        used[films[best]] += 1
        taken[best] = np.inf
        chosen.append(left[best])
    return chosen


def _clues(candidate: Candidate) -> dict[str, float]:
    """Return by how much this question would change each trait's surplus."""
    question = candidate.question
    if question.family is Family.YES_NO:
        right = question.answer.en == "Yes"
        words = question.slots["do"].en.split()[0] if "do" in question.slots else _kind(question.slots["thing"])
        return dict.fromkeys(("all", f"{question.template} {words}"), (1.0 if right else -1.0) / 2)
    clues: dict[str, float] = defaultdict(float)
    options = candidate.options
    ranks = _ranks([_number(option) for option in options])
    lengths = _ranks([float(len(option.en)) for option in options])
    kinds = [_kind(option) for option in options]
    for place, option in enumerate(options):
        change = (1.0 if place == 0 else 0.0) - 1 / len(options)
        alike = "odd" if kinds.count(kinds[place]) == 1 else "common"
        traits = {
            f"words {question.template} {option.en}",
            f"rank {question.template} {ranks[place]}",
            f"length {lengths[place]}",
            f"kind {question.template} {kinds[place]}",
            f"alike {alike}",
        }
        for trait in traits:
            clues[trait] += change
    return {trait: change for trait, change in clues.items() if change}


def _number(phrase: Phrase) -> float | None:
    found = re.search(r"\d+", phrase.en)
    return float(found[0]) if found else None


def _ranks(values: Sequence[float | None]) -> list[int | None]:
    known = sorted({value for value in values if value is not None})
    return [None if value is None else known.index(value) for value in values]


def _kind(phrase: Phrase) -> str:
    """Name what a phrase is: a shape or a sprite, a clause's verb, an action's verb, else the number of its words."""
    words = phrase.en.split()
    verbs = [word for word in words if word in _VERBS]
    return verbs[0] if verbs else str(len(words))


_VERBS = frozenset(
    (
        "enters",
        "appears",
        "leaves",
        "vanishes",
        "moves",
        "grows",
        "shrinks",
        "spins",
        "blinks",
        "jumps",
        "turns",
        "bumps",
    )
)


def is_clear(phrases: Iterable[Phrase]) -> bool:
    """Whether phrases differ in both languages."""
    phrases = list(phrases)
    return len({one.en for one in phrases}) == len({one.zh for one in phrases}) == len(phrases)
