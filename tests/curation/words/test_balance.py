"""Who stays depends on a clip's id and shares alone; heads are thinned, tails weighed, entropy rises."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kangaroo.curation.words.balance import BalanceSettings, Kind, balance, draw, entropy
from kangaroo.errors import OptionError

COUNTS = {"people": 2000, "animals": 400, "food": 75, "drawings": 25}
CLIPS = {
    f"{name}-{n}": Kind(category=name, video=f"{name}-{n // 4}") for name, own in COUNTS.items() for n in range(own)
}


def test_heads_are_thinned_and_tails_weighed():
    done = balance(CLIPS)
    people, drawings = done.shares["people"], done.shares["drawings"]
    assert people.keep < 1 == people.weight
    assert people.kept == pytest.approx(people.before * people.keep, rel=0.05)
    assert (drawings.kept, drawings.weight) == (25, 3.0)
    assert done.entropy_before < done.entropy_kept < done.entropy_weighed
    assert set(done.weights.values()) == {one.weight for one in done.shares.values()}


def test_wanted_shares_are_met_where_weights_allow():
    wanted = {"people": 50.0, "animals": 30.0, "food": 5.0, "drawings": 1.0}
    done = balance(CLIPS, BalanceSettings(shares=wanted))
    mass = {name: one.kept * one.weight for name, one in done.shares.items()}
    for name, share in wanted.items():
        assert mass[name] / sum(mass.values()) == pytest.approx(share / sum(wanted.values()), abs=0.03)


def test_order_and_company_change_nothing():
    shuffled = list(CLIPS.items())
    random.Random(1).shuffle(shuffled)
    assert balance(dict(shuffled)).weights == balance(CLIPS).weights
    assert balance(CLIPS, BalanceSettings(seed=1)).weights != balance(CLIPS).weights


@settings(max_examples=8)
@given(st.floats(0.05, 0.9), st.floats(0.05, 0.9))
def test_a_smaller_share_keeps_a_part_of_what_a_larger_one_kept(one, other):
    low, high = sorted((one, other))
    small, large = (
        {
            id
            for id in balance(CLIPS, BalanceSettings(shares={"people": share, "animals": 1 - share})).weights
            if "people" in id
        }
        for share in (low, high)
    )
    assert small <= large


def test_a_video_of_many_clips_gives_no_more_than_is_wanted():
    clips = {f"clip-{n}": Kind(category="people", video="one") for n in range(500)}
    assert len(balance(clips, BalanceSettings(max_per_video=50)).weights) == pytest.approx(50, abs=20)


def test_categories_as_they_are_stay_as_they_are():
    done = balance(CLIPS, BalanceSettings(flatness=1.0))
    assert set(done.weights.values()) == {1.0}
    assert len(done.weights) == len(CLIPS)


def test_nothing_is_balanced_into_nothing():
    assert balance({}).weights == {}
    assert entropy({"a": 3}) == entropy({}) == 0.0
    assert entropy({"a": 2, "b": 2}) == 1.0


@settings(max_examples=20)
@given(st.text(max_size=20))
def test_a_draw_is_a_share_and_always_the_same(id):
    assert 0 <= draw(id, "x") == draw(id, "x") < 1


def test_impossible_settings_are_refused():
    for wrong in ({"shares": {"a": -1.0}}, {"shares": {"a": 0.0}}, {"flatness": 2.0}, {"max_weight": 0.5}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            BalanceSettings(**wrong)
    with pytest.raises(OptionError, match="max_per_video"):
        BalanceSettings(max_per_video=0)
    with pytest.raises(OptionError, match="no clip is of a category"):
        balance(CLIPS, BalanceSettings(shares={"cars": 1.0}))
