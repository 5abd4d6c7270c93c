import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kangaroo.curation.measures.areas import overlap, rectangle, union_mask, union_share

places = st.floats(0, 1)
pairs = st.tuples(places, places)
sides = st.tuples(pairs, pairs)


def box_of(two):
    (left, right), (top, bottom) = map(sorted, two)
    return rectangle(left, top, right, bottom)


def area(box):
    return (box[2][0] - box[0][0]) * (box[2][1] - box[0][1])


@given(sides)
def test_one_box_covers_its_area(two):
    box = box_of(two)
    assert union_share([box]) == pytest.approx(area(box), abs=0.006)


@given(st.lists(sides, max_size=4))
def test_a_union_is_at_least_its_largest_and_at_most_the_sum(each_two):
    shapes = [box_of(two) for two in each_two]
    each = [union_share([box]) for box in shapes]
    assert max(each, default=0) - 1e-9 <= union_share(shapes) <= sum(each) + 1e-9


@given(sides, sides)
def test_order_and_repetition_do_not_matter(first, second):
    one, other = box_of(first), box_of(second)
    assert union_share([one, other]) == union_share([other, one, other])


def test_a_turned_square_covers_half_of_its_bounds():
    diamond = ((0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5))
    assert union_share([diamond]) == pytest.approx(0.5, abs=0.005)
    assert union_share([diamond[::-1]]) == union_share([diamond])


def test_corners_outside_the_picture_are_cut_off():
    mask = union_mask([rectangle(-0.5, -0.5, 0.5, 0.5)], height_px=10, width_px=20)
    assert mask.sum() == 5 * 10
    assert not np.roll(mask, 1).all()


def test_overlap_tells_same_from_apart():
    box = rectangle(0.1, 0.1, 0.5, 0.3)
    assert overlap(box, box) == pytest.approx(1)
    assert overlap(box, rectangle(0.6, 0.6, 0.7, 0.7)) == 0
    assert overlap(box, rectangle(0.1, 0.1, 0.3, 0.3)) == pytest.approx(0.5)
