"""Without the film nobody does much better than one in four: not by position, length, numbers or habit."""

import re
from collections import Counter, defaultdict

import pytest

from kangaroo.evaluation.playground import Part, make_playground
from kangaroo.playground.vocabulary import Language


def lettered(playground):
    return [item for item in playground.items if item.part is Part.LETTERED and item.language is Language.EN]


def number(option):
    found = re.search(r"\d+", option)
    return int(found[0]) if found else -1


def out_of_order(options):
    """The option that would have to move for the numbers to rise: how answers put among sorted wrong ones show."""
    numbers = [number(option) for option in options]
    for place in range(4):
        rest = numbers[:place] + numbers[place + 1 :]
        if rest == sorted(rest):
            return place
    return 0


def most_alike(options):
    words = [set(option.split()) for option in options]
    return max(range(4), key=lambda place: sum(len(words[place] & other) for other in words))


def least_alike(options):
    words = [set(option.split()) for option in options]
    return min(range(4), key=lambda place: sum(len(words[place] & other) for other in words))


GUESSES = {
    "first": lambda question, options: 0,
    "longest": lambda question, options: max(range(4), key=lambda place: len(options[place])),
    "shortest": lambda question, options: min(range(4), key=lambda place: len(options[place])),
    "smallest": lambda question, options: min(range(4), key=lambda place: number(options[place])),
    "largest": lambda question, options: max(range(4), key=lambda place: number(options[place])),
    "second smallest": lambda question, options: sorted(range(4), key=lambda place: number(options[place]))[1],
    "out of order": lambda question, options: out_of_order(options),
    "most alike": lambda question, options: most_alike(options),
    "least alike": lambda question, options: least_alike(options),
    "echo": lambda question, options: max(
        range(4), key=lambda place: len(set(options[place].split()) & set(question.split()))
    ),
}


@pytest.mark.parametrize("name", GUESSES)
def test_a_simple_guess_is_right_one_time_in_four(large, name):
    hits = defaultdict(list)
    for item in lettered(large):
        place = GUESSES[name](item.question.split("\n")[0], item.options)
        hits[item.family].append("ABCD"[place] == item.expected)
    shares = {family: sum(own) / len(own) for family, own in hits.items()}
    assert sum(shares.values()) / len(shares) < 0.3, shares
    assert max(shares.values()) < 0.42, shares


@pytest.mark.long
def test_habits_learnt_from_other_films_do_not_help(large):
    """Naive Bayes over a question's first words and each option's words, learnt from thousands of other questions."""
    right, offered = Counter(), Counter()

    def clues(item, option):
        start = " ".join(item.question.split()[:3])
        return [(item.family, option), (start, option), *((item.family, word) for word in option.split())]

    for seed in (1, 2):
        for item in lettered(make_playground(num_questions=2000, seed=seed, parts=(Part.LETTERED,))):
            for letter, option in zip("ABCD", item.options, strict=True):
                for clue in clues(item, option):
                    offered[clue] += 1
                    right[clue] += letter == item.expected
    hits = defaultdict(list)
    for item in lettered(large):
        chances = []
        for option in item.options:
            chance = 1.0
            for clue in clues(item, option):
                chance *= (right[clue] + 2) / (offered[clue] + 8) * 4
            chances.append(chance)
        hits[item.family].append("ABCD"[chances.index(max(chances))] == item.expected)
    shares = {family: sum(own) / len(own) for family, own in hits.items()}
    assert sum(shares.values()) / len(shares) < 0.3, shares
