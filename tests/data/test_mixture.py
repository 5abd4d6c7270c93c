"""A mixture keeps its shares, walks through each source once an epoch, and follows from seed and number alone."""

import pickle
from collections import Counter
from itertools import pairwise

import pytest
from folders import record

from kangaroo.data.jsonl import JsonLines
from kangaroo.data.mixture import Ingredient, Mixture, permuted
from kangaroo.data.record import DataError
from kangaroo.data.write import write_jsonl
from kangaroo.errors import OptionError


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    for name, count in (("many", 500), ("few", 7), ("one", 1)):
        write_jsonl([record(number) for number in range(count)], folder / f"{name}.jsonl")
    return {name: JsonLines(folder / f"{name}.jsonl") for name in ("many", "few", "one")}


def mixed(sources, *weights, seed=0):
    pairs = zip(sources.items(), weights, strict=True)
    return Mixture({name: Ingredient(source=source, weight=weight) for (name, source), weight in pairs}, seed=seed)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 65, 1000, 4097])
def test_every_key_gives_a_permutation_and_others_give_other_ones(size):
    walks = [[permuted(offset, size, key=key) for offset in range(size)] for key in (0, 1, 2**63)]
    assert all(sorted(walk) == list(range(size)) for walk in walks)
    assert size < 64 or walks[0] != walks[1] != walks[2]


def test_a_permutation_of_billions_is_computed_number_by_number():
    assert len({permuted(offset, 10**12, key=5) for offset in range(1000)}) == 1000


def test_a_permutation_looks_shuffled():
    size = 3000
    walk = [permuted(offset, size, key=9) for offset in range(size)]
    fixed = sum(place == number for place, number in enumerate(walk))
    neighbours = sum(abs(after - before) == 1 for before, after in pairwise(walk))
    near = sum(abs(number - place) < size / 4 for place, number in enumerate(walk)) / size
    assert fixed < 10
    assert neighbours < 15
    assert near == pytest.approx(7 / 16, abs=0.05)


def test_shares_are_the_weights_in_every_stretch(sources):
    mixture = mixed(sources, 6.0, 3.0, 1.0)
    names = [mixture.pick(number).name for number in range(5000)]
    for start in (0, 1000, 3300):
        counts = Counter(names[start : start + 1500])
        for name, share in (("many", 0.6), ("few", 0.3), ("one", 0.1)):
            assert counts[name] / 1500 == pytest.approx(share, abs=0.02)
    assert len({tuple(names[start : start + 50]) for start in range(0, 5000, 50)}) == 100


def test_each_source_is_seen_whole_before_it_comes_again_in_another_order(sources):
    mixture = mixed(sources, 1.0, 1.0, 1.0)
    seen = [pick.number for pick in map(mixture.pick, range(3000)) if pick.name == "few"]
    epochs = [seen[start : start + 7] for start in range(0, 700, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) > 50


def test_a_sample_follows_from_seed_and_number_alone(sources):
    picks = [mixed(sources, 2.0, 1.0, 1.0).pick(number) for number in range(900)]
    other = pickle.loads(pickle.dumps(mixed(sources, 2.0, 1.0, 1.0)))
    assert [other.pick(number) for number in reversed(range(900))] == picks[::-1]
    assert [mixed(sources, 2.0, 1.0, 1.0, seed=1).pick(number) for number in range(900)] != picks


def test_the_manifest_says_what_was_mixed(sources):
    manifest = mixed(sources, 2.0, 1.0, 1.0).manifest()
    assert [(one["name"], one["weight"], one["records"]) for one in manifest] == [
        ("many", 2.0, 500),
        ("few", 1.0, 7),
        ("one", 1.0, 1),
    ]
    path = sources["few"].path
    assert manifest[1]["files"] == [{"path": str(path), "bytes": path.stat().st_size}]


def test_impossible_mixtures_are_refused(sources, tmp_path):
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(OptionError, match="no source"):
        Mixture({}, seed=0)
    for weight in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="weight of 'few'"):
            mixed(sources, 1.0, weight, 1.0)
    with pytest.raises(OptionError, match=r"weight of 'one' is 1e-06 of all; give at least 6\.1e-05"):
        mixed(sources, 1.0, 1.0, 2e-6)
    with pytest.raises(DataError, match="'empty' holds no record"):
        mixed({"empty": JsonLines(tmp_path / "empty.jsonl")}, 1.0)
