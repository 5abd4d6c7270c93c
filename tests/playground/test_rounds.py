import random
import re
from collections import Counter
from itertools import chain, pairwise

import pytest

from kangaroo.playground.questions import CHOICE_FAMILIES, Family, Question, questions
from kangaroo.playground.rounds import LETTERS, Mixture, Round, options_for, training_rounds, with_options
from kangaroo.playground.script import make_film
from kangaroo.playground.vocabulary import Language, Phrase

NUM_FILMS = 240


@pytest.fixture(scope="module")
def asked():
    """Each film's questions."""
    films = (make_film(seed, duration_s=16.0 + seed % 40) for seed in range(NUM_FILMS))
    return [questions(film, random.Random(film.seed)) for film in films]


@pytest.fixture(scope="module")
def lettered():
    """Four-option rounds of training: `(lines of options, answer)`."""
    found = []
    for seed in range(NUM_FILMS):
        for one in training_rounds(make_film(seed), random.Random(seed), Mixture(choice_share=1.0)):
            # a short film has too few seconds for options about when
            if one.family in CHOICE_FAMILIES and "\n" in one.question:
                found.append(one)
    return found


def options_in(text):
    """What a question offers, by letter, written either way."""
    return dict(re.findall(r"^\(?([A-D])[).] (.+)$", text, re.MULTILINE))


def test_four_different_options_are_offered_and_the_answer_names_one(lettered):
    assert len(lettered) > 1000
    for one in lettered:
        offered = options_in(one.question)
        assert list(offered) == list(LETTERS)
        assert len(set(offered.values())) == 4, one.question
        mark = re.match(r"\(?([A-D])", one.answer).group(1)
        assert one.answer in (mark, f"{mark}. {offered[mark]}", f"({mark}) {offered[mark]}")


def test_every_letter_is_right_as_often(lettered):
    right = Counter(re.match(r"\(?([A-D])", one.answer).group(1) for one in lettered)
    assert set(right) == set(LETTERS)
    for number in right.values():
        assert number == pytest.approx(len(lettered) / 4, rel=0.12)


def test_the_letter_alone_is_given_exactly_when_it_is_asked_for(lettered):
    alone = [one for one in lettered if len(one.answer) == 1]
    assert len(alone) == pytest.approx(0.7 * len(lettered), rel=0.1)
    for one in lettered:
        last = one.question.splitlines()[-1]
        assert (len(one.answer) == 1) == (not re.match(r"\(?D[).] ", last)), one.question


def test_the_right_answer_stands_where_it_is_wanted():
    question = next(one for one in questions(make_film(3), random.Random(0)) if one.family is Family.COUNT)
    for letter in range(4):
        options = options_for(question, letter)
        assert options[letter] == question.answer
        assert sorted(options) == sorted((question.answer, *question.wrong[:3]))


def test_options_are_written_a_line_each():
    options = [Phrase(word, word) for word in ("one", "two", "three", "four")]
    assert with_options("How many?", options, Language.EN, "Letter only.") == (
        "How many?\nA. one\nB. two\nC. three\nD. four\nLetter only."
    )
    assert with_options("How many?", options, Language.EN, "", bracketed=True) == (
        "How many?\n(A) one\n(B) two\n(C) three\n(D) four"
    )


@pytest.mark.parametrize(("template", "least"), [("count.all", 150), ("often", 100), ("when.act", 200)])
def test_neither_rank_nor_order_of_numbers_gives_the_right_one_away(asked, template, least):
    """Where the right number stands by size, and whether the wrong ones are in order."""
    ranks, rising = Counter(), Counter()
    for question in chain(*asked):
        if question.template == template:
            right, *wrong = (number_in(phrase) for phrase in (question.answer, *question.wrong))
            ranks[sum(other < right for other in wrong)] += 1
            rising[wrong == sorted(wrong)] += 1
    total = sum(ranks.values())
    assert total > least
    assert set(ranks) == {0, 1, 2, 3}
    assert max(ranks.values()) < 0.45 * total, ranks
    assert rising[True] < 0.25 * total  # one order of six


def number_in(phrase: Phrase) -> int:
    return int(re.search(r"\d+", phrase.en).group())


def test_none_is_never_offered_as_a_number(asked):
    numbers = [
        number_in(phrase)
        for question in chain(*asked)
        if question.family in (Family.COUNT, Family.OFTEN)
        for phrase in (question.answer, *question.wrong)
    ]
    assert min(numbers) == 1
    assert max(numbers) > 6


def test_wrong_answers_are_three_at_least_different_and_wrong_in_both_languages(asked):
    for question in chain(*asked):
        if question.family in CHOICE_FAMILIES:
            assert len(question.wrong) == 3, question
            for language in ("en", "zh"):
                offered = [getattr(phrase, language) for phrase in (question.answer, *question.wrong)]
                assert len(set(offered)) == 4, question
        else:
            assert not question.wrong


def test_families_are_asked_evenly_and_a_description_comes_first_or_anywhere():
    described, families = Counter(), Counter()
    for seed in range(NUM_FILMS):
        rounds = training_rounds(make_film(seed), random.Random(seed), Mixture(num_rounds=3, describe_share=0.3))
        assert 1 <= len(rounds) <= 3
        places = [place for place, one in enumerate(rounds) if one.family is Family.DESCRIBE]
        assert len(places) <= 1
        described.update(places)
        families.update(one.family for one in rounds)
    assert described.total() == pytest.approx(0.3 * NUM_FILMS, rel=0.25)
    assert described[0] > described[1] + described[2] > 0
    assert min(described[1], described[2]) > 0
    assert set(families) == set(Family)


def test_no_question_is_asked_twice_of_a_film():
    for seed in range(60):
        rounds = training_rounds(make_film(seed), random.Random(seed), Mixture(num_rounds=50, choice_share=0.0))
        wanted = len(questions(make_film(seed), random.Random(seed)))
        assert len(rounds) <= wanted


def test_both_languages_are_spoken_as_often_and_most_conversations_keep_one():
    spoken = [
        {one.language for one in training_rounds(make_film(seed), random.Random(seed), Mixture(num_rounds=6))}
        for seed in range(NUM_FILMS)
    ]
    only_english, mixed = spoken.count({Language.EN}), spoken.count(set(Language))
    assert 0.05 * NUM_FILMS < mixed < 0.3 * NUM_FILMS
    assert only_english == pytest.approx((NUM_FILMS - mixed) / 2, rel=0.25)


def says_it(one: Round) -> bool:
    words = re.sub("[Ii]s it true|(before|after) it moves", "", one.question)
    return one.language is Language.EN and re.search(r"\b[Ii]t\b", words) is not None


def test_it_stands_for_the_thing_of_the_round_before_only():
    pronouns = 0
    for seed in range(NUM_FILMS):
        film = make_film(seed)
        subjects = {question.subject.en for question in questions(film, random.Random(seed)) if question.subject}
        rounds = training_rounds(film, random.Random(seed), Mixture(num_rounds=12, choice_share=0.0))
        for before, one in pairwise(rounds):
            if says_it(one):
                pronouns += 1
                if before.language is Language.EN and not says_it(before):
                    assert any(subject in before.question or subject in before.answer for subject in subjects)
        assert not says_it(rounds[0])
    assert pronouns > 20


def test_a_question_without_three_wrong_answers_cannot_be_lettered():
    bare = Question(family=Family.YES_NO, template="yes_no", answer=Phrase("Yes", "是的"))
    with pytest.raises(AssertionError, match="0 wrong answers"):
        options_for(bare, 0)
