"""Intervals against hand-computed and closed-form values."""

import math

import numpy as np
import pytest

from kangaroo.evaluation.score import cluster_bootstrap, share, wilson


@pytest.mark.parametrize(
    ("right", "asked", "low", "high"),
    [
        # Newcombe 1998, table I: Wilson's score interval
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(right, asked, low, high):
    assert wilson(right, asked) == pytest.approx((low, high), abs=5e-5)


def test_wilson_mirrors():
    low, high = wilson(3, 17)
    assert wilson(14, 17) == pytest.approx((1 - high, 1 - low))


def test_no_question_has_no_interval():
    with pytest.raises(AssertionError):
        wilson(0, 0)
    with pytest.raises(AssertionError):
        cluster_bootstrap([], [])


def test_clusters_of_one_give_the_binomial_interval():
    scores = [1.0] * 300 + [0.0] * 100
    low, high = cluster_bootstrap(scores, range(400))
    half = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert (low, high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.006)


def test_questions_that_go_together_widen_the_interval():
    # twenty films, of each either all ten questions right or none: twenty observations, not two hundred
    scores = [float(film < 10) for film in range(20) for _ in range(10)]
    films = [film for film in range(20) for _ in range(10)]
    low, high = cluster_bootstrap(scores, films)
    half = 1.96 * math.sqrt(0.25 / 20)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.04)
    assert high - low > 2.5 * np.ptp(wilson(100, 200))


def test_two_films_by_hand():
    # drawn with replacement: means 0, 2/4 and 1 with chances 1/4, 1/2, 1/4
    assert cluster_bootstrap([0.0, 1.0, 1.0, 0.0], ["a", "b", "b", "a"]) == (0.0, 1.0)
    assert cluster_bootstrap([1.0, 1.0], ["a", "b"]) == (1.0, 1.0)


def test_the_same_seed_draws_the_same():
    scores, films = [0.0, 1.0, 1.0, 0.5], [1, 1, 2, 3]
    assert cluster_bootstrap(scores, films, seed=3) == cluster_bootstrap(scores, films, seed=3)


def test_groups_that_weigh_alike_give_the_interval_of_their_mean():
    # one group of 100 films, all right, and one of 10 films, half right: the mean is that of the two shares
    scores = [1.0] * 100 + [float(place % 2) for place in range(10)]
    strata = ["large"] * 100 + ["small"] * 10
    low, high = cluster_bootstrap(scores, range(110), strata=strata)
    half = 1.96 * math.sqrt(0.25 / 10) / 2
    assert (low, high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.03)
    assert cluster_bootstrap(scores, range(110), strata=["one"] * 110) == cluster_bootstrap(scores, range(110))


def test_a_share_is_never_surer_than_independent_questions_would_be():
    found = share([1.0] * 20, [0] * 20)
    assert found["interval"] == wilson(20, 20)
    assert (found["number"], found["score"]) == (20, 1.0)
