import random
import re
from string import Formatter

import pytest

from kangaroo.playground.questions import questions
from kangaroo.playground.rounds import Mixture, in_words, training_rounds
from kangaroo.playground.script import Split, make_film
from kangaroo.playground.vocabulary import Language
from kangaroo.playground.wording import LETTER_ONLY, WORDINGS, heard, unheard

NUM_FILMS = 120


@pytest.fixture(scope="module")
def asked():
    return [question for seed in range(NUM_FILMS) for question in questions(make_film(seed), random.Random(seed))]


@pytest.mark.parametrize("language", Language)
def test_every_template_has_wordings_of_which_training_never_hears_the_last_two(language):
    assert WORDINGS[Language.EN].keys() == WORDINGS[Language.ZH].keys()
    for template, lines in WORDINGS[language].items():
        assert len(lines) == len(set(lines)) >= 8, template
        assert (*heard(template, language), *unheard(template, language)) == lines
        assert len(unheard(template, language)) == 2


def test_questions_use_every_template_and_no_other(asked):
    assert {question.template for question in asked} == set(WORDINGS[Language.EN])


@pytest.mark.parametrize("language", Language)
def test_wordings_ask_for_slots_that_the_questions_fill(asked, language):
    for question in asked:
        for wording in WORDINGS[language][question.template]:
            wanted = {name for _, name, _, _ in Formatter().parse(wording) if name}
            assert wanted <= question.slots.keys()
            # what is asked about is said in every wording, by one slot of several or all
            assert bool(wanted) == bool(question.slots), wording


@pytest.mark.parametrize("language", Language)
def test_no_brace_is_left_and_no_english_letter_stands_in_chinese(asked, language):
    for question in asked:
        for wording in WORDINGS[language][question.template]:
            words = in_words(question, wording, language)
            assert not set("{}") & set(words)
            if language is Language.ZH:
                assert not re.search("[A-Za-z]", words), words
            else:
                assert words.isascii(), words
                assert words[0].isupper()
                assert "  " not in words


def test_answers_and_options_are_in_their_language_too(asked):
    for question in asked:
        for phrase in (question.answer, *question.wrong):
            assert phrase.en.isascii()
            assert not re.search("[A-Za-z]", phrase.zh), phrase.zh


def test_training_never_hears_the_held_out_wordings():
    for seed in range(NUM_FILMS):
        film, rng = make_film(seed), random.Random(seed)
        held_out = {
            in_words(question, wording, language)
            for question in questions(film, random.Random(seed))
            for language in Language
            for wording in unheard(question.template, language)
        } - {
            in_words(question, wording, language)
            for question in questions(film, random.Random(seed))
            for language in Language
            for wording in heard(question.template, language)
        }
        said = [one.question.splitlines()[0] for one in training_rounds(film, rng, Mixture(num_rounds=30))]
        assert len(said) >= 2
        for words in said:
            assert not any(words.endswith(sentence) for sentence in held_out), words


def test_the_letter_is_asked_for_in_several_ways_that_name_no_letter():
    for language in Language:
        assert len(set(LETTER_ONLY[language])) >= 4
        assert not any(re.search(r"\b[ABCD]\b", words) for words in LETTER_ONLY[language])


def test_test_films_are_asked_with_the_same_templates():
    templates = {
        question.template
        for seed in range(NUM_FILMS)
        for question in questions(make_film(seed, split=Split.TEST), random.Random(seed))
    }
    assert templates == set(WORDINGS[Language.EN])
