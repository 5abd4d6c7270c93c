"""When an answer counts as right, for each way of asking."""

import pytest

from kangaroo.evaluation.judge import judge
from kangaroo.evaluation.playground import Facts, Item, Part
from kangaroo.playground.questions import Family
from kangaroo.playground.vocabulary import Language


def item(part, expected, *, family=Family.WHAT, options=(), facts=None):
    return Item(
        id="one",
        pair="one",
        part=part,
        family=family,
        language=Language.EN,
        film=0,
        question="?",
        expected=expected,
        options=options,
        facts=facts,
    )


@pytest.mark.parametrize(
    ("output", "parsed", "score"), [("B", "B", 1), ("blue", "B", 1), ("A", "A", 0), ("?", None, 0)]
)
def test_letters(output, parsed, score):
    verdict = judge(item(Part.LETTERED, "B", options=("red", "blue", "green", "pink")), output)
    assert (verdict.parsed, verdict.score) == (parsed, score)


@pytest.mark.parametrize(("output", "parsed", "score"), [("No.", "no", 1), ("Yes", "yes", 0), ("Maybe", None, 0)])
def test_yes_or_no(output, parsed, score):
    verdict = judge(item(Part.YES_NO, "No"), output)
    assert (verdict.parsed, verdict.score) == (parsed, score)


@pytest.mark.parametrize(
    ("output", "score"),
    [("the Red circle.", 1), ("red circle", 1), ("red", 0), ("red circle or blue star", 0), ("", 0)],
)
def test_free_answers_are_equal_or_wrong(output, score):
    assert judge(item(Part.OPEN, "red circle"), output).score == score


ENGLISH = Facts(
    things=("red circle", "dog"),
    actions=("the red circle enters from the left", "the dog jumps 3 times"),
    places=("the dog is in the centre",),
)


@pytest.mark.parametrize(
    ("output", "score", "truth"),
    [
        (
            "First, the dog is in the centre. At 2 seconds, the red circle enters from the left. "
            "At 9 seconds, the dog jumps 3 times.",
            1,
            1,
        ),
        ("At 1 second, the red circle enters from the left.", 0.5, 1),  # one thing and one action of four facts
        ("The dog jumps 2 times.", 0.25, 0),
        ("A dog and a red circle.", 0.5, 0),
        ("The cat sleeps.", 0, 0),
        ("", 0, 0),
    ],
)
def test_descriptions_by_the_facts_they_tell(output, score, truth):
    verdict = judge(item(Part.DESCRIBE, "", facts=ENGLISH), output)
    assert (verdict.score, verdict.truth) == (score, truth)
    assert verdict.right == (score == 1)


def test_the_films_own_description_tells_every_fact_and_nothing_false(large):
    described = [one for one in large.items if one.part is Part.DESCRIBE]
    assert {one.language for one in described} == set(Language)
    for one in described:
        verdict = judge(one, one.expected)
        assert (verdict.score, verdict.truth) == (1, 1), one.expected


def test_every_expected_answer_is_judged_right(large):
    assert all(judge(one, one.expected).right for one in large.items)


def test_every_wrong_option_is_judged_wrong(large):
    for one in large.items:
        for letter, option in zip("ABCD", one.options, strict=False):
            assert judge(one, letter).right == judge(one, option).right == (letter == one.expected)
