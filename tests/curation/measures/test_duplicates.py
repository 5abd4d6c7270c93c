"""Copies are found whatever their codec, size, rate or start; the best one is first, clusters keep their names."""

import numpy as np
import pytest
from reels import draw_reel, parts_of, recipe_over, scenes

from kangaroo.curation.engine.recipe import Bounds
from kangaroo.curation.engine.run import Run
from kangaroo.curation.measures.duplicates import DuplicateSettings, Hashed, find_copies

RNG = np.random.default_rng(0)


def hashed(name, hashes, *, start_s=0.0, quality=(1.0,)):
    return Hashed(id=name, hashes=hashes, times_s=start_s + np.arange(len(hashes)) / 2, quality=quality)


def noisy(hashes, bits=3):
    flips = np.zeros(len(hashes), np.uint64)
    for _ in range(bits):
        flips |= np.uint64(1) << RNG.integers(0, 64, len(hashes)).astype(np.uint64)
    return hashes ^ flips


@pytest.fixture
def film():
    return RNG.integers(0, 1 << 63, 40).astype(np.uint64)


def find(*clips, before=(), **settings):
    return find_copies(sorted(clips, key=lambda clip: clip.id), DuplicateSettings(**settings), before=dict(before))


def test_a_changed_and_shifted_copy_is_found_and_a_stranger_is_not(film):
    other = RNG.integers(0, 1 << 63, 40).astype(np.uint64)
    found = find(hashed("a", film), hashed("b", noisy(film[6:30]), start_s=90.0), hashed("c", other))
    assert found["a"].cluster == found["b"].cluster == "a"
    assert (found["a"].size, found["c"].size) == (2, 1)


def test_the_same_pictures_in_another_order_are_no_copy(film):
    assert find(hashed("a", film), hashed("b", RNG.permutation(film)))["a"].size == 1


def test_the_best_copy_comes_first(film):
    found = find(hashed("a", film, quality=(1.0, 9.0)), hashed("b", noisy(film), quality=(2.0, 1.0)))
    assert (found["b"].rank, found["a"].rank) == (0, 1)


def test_a_cluster_keeps_its_name_when_it_grows(film):
    found = find(hashed("a", film), hashed("b", noisy(film)), before={"b": "b"})
    assert {copy.cluster for copy in found.values()} == {"b"}


def test_crowds_of_like_pictures_are_bounded(film):
    clips = [hashed(f"{number:05}", noisy(film[:4])) for number in range(300)]
    assert len(find(*clips)) == 300


def test_films_that_were_encoded_again_are_found_on_disk(tmp_path):
    pictures, films = scenes(5, 1), tmp_path / "films"
    draw_reel(films / "large.mp4", pictures, seconds=[4.0])
    draw_reel(films / "small.mp4", pictures, seconds=[4.0], shrink=2, crf=35)
    draw_reel(films / "other.mp4", scenes(6, 1), seconds=[4.0])
    recipe = recipe_over(films, tmp_path / "out", keep={"size": Bounds()})
    verdicts = Run(recipe, parts_of(recipe)).go().verdicts
    assert (verdicts.total, verdicts.kept, verdicts.dropped["duplicates"]) == (3, 2, 1)
