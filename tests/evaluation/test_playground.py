"""What the benchmark promises of its films and questions."""

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from kangaroo.errors import OptionError
from kangaroo.evaluation.parse import parse_second
from kangaroo.evaluation.playground import Part, make_playground
from kangaroo.playground.film import ACTIONS
from kangaroo.playground.questions import CHOICE_FAMILIES, Family
from kangaroo.playground.rounds import LETTERS
from kangaroo.playground.script import held_out
from kangaroo.playground.vocabulary import Language, common_sprites, sprites
from kangaroo.playground.wording import LETTER_ONLY, WORDINGS, heard
from kangaroo.video.sampler import FrameSampler


def of(playground, part):
    return [item for item in playground.items if item.part is part]


def test_families_languages_and_letters_come_in_equal_numbers(large):
    lettered = of(large, Part.LETTERED)
    assert len(lettered) == 2000
    assert Counter((item.family, item.language, item.expected) for item in lettered) == {
        (family, language, letter): 25 for family in CHOICE_FAMILIES for language in Language for letter in LETTERS
    }
    assert Counter(item.expected for item in of(large, Part.YES_NO) if item.language is Language.EN) == {
        "Yes": 100,
        "No": 100,
    }


def test_few_questions_have_even_letters_too():
    letters = Counter(item.expected for item in of(make_playground(num_questions=40), Part.LETTERED))
    assert set(letters) == set(LETTERS)
    assert set(letters.values()) == {10}


def test_every_question_is_asked_in_both_languages_alike(large):
    pairs = defaultdict(dict)
    for item in large.items:
        if item.part is not Part.DESCRIBE:
            pairs[item.part, item.pair][item.language] = item
    for (part, _), pair in pairs.items():
        english, chinese = pair[Language.EN], pair[Language.ZH]
        assert english.film == chinese.film
        if part in (Part.LETTERED, Part.NO_FILM):
            assert english.expected == chinese.expected
            assert len(set(english.options)) == len(set(chinese.options)) == 4
            assert english.question != chinese.question


def test_the_question_without_the_film_is_the_same_question(large):
    shown = [(item.question, item.expected, item.film) for item in of(large, Part.LETTERED)]
    assert [(item.question, item.expected, item.film) for item in of(large, Part.NO_FILM)] == shown
    assert not any(item.conversation(Path("film.mp4")).videos for item in of(large, Part.NO_FILM))
    assert all(item.conversation(Path("film.mp4")).videos for item in of(large, Part.LETTERED))


def test_names_are_unique(large):
    assert len({item.id for item in large.items}) == len(large.items)


def test_no_action_in_any_film_was_seen_in_training(large):
    pairs = [
        (scene.things[event.thing].look, event.verb)
        for film in large.films
        for scene in film.scenes
        for event in scene.events
        if event.verb in ACTIONS
    ]
    assert len(pairs) > 300
    assert all(held_out(look, verb) for look, verb in pairs)


def test_no_wording_was_heard_in_training(large):
    def shape(words):
        """What stays of a wording when its slots are taken out: its pieces, in order."""
        pieces = words.split("{")
        return [pieces[0], *(piece.split("}", 1)[1] for piece in pieces[1:])]

    def fits(question, pieces):
        place = 0
        if not question.lower().startswith(pieces[0].lower()) or not question.endswith(pieces[-1]):
            return False
        for piece in pieces:
            place = question.lower().find(piece.lower(), place)
            if place < 0:
                return False
            place += len(piece)
        return True

    fixed = {
        language: {name for name, lines in WORDINGS[language].items() if not any("{" in line for line in lines)}
        for language in Language
    }
    for item in large.items:
        words = item.question.split("\n")[0]
        for name in fixed[item.language]:
            assert words not in heard(name, item.language)
        if item.family in (Family.WAY, Family.COLOUR, Family.CHANGE, Family.OFTEN):
            templates = [name for name in WORDINGS[item.language] if name.split(".")[0] == item.family]
            own = [line for name in templates for line in WORDINGS[item.language][name] if fits(words, shape(line))]
            assert any(line not in heard(name, item.language) for name in templates for line in own), words


def test_the_wanted_kind_of_answer_is_said_as_benchmarks_say_it(large):
    for item in of(large, Part.LETTERED):
        lines = item.question.split("\n")
        assert lines[-1] == LETTER_ONLY[item.language][0]
        marked = [f"{letter}. {option}" for letter, option in zip(LETTERS, item.options, strict=True)]
        assert lines[1:-1] == marked


def test_films_last_up_to_a_minute_and_many_are_seen_in_64_frames(large):
    counts = [len(FrameSampler().wanted_times(film.duration_s)) for film in large.films]
    assert max(counts) == 64
    assert sum(count == 64 for count in counts) >= 20
    assert sum(count == 16 for count in counts) >= 10
    assert all(2.5 <= film.duration_s <= 64 for film in large.films)


def test_questions_share_films_evenly(large):
    per_film = Counter(item.film for item in of(large, Part.LETTERED))
    assert len(per_film) == len(large.films)
    assert max(per_film.values()) <= 40


def test_a_seed_always_gives_the_same_benchmark_and_another_seed_another():
    first, second = make_playground(num_questions=20, seed=4), make_playground(num_questions=20, seed=4)
    assert first == second
    assert first.digest() == second.digest()
    assert make_playground(num_questions=20, seed=5).digest() != first.digest()


def test_leaving_out_a_part_changes_no_other():
    whole = make_playground(num_questions=20)
    assert of(make_playground(num_questions=20, parts=(Part.OPEN,)), Part.OPEN) == of(whole, Part.OPEN)


@pytest.mark.parametrize("number", [0, -20, 10, 2001])
def test_numbers_that_cannot_be_shared_evenly_are_refused(number):
    with pytest.raises(OptionError, match="multiple of 20"):
        make_playground(num_questions=number)


def test_no_part_is_refused():
    with pytest.raises(OptionError, match="lettered"):
        make_playground(num_questions=20, parts=())


def test_times_are_known_before_they_were_rounded(large):
    for item in large.items:
        assert (item.second_s is not None) == (item.family is Family.WHEN)
        if item.part is Part.OPEN and item.second_s is not None:
            assert parse_second(item.expected) == round(item.second_s)


def test_what_names_a_sprite_does_so_in_both_languages(large):
    names = {sprites()[slug].name for slug in common_sprites()}
    shown = of(large, Part.OPEN) + of(large, Part.YES_NO)
    assert 50 < sum(item.names_sprite for item in shown) < len(shown) / 2
    for item in shown:
        own = {name.en if item.language is Language.EN else name.zh for name in names}
        told = item.question + item.expected
        assert not item.names_sprite or any(name in told for name in own), told
