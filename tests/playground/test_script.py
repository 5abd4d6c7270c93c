"""Laws that hold for every film, tried on many seeds."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from kangaroo.playground.film import ACTIONS, ARRIVALS, DEPARTURES, Verb
from kangaroo.playground.script import MAX_THINGS, FilmKind, FilmSettings, Split, held_out, make_film
from kangaroo.playground.vocabulary import COLOURS, ROUND, SHAPES, Look, common_sprites
from kangaroo.video.sampler import FrameSampler

NUM_FILMS = 250


@pytest.fixture(scope="module", params=Split)
def films(request):
    return request.param, [make_film(seed, split=request.param) for seed in range(NUM_FILMS)]


def all_events(films):
    return [(shown, scene, event) for shown in films for scene in shown.scenes for event in scene.events]


def test_the_same_seed_gives_the_same_film_and_another_seed_another():
    assert make_film(7) == make_film(7)
    assert make_film(7, split=Split.TEST) == make_film(7, split=Split.TEST)
    assert len({make_film(seed, duration_s=16.0) for seed in range(50)}) == 50
    assert make_film(7) != replace(make_film(7, split=Split.TEST))


def test_every_event_is_seen_at_the_default_samplers_frames(films):
    for shown, scene, event in all_events(films[1]):
        times_s = FrameSampler().wanted_times(shown.duration_s)
        during = times_s[(times_s >= event.start_s) & (times_s <= event.end_s)]
        assert len(during) >= (2 * event.times if event.times else 1), f"film {shown.seed}: {event}"
        index = scene.events.index(event)
        after = scene.events[index + 1].start_s if index + 1 < len(scene.events) else scene.end_s
        assert after - event.end_s >= 0.8 * shown.duration_s / len(times_s) - 1e-9


def test_every_blink_is_seen_hidden_and_shown_so_often_at_the_default_samplers_frames(films):
    blinks = [each for each in all_events(films[1]) if each[2].verb is Verb.BLINK]
    assert len(blinks) > 20
    for shown, scene, event in blinks:
        times_s = FrameSampler().wanted_times(shown.duration_s)
        alpha = shown.states(times_s, num_slots=MAX_THINGS)[:, event.thing, 4]
        near = (times_s > event.start_s - shown.duration_s / len(times_s)) & (times_s < scene.end_s)
        seen = alpha[near & (times_s < event.end_s + shown.duration_s / len(times_s))] > 0
        assert np.sum(seen[:-1] & ~seen[1:]) == event.times, f"film {shown.seed}"


def test_events_follow_one_another_within_their_scene(films):
    for shown in films[1]:
        for scene in shown.scenes:
            assert all(scene.start_s < event.start_s < event.end_s <= scene.end_s for event in scene.events)
            assert all(before.end_s < after.start_s for before, after in pairwise(scene.events))


def test_scenes_follow_one_another_without_a_gap_from_start_to_end(films):
    for shown in films[1]:
        assert shown.scenes[0].start_s == 0
        assert shown.scenes[-1].end_s == pytest.approx(shown.duration_s)
        for before, after in pairwise(shown.scenes):
            assert before.end_s == pytest.approx(after.start_s)


def test_training_never_shows_a_held_out_pair_and_testing_only_those(films):
    split, shown = films
    pairs = {
        (scene.things[event.thing].look, event.verb) for _, scene, event in all_events(shown) if event.verb in ACTIONS
    }
    assert len(pairs) > 100
    assert {held_out(look, verb) for look, verb in pairs} == {split is Split.TEST}


def test_one_look_and_action_pair_in_eight_is_held_out():
    looks = [Look(kind, colour) for kind in SHAPES for colour in COLOURS] + [Look(slug) for slug in common_sprites()]
    share = np.mean([held_out(look, verb) for look in looks for verb in ACTIONS])
    assert share == pytest.approx(1 / 8, abs=0.02)
    for verb in ACTIONS:
        assert any(held_out(look, verb) for look in looks)


def test_no_look_occurs_twice_in_a_film_not_even_after_a_recolour(films):
    for shown in films[1]:
        looks = [thing.look for scene in shown.scenes for thing in scene.things]
        looks += [
            Look(scene.things[event.thing].look.kind, event.colour)
            for _, scene, event in all_events([shown])
            if event.verb is Verb.RECOLOUR
        ]
        assert len(looks) == len(set(looks)), f"film {shown.seed}"


def test_things_start_in_cells_of_their_own_and_fit_the_slots(films):
    for shown in films[1]:
        for scene in shown.scenes:
            cells = [thing.cell for thing in scene.things]
            assert len(cells) == len(set(cells)) <= MAX_THINGS


def test_nothing_happens_to_what_is_not_in_view(films):
    for _, scene, event in all_events(films[1]):
        history = scene.events_of(event.thing)
        before = [other.verb for other in history[: history.index(event)]]
        assert not set(before) & set(DEPARTURES)
        if event.verb in ARRIVALS:
            assert not before
        if event.verb is Verb.BUMP:
            others = [other for other in scene.events_of(event.other) if other.end_s <= event.start_s]
            assert not {other.verb for other in others} & set(DEPARTURES)
            assert scene.arrival_s(event.other) < event.start_s


def test_a_move_stays_within_the_grid_and_ends_where_nobody_stands(films):
    for _, scene, event in all_events(films[1]):
        if event.verb is Verb.MOVE:
            history = [other for other in scene.events_of(event.thing) if other.start_s <= event.start_s]
            moves = [other for other in history if other.verb is Verb.MOVE]
            cell = scene.things[event.thing].cell
            column = cell % 3 + sum(other.way.step[0] * other.steps for other in moves)
            row = cell // 3 + sum(other.way.step[1] * other.steps for other in moves)
            assert 0 <= column < 3
            assert 0 <= row < 3
            standing = {thing.cell for index, thing in enumerate(scene.things) if not _moves(scene, index)} - {cell}
            gone = {
                scene.things[other.thing].cell
                for other in scene.events
                if other.verb in DEPARTURES and other.end_s <= event.start_s
            }
            assert column + 3 * row not in standing - gone


def test_sprites_never_change_colour_and_round_things_never_spin(films):
    for _, scene, event in all_events(films[1]):
        look = scene.things[event.thing].look
        assert event.verb is not Verb.RECOLOUR or (look.is_shape and event.colour != look.colour)
        assert event.verb is not Verb.TURN or look.kind not in ROUND


def test_films_are_as_long_as_the_settings_say_and_every_verb_occurs(films):
    lengths = [shown.duration_s for shown in films[1]]
    assert min(lengths) >= 2.5
    assert max(lengths) <= 64
    assert np.median(lengths) < 20  # short films more often
    assert {event.verb for _, _, event in all_events(films[1])} == set(Verb)


@pytest.mark.parametrize("duration_s", [1.0, 2.5, 16.0, 64.0, 160.0])
def test_a_film_of_any_length_can_be_made(duration_s):
    for seed in range(10):
        assert make_film(seed, duration_s=duration_s).duration_s == duration_s


def test_in_a_still_nothing_happens_and_everything_is_there_at_once():
    settings = FilmSettings(kind=FilmKind.STILL, max_things=6)
    stills = [make_film(seed, settings=settings, duration_s=1.0) for seed in range(60)]
    for still in stills:
        assert not [event for scene in still.scenes for event in scene.events]
        assert len(still.scenes) == 1
        shown = still.states(np.zeros(1), num_slots=MAX_THINGS)[0, :, 4]
        assert shown.sum() == len(still.scenes[0].things)
    assert {len(still.scenes[0].things) for still in stills} == {1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_of_sprites_is_kept(share):
    settings = FilmSettings(sprite_share=share)
    looks = [
        thing.look
        for seed in range(40)
        for scene in make_film(seed, settings=settings).scenes
        for thing in scene.things
    ]
    sprites = np.mean([not look.is_shape for look in looks])
    # what changes its colour is always a shape
    assert sprites == 0 if share == 0 else sprites > 0.8


def _moves(scene, index):
    return any(event.verb is Verb.MOVE for event in scene.events_of(index))


def test_a_brief_scene_is_seen_in_a_frame_or_more_and_is_still():
    brief = FilmSettings(brief_share=1.0)
    places = set()
    for seed in range(100):
        shown = make_film(seed, settings=brief, duration_s=24.0 + seed)
        assert make_film(seed, duration_s=24.0 + seed) != shown
        assert shown.scenes[-1].end_s == pytest.approx(shown.duration_s)
        (own,) = [one for one in shown.scenes if one.end_s - one.start_s <= 5 * shown.unit_s]
        times_s = FrameSampler().wanted_times(shown.duration_s)
        assert 1 <= sum(own.start_s <= time_s < own.end_s for time_s in times_s) <= 6
        assert own.things
        assert not own.events
        places.add("first" if own is shown.scenes[0] else "last" if own is shown.scenes[-1] else "between")
    assert places == {"first", "last", "between"}
    assert make_film(1, settings=brief, duration_s=20.0) == make_film(1, duration_s=20.0)


def test_a_share_of_the_films_holds_a_brief_scene():
    half = FilmSettings(brief_share=0.5)
    shortest = [
        min(one.end_s - one.start_s for one in make_film(seed, settings=half, duration_s=60.0).scenes)
        for seed in range(200)
    ]
    assert 70 <= sum(length <= 5.0 for length in shortest) <= 130
