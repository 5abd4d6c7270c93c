import numpy as np
import pytest
from staged import (
    ALPHA,
    ANGLE,
    END_S,
    GREY,
    RED,
    SIZE,
    START_S,
    TILE,
    X,
    Y,
    event,
    film,
    scene,
    staged,
    states,
    thing,
)

from kangaroo.playground.film import Background, Verb, does, tile_of
from kangaroo.playground.render import backgrounds
from kangaroo.playground.vocabulary import COLOURS, SHAPES, Look, Way, sprites

MIDDLE_S = (START_S + END_S) / 2
SIDES = {Way.LEFT: (X, -1), Way.RIGHT: (X, 1), Way.UP: (Y, -1), Way.DOWN: (Y, 1)}
HALF_SIZE = 0.15


def outside_by(place: float) -> float:
    """How far the thing's nearest edge lies beyond the picture's edge; below 0: it shows."""
    return max(-place, place - 1) - HALF_SIZE


@pytest.mark.parametrize("way", Way)
def test_what_enters_comes_from_outside_and_arrives_at_its_place(way):
    axis, sign = SIDES[way]
    before, begin, middle, end, after = states(staged(Verb.ENTER, way=way), 3.9, START_S + 1e-3, MIDDLE_S, END_S, 12.0)
    assert before[ALPHA] == 0
    assert outside_by(begin[axis]) > 0
    assert sign * (begin[axis] - 0.5) > sign * (middle[axis] - 0.5) > 0
    for arrived in (end, after):
        assert arrived[[X, Y]] == pytest.approx([0.5, 0.5])
        assert arrived[ALPHA] == 1


@pytest.mark.parametrize("way", Way)
def test_what_leaves_goes_out_on_its_side_and_is_not_seen_again(way):
    axis, sign = SIDES[way]
    begin, middle, end, after = states(staged(Verb.LEAVE, way=way), START_S, MIDDLE_S, END_S, 12.0)
    assert begin[[X, Y, ALPHA]] == pytest.approx([0.5, 0.5, 1])
    assert sign * (middle[axis] - 0.5) > 0.2
    assert outside_by(end[axis]) > 0
    assert end[ALPHA] == after[ALPHA] == 0


def test_what_vanishes_fades_and_stays_away():
    assert states(staged(Verb.VANISH), 3.0, MIDDLE_S, END_S, 15.9)[:, ALPHA] == pytest.approx([1, 0.5, 0, 0])


def test_what_appears_was_not_there_and_stays():
    assert states(staged(Verb.APPEAR), 3.0, MIDDLE_S, END_S, 15.9)[:, ALPHA] == pytest.approx([0, 0.5, 1, 1])


@pytest.mark.parametrize(
    ("cell", "way", "steps", "arrived"),
    [
        (3, Way.RIGHT, 1, 4),
        (3, Way.RIGHT, 2, 5),
        (5, Way.LEFT, 2, 3),
        (1, Way.DOWN, 2, 7),
        (7, Way.UP, 1, 4),
    ],
)
def test_a_move_ends_exactly_where_a_thing_of_that_cell_stands(cell, way, steps, arrived):
    jitter = (0.03, -0.02)
    moving = scene([thing(cell=cell, jitter=jitter)], [event(Verb.MOVE, way=way, steps=steps)])
    standing = scene([thing(cell=arrived, jitter=jitter)])
    assert states(film(moving), END_S)[0] == pytest.approx(states(film(standing), END_S)[0])
    assert moving.cell_after(0) == arrived


@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_a_blink_hides_the_thing_so_many_times_and_shows_it_in_the_end(times):
    moments = np.arange(0, 16, 0.05) + 0.01
    shown = states(staged(Verb.BLINK, times=times), *moments)[:, ALPHA] > 0
    assert np.sum(shown[:-1] & ~shown[1:]) == times
    assert np.sum(~shown[:-1] & shown[1:]) == times
    assert shown[moments < START_S].all()
    assert shown[moments > END_S].all()
    assert np.mean(~shown[(moments > START_S) & (moments < END_S)]) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_a_jump_leaves_the_ground_so_many_times_and_lands_where_it_began(times):
    height = 0.5 - states(staged(Verb.JUMP, times=times), *(np.arange(0, 16, 0.02) + 0.01))[:, Y]
    up = height > 0.01
    assert np.sum(~up[:-1] & up[1:]) == times
    assert height.max() == pytest.approx(0.13, abs=0.005)
    assert height[-1] == 0
    assert height.min() == 0


def test_a_recolour_ends_in_the_named_colour():
    begin, middle, end = states(staged(Verb.RECOLOUR, colour="blue"), START_S, MIDDLE_S, 15.0)[:, RED : RED + 3]
    assert begin == pytest.approx(COLOURS["red"].rgb)
    assert end == pytest.approx(COLOURS["blue"].rgb)
    assert middle == pytest.approx((begin + end) / 2)


def test_growing_and_shrinking_last():
    assert states(staged(Verb.GROW), START_S, END_S, 15.0)[:, SIZE] == pytest.approx([0.3, 0.54, 0.54])
    assert states(staged(Verb.SHRINK), START_S, END_S, 15.0)[:, SIZE] == pytest.approx([0.3, 0.15, 0.15])


def test_a_turn_goes_once_around():
    assert states(staged(Verb.TURN), START_S, MIDDLE_S, END_S)[:, ANGLE] == pytest.approx([0, np.pi, 2 * np.pi])


def test_events_of_one_thing_add_up():
    both = scene(
        [thing(cell=3)],
        [event(Verb.MOVE, way=Way.RIGHT, steps=1), event(Verb.GROW, start_s=9.0, end_s=10.0)],
    )
    assert states(film(both), 12.0)[0, [X, SIZE]] == pytest.approx([0.5, 0.54])


def test_a_scene_shows_its_own_things_and_background_from_its_first_second_on():
    blue = Background(pattern="plain", first=(0.1, 0.1, 0.5), second=(0.1, 0.1, 0.5), angle=0.0, frequency=2.0)
    first = scene(end_s=6.0)
    second = scene([thing(Look("star", "blue"), cell=0)], start_s=6.0, end_s=16.0, background=blue)
    shown = film(first, second)
    moments = np.array([0.0, 5.99, 6.0, 15.99, 16.0])
    assert [shown.scene_at(second_s) for second_s in moments] == [0, 0, 1, 1, 1]
    star, square = tile_of(Look("star", "blue")), tile_of(Look("square", "red"))
    assert states(shown, *moments)[:, TILE].tolist() == [square, square, star, star, star]
    assert backgrounds(shown, moments)[:, 3] == pytest.approx([GREY.first[2]] * 2 + [0.5] * 3)


def test_slots_beyond_the_things_are_invisible():
    assert not states(film(scene()), 0.0, 15.0, slot=1)[:, ALPHA].any()


def test_a_thing_that_enters_arrives_when_it_enters_and_others_with_the_scene():
    later = scene([thing(), thing(cell=0)], [event(Verb.ENTER, way=Way.LEFT, thing=1)])
    assert (later.arrival_s(0), later.arrival_s(1)) == (0.0, START_S)


def test_every_look_has_a_tile_of_its_own():
    looks = [*(Look(kind, "red") for kind in SHAPES), *(Look(slug) for slug in sprites())]
    assert sorted(map(tile_of, looks)) == list(range(len(SHAPES) + 732))


@pytest.mark.parametrize(
    ("verb", "details", "en", "zh"),
    [
        (Verb.ENTER, {"way": Way.UP}, "enters from the top", "从上边进来"),
        (Verb.LEAVE, {"way": Way.LEFT}, "leaves to the left", "从左边离开"),
        (Verb.MOVE, {"way": Way.DOWN, "steps": 1}, "moves down", "向下移动"),
        (Verb.BLINK, {"times": 1}, "blinks 1 time", "闪烁1次"),
        (Verb.JUMP, {"times": 3}, "jumps 3 times", "跳3次"),
        (Verb.RECOLOUR, {"colour": "green"}, "turns green", "变成绿色"),
        (Verb.BUMP, {"other": 1}, "bumps into the blue star", "撞上蓝色五角星"),
        (Verb.TURN, {}, "spins", "旋转"),
    ],
)
def test_what_happens_is_said_in_both_languages(verb, details, en, zh):
    happens = event(verb, **details)
    said = does(happens, scene([thing(), thing(Look("star", "blue"), cell=0)], [happens]))
    assert said == (en, zh)
