"""Answers are compared with what the film's pixels show, read by `watched` without the film's own account of itself.

The film's events only say where to look: of several things that happen to a thing, which one is asked about.
"""

import random
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from watched import RATE_HZ, place_name, watch

from kangaroo.playground.film import Verb
from kangaroo.playground.questions import Family, questions
from kangaroo.playground.script import Split, make_film
from kangaroo.playground.vocabulary import Language, Way
from kangaroo.playground.wording import unheard

NUM_FILMS = 28


@pytest.fixture(scope="module")
def cases():
    """By template: (film, what is seen of its things, question)."""
    found = defaultdict(list)
    for seed in range(NUM_FILMS):
        film = make_film(seed, split=tuple(Split)[seed % 2], duration_s=16.0 + seed % 8)
        seen = watch(film)
        for question in questions(film, random.Random(seed)):
            found[question.template].append((film, seen, question))
    return found


def subject_of(question):
    return question.slots["thing"].en


def event_of(film, name, *verbs):
    """The one event of these verbs that happens to the thing."""
    events = [
        event
        for scene in film.scenes
        for event in scene.events
        if scene.things[event.thing].look.name.en == name and event.verb in verbs
    ]
    assert len(events) == 1
    return events[0]


def moments_in(start_s, end_s):
    return slice(int(np.ceil(start_s * RATE_HZ)), int(end_s * RATE_HZ) + 1)


def test_the_count_of_things_is_that_of_the_things_seen(cases):
    for _, seen, question in cases["count.all"]:
        assert int(question.answer.en) == sum(watched.seen.any() for _, watched in seen.values())


def test_a_colour_is_that_of_most_pixels(cases):
    asked = cases["colour"]
    assert len(asked) > 15
    for film, seen, question in asked:
        (watched,) = (each for name, (_, each) in seen.items() if name.endswith(f" {subject_of(question)}"))
        assert watched.colour_at(watched.times_s[watched.areas.argmax()]) == question.answer.en, film.seed


def test_the_count_of_a_colour_is_that_of_things_whose_pixels_have_it(cases):
    asked = cases["count.colour"]
    assert len(asked) > 3
    for film, seen, question in asked:
        shapes = {thing.look.name.en for scene in film.scenes for thing in scene.things if thing.look.is_shape}
        colours = Counter(
            watched.colour_at(watched.times_s[watched.areas.argmax()])
            for name, (_, watched) in seen.items()
            if name in shapes
        )
        assert int(question.answer.en) == colours[question.slots["colour"].en]


def test_a_place_is_where_the_thing_is_most_of_its_time(cases):
    asked = cases["where"]
    assert len(asked) > 30
    for film, seen, question in asked:
        watched = seen[subject_of(question)][1]
        x, y = np.nanmedian(watched.centres, axis=0)
        assert place_name(x, y) == question.answer.en, (film.seed, subject_of(question))


def test_places_before_and_after_a_move_are_where_it_rests(cases):
    assert min(len(cases["where.before"]), len(cases["where.after"])) > 4
    for film, seen, question in cases["where.before"]:
        name = subject_of(question)
        watched = seen[name][1]
        start_s = event_starts(film, name, Verb.MOVE)[0]
        x, y = watched.centres[int(start_s * RATE_HZ)]
        assert place_name(x, y) == question.answer.en, (film.seed, name)
    for film, seen, question in cases["where.after"]:
        number, watched = seen[subject_of(question)]
        x, y = watched.centres[int(film.scenes[number].end_s * RATE_HZ) - 1]
        assert place_name(x, y) == question.answer.en, (film.seed, subject_of(question))


def event_starts(film, name, verb):
    return [
        event.start_s
        for scene in film.scenes
        for event in scene.events
        if event.verb is verb and scene.things[event.thing].look.name.en == name
    ]


def direction(start, end):
    across, down = end - start
    if abs(across) > abs(down):
        return "right" if across > 0 else "left"
    return "down" if down > 0 else "up"


SIDE_FROM = {"right": "the left", "left": "the right", "down": "the top", "up": "the bottom"}
SIDE_TO = {"left": "the left", "right": "the right", "up": "the top", "down": "the bottom"}


@pytest.mark.parametrize(
    ("template", "verb", "names"),
    [
        ("way.move", Verb.MOVE, {way: way for way in SIDE_TO}),
        ("way.enter", Verb.ENTER, SIDE_FROM),
        ("way.leave", Verb.LEAVE, SIDE_TO),
    ],
)
def test_a_way_is_that_of_the_seen_motion(cases, template, verb, names):
    asked = cases[template]
    assert len(asked) >= 3
    for film, seen, question in asked:
        watched = seen[subject_of(question)][1]
        event = event_of(film, subject_of(question), verb)
        path = watched.centres[moments_in(event.start_s, event.end_s)]
        path = path[~np.isnan(path[:, 0])]
        assert names[direction(path[0], path[-1])] == question.answer.en, (film.seed, subject_of(question))


def test_a_thing_comes_into_view_within_one_and_a_half_seconds_of_the_time_answered(cases):
    asked = cases["when.arrive"]
    assert len(asked) > 20
    for film, seen, question in asked:
        watched = seen[subject_of(question)][1]
        told = int(question.answer.en.split()[1])
        # rounded to the second, and an entering thing starts just outside
        assert -0.6 <= watched.first_s - told <= 1.5, (film.seed, subject_of(question))


def test_something_begins_to_happen_to_the_thing_at_the_time_answered(cases):
    asked = cases["when.act"]
    assert len(asked) > 20
    for film, seen, question in asked:
        watched = seen[subject_of(question)][1]
        told = int(question.answer.en.split()[1])
        nearest = min(abs(onset - told) for onset in watched.onsets_s)
        assert nearest <= 0.5 + 2 / RATE_HZ, (film.seed, question.slots, watched.onsets_s)


def test_the_number_of_blinks_and_jumps_is_what_is_seen(cases):
    counted = Counter()
    for film, seen, question in cases["often"]:
        watched, doing = seen[subject_of(question)][1], question.slots["do"].en
        event = event_of(film, subject_of(question), Verb(doing))
        during = moments_in(event.start_s - 0.2, event.end_s + 0.2)
        if doing == "blink":
            away = ~watched.seen[during]
        else:
            height = watched.centres[during, 1]
            away = height < np.nanmax(height) - 0.04
        times = int(np.sum(~away[:-1] & away[1:]))
        assert question.answer.en == f"{times} time{'s' if times > 1 else ''}", (film.seed, subject_of(question))
        counted[doing] += 1
    assert min(counted["blink"], counted["jump"]) >= 2


def test_a_new_colour_is_what_most_pixels_have_in_the_end(cases):
    asked = cases["change"]
    assert len(asked) >= 4
    for film, seen, question in asked:
        watched = seen[subject_of(question)][1]
        event = event_of(film, subject_of(question), Verb.RECOLOUR)
        assert watched.colour_at(event.end_s + 1 / RATE_HZ) == question.answer.en, (film.seed, subject_of(question))
        assert watched.colour_at(event.start_s - 1 / RATE_HZ) == subject_of(question).split()[0]


def test_first_last_next_and_before_follow_from_when_things_are_first_seen(cases):
    checked = Counter()
    for template in ("order.first", "order.last", "order.after", "order.before"):
        for film, seen, question in cases[template]:
            firsts = {name: watched.first_s for name, (_, watched) in seen.items()}
            names = sorted(firsts, key=firsts.__getitem__)
            if template == "order.first":
                expected = names[0]
            elif template == "order.last":
                expected = names[-1]
            else:
                expected = names[names.index(subject_of(question)) + (1 if template == "order.after" else -1)]
            assert question.answer.en == expected, (film.seed, template, firsts)
            checked[template] += 1
    assert min(checked.values()) > 3
    assert len(checked) == 4


def test_size_grows_and_shrinks_where_an_action_says_so(cases):
    checked = Counter()
    for film, seen, question in cases["action"]:
        doing = question.answer.en
        if doing in ("grows", "shrinks"):
            watched = seen[subject_of(question)][1]
            event = event_of(film, subject_of(question), Verb.GROW if doing == "grows" else Verb.SHRINK)
            before, after = (watched.areas[int(second * RATE_HZ)] for second in (event.start_s, event.end_s + 0.2))
            assert after > 2 * before if doing == "grows" else after < before / 2, (film.seed, subject_of(question))
            checked[doing] += 1
    assert min(checked["grows"], checked["shrinks"]) >= 1


def test_things_asked_for_are_there_exactly_when_the_answer_is_yes(cases):
    answers = Counter()
    for _, seen, question in cases["yes_no.there"]:
        assert (question.answer.en == "Yes") == (subject_of(question) in seen)
        answers[question.answer.en] += 1
    assert answers["Yes"] == answers["No"] > 10


def test_yes_and_no_are_told_as_often_of_actions_and_no_names_one_that_does_not_happen(cases):
    verbs = {"grow": "grows", "shrink": "shrinks", "spin": "spins", "blink": "blinks", "jump": "jumps", "move": "moves"}
    answers = Counter()
    for film, _, question in cases["yes_no"]:
        told = questions(film, random.Random(0))[0].answer.en
        answers[question.answer.en] += 1
        if question.slots["do"].en in verbs:
            clause = f"the {subject_of(question)} {verbs[question.slots['do'].en]}"
            assert (clause in told) == (question.answer.en == "Yes"), clause
    assert answers["Yes"] == answers["No"] > 10


def test_what_happens_next_is_told_next_in_the_description(cases):
    asked = cases["order.next"]
    assert len(asked) > 20
    for film, _, question in asked:
        told = questions(film, random.Random(0))[0].answer.en
        events = [sentence.split(", ", 1)[1].rstrip(".") for sentence in told.split(". ") if sentence.startswith("At ")]
        assert events[events.index(question.slots["clause"].en) + 1] == question.answer.en


def test_a_description_tells_every_thing_and_event_with_the_second_and_place_that_are_seen(cases):
    for film, seen, question in cases["describe"]:
        told = question.answer.en
        assert told.count("At ") == sum(len(scene.events) for scene in film.scenes)
        for name, (_, watched) in seen.items():
            assert f"the {name} " in told
            start = f"First, the {name} is "
            if watched.seen[0]:
                x, y = watched.centres[0]
                assert start + place_name(x, y) in told
            else:
                assert start not in told
        assert question.answer.zh.count("。") == told.count(".")


@pytest.mark.parametrize("family", Family)
def test_every_family_is_asked_in_some_film(cases, family):
    assert any(question.family is family for group in cases.values() for _, _, question in group)


def test_the_same_film_and_chance_give_the_same_questions():
    film = make_film(11)
    assert questions(film, random.Random(2)) == questions(film, random.Random(2))


def asked_of_many_films(*templates):
    """(film, scene, index, question) of questions about one thing, over films as short and as long as tests see."""
    for seed in range(120):
        film = make_film(seed, split=Split.TEST)
        places = {
            scene.things[index].look.name.en: (scene, index)
            for scene in film.scenes
            for index in range(len(scene.things))
        }
        for question in questions(film, random.Random(seed)):
            if question.template in templates:
                yield film, places, question


def test_no_wrong_option_of_an_action_is_seen_to_happen():
    offered = 0
    for _, places, question in asked_of_many_films("action"):
        scene, index = places[subject_of(question)]
        for wrong in question.wrong:
            verb, _, way = wrong.en.partition(" ")
            assert not (verb == "moves" and Way(way) in scene.ways_of(index)), (subject_of(question), wrong)
            assert not wrong.en.endswith(subject_of(question)), wrong
            offered += verb == "moves"
    assert offered > 20


def test_nobody_who_does_it_too_is_a_wrong_option():
    asked = Counter()
    for _, places, question in asked_of_many_films("what"):
        does = question.slots["does"].en
        verb, _, way = does.partition(" ")
        asked[verb] += 1
        for scene, index in (places[wrong.en] for wrong in question.wrong if wrong.en in places):
            verbs = {event.verb for event in scene.events_of(index)}
            assert not (verb == "moves" and Way(way) in scene.ways_of(index)), (does, question.wrong)
            assert not (verb == "appears" and Verb.ENTER in verbs), (does, question.wrong)
            assert not (verb == "vanishes" and Verb.LEAVE in verbs), (does, question.wrong)
    assert min(asked[verb] for verb in ("moves", "appears", "vanishes")) > 5


def test_who_goes_some_way_moves_and_what_a_thing_became_was_there():
    for film, places, question in asked_of_many_films("yes_no", "yes_no.there"):
        if question.answer.en == "Yes":
            continue
        if question.template == "yes_no":
            scene, index = places[subject_of(question)]
            assert not (question.slots["do"].en == "move" and scene.ways_of(index))
        else:
            shown = {
                replace(scene.things[event.thing].look, colour=event.colour).name.en
                for scene in film.scenes
                for event in scene.events
                if event.colour
            }
            assert subject_of(question) not in shown | places.keys()


@pytest.mark.parametrize("template", ["order.after", "order.before"])
def test_tests_ask_for_what_comes_right_after_or_before(template):
    assert all("紧" in wording for wording in unheard(template, Language.ZH))
    assert all({"right", "just", "next"}.intersection(wording.split()) for wording in unheard(template, Language.EN))
