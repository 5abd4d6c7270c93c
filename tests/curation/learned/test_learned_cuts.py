"""TransNet V2 finds hard cuts, fades and dissolves of films whose cuts are known, in frames that come one by one."""

import numpy as np
import pytest
from drawn_scenes import FPS, as_film, dissolved, faded, joined, shot

from kangaroo.curation.learned.cuts import LearnedCutter, find_learned_cuts
from kangaroo.curation.measures.changes import measure_changes
from kangaroo.curation.measures.clips import CutSettings, Cutter, FoundBy
from kangaroo.curation.measures.cuts import CutKind, NetworkRule, find_cuts
from kangaroo.curation.measures.models import CUTS, find_weights
from kangaroo.curation.measuring import finder_of
from kangaroo.errors import OptionError
from kangaroo.video.frames import Frames


@pytest.fixture(scope="module")
def film():
    """A hard cut, a fade through black and a dissolve; the frames between which each of them is."""
    rng = np.random.default_rng(1)
    first, rest = shot(rng, 30), shot(rng, 45)
    rest, fade = faded(rest, shot(rng, 55), 12, empty_frames=5)
    rest, mixed = dissolved(rest, shot(rng, 34), 14)
    return np.concatenate([first, rest]), [(30, 30), *((30 + start, 30 + end) for start, end in (fade, mixed))]


@pytest.fixture(scope="module")
def told(film):
    """The cuts, and after which frame each was told."""
    cutter = LearnedCutter(find_weights(CUTS))
    found = [(place, cut) for place, pixels in enumerate(film[0]) for cut in cutter.add(pixels, place / FPS)]
    return found + [(len(film[0]), cut) for cut in cutter.end()]


def test_every_way_from_shot_to_shot_is_found_as_what_it_is(film, told):
    assert [cut.kind for _, cut in told] == [CutKind.HARD, CutKind.FADE, CutKind.DISSOLVE]
    for (_, cut), (start, end) in zip(told, film[1], strict=True):
        assert cut.start_s == pytest.approx(start / FPS, abs=5 / FPS)
        assert cut.end_s == pytest.approx(end / FPS, abs=5 / FPS)
        assert (start - 2) / FPS <= cut.time_s <= (end + 2) / FPS
    assert told[0][1].time_s == pytest.approx(30 / FPS)


def test_a_cut_is_told_long_before_the_film_ends(told):
    assert told[0][0] <= 30 + 125


def test_a_moving_camera_and_the_shortest_films_have_no_cut():
    path = find_weights(CUTS)
    assert find_learned_cuts([as_film(shot(np.random.default_rng(0), 50, speed_px=6))], path) == ()
    assert find_learned_cuts([], path) == ()
    assert find_learned_cuts([as_film(shot(np.random.default_rng(0), 1))], path) == ()


def test_a_recipe_may_have_the_network_cut(film):
    """The clips begin where the scenes do, and scenes that are over are told while the film goes on."""
    settings = CutSettings(min_s=1.0, by=FoundBy.NETWORK)
    cutter = Cutter(settings, finder_of(settings))
    early = [span for place, pixels in enumerate(film[0]) for span in cutter.add(pixels, place / FPS)]
    spans = [*early, *cutter.end(len(film[0]) / FPS)]
    assert len(early) >= 1
    starts_s = [0.0, *(end / FPS for _, end in film[1])]
    assert [span.start_s for span in spans] == pytest.approx(starts_s[:3], abs=5 / FPS)
    assert cutter.num_short == 1  # the last
    assert finder_of(CutSettings()) is None


def test_impossible_settings_are_refused():
    for wrong in ({"probability": 0.0}, {"probability": 1.0}, {"empty": -1.0}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            NetworkRule(**wrong)


def _counts(cuts, spans):
    slack, left, hits = 2 / FPS + 1e-6, list(spans), 0
    for cut in cuts:
        match = next((one for one in left if one[0] - slack <= cut.time_s <= one[1] + slack), None)
        hits += match is not None
        left = [one for one in left if one is not match]
    return np.array([hits, len(cuts), len(spans)])


def _drawn(kind, seed):
    rng = np.random.default_rng(1000 + seed)
    if kind == "hard":
        shots = [shot(rng, int(rng.integers(15, 70))) for _ in range(8)]
        pixels, starts = joined(rng, shots)
        return pixels, [(at / FPS, at / FPS) for at in starts]
    one, other = (shot(rng, int(rng.integers(60, 90))) for _ in range(2))
    if kind == "dissolve":
        pixels, (first, last) = dissolved(one, other, int(rng.integers(6, 40)))
    else:
        through = 0 if seed % 2 else 255
        length, empty = int(rng.integers(8, 30)), int(rng.integers(0, 12))
        pixels, (first, last) = faded(one, other, length, through=through, empty_frames=empty)
    return pixels, [(first / FPS, last / FPS)]


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kind", "number", "least"), [("hard", 4, 0.98), ("fade", 12, 0.85), ("dissolve", 12, 0.7)])
def test_it_finds_what_the_plain_rules_find_and_dissolves_too(kind, number, least):
    path = find_weights(CUTS)
    learned, plain = np.zeros(3, int), np.zeros(3, int)
    for seed in range(number):
        pixels, spans = _drawn(kind, seed)
        frames: Frames = as_film(pixels)
        learned += _counts(find_learned_cuts([frames], path), spans)
        plain += _counts(find_cuts(measure_changes([frames])), spans)
    scores = [2 * hits / (found + true) for hits, found, true in (learned, plain)]
    print(f"{kind}: F1 learned {scores[0]:.3f}, plain {scores[1]:.3f}")
    assert scores[0] >= least, learned
    assert scores[0] >= scores[1] - 0.01
