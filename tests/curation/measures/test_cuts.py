import numpy as np
import pytest
from drawn_scenes import FPS, as_film, dissolved, faded, joined, shot

from kangaroo.curation.measures.changes import measure_changes
from kangaroo.curation.measures.cuts import CutKind, find_cuts
from kangaroo.playground.render import Renderer
from kangaroo.playground.script import make_film
from kangaroo.video.decode import read_frames
from kangaroo.video.frames import Frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource
from kangaroo.video.write import write_video


def cuts_of(pixels, fps=FPS):
    return find_cuts(measure_changes([as_film(pixels, fps)]))


def counts(found, true, slack):
    """True positives, found, true; `true` holds (first, last) times and each may be found once."""
    left = list(true)
    hits = 0
    for cut in found:
        match = next((one for one in left if one[0] - slack <= cut.time_s <= one[1] + slack), None)
        if match is not None:
            left.remove(match)
            hits += 1
    return np.array([hits, len(found), len(true)])


def f1(totals):
    hits, found, true = totals
    return 2 * hits / (found + true)


def random_shots(rng, number, shortest=15, longest=70):
    return [shot(rng, int(rng.integers(shortest, longest))) for _ in range(number)]


def test_hard_cuts_are_found_to_two_frames():
    totals = np.zeros(3, int)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        pixels, starts = joined(rng, random_shots(rng, 8))
        totals += counts(cuts_of(pixels), [(at / FPS, at / FPS) for at in starts], 2 / FPS + 1e-6)
    assert f1(totals) >= 0.98, totals


@pytest.mark.parametrize("way", ["to black", "to white"])
def test_fades_are_found_where_they_are(way):
    totals = np.zeros(3, int)
    for seed in range(16):
        rng = np.random.default_rng(100 + seed)
        one, other = (shot(rng, int(rng.integers(60, 90))) for _ in range(2))
        length = int(rng.integers(8, 30))
        through = 0 if way == "to black" else 255
        pixels, (first, last) = faded(one, other, length, through=through, empty_frames=int(rng.integers(0, 12)))
        totals += counts(cuts_of(pixels), [(first / FPS, last / FPS)], 2 / FPS + 1e-6)
    assert f1(totals) >= 0.95, totals


def test_a_fade_through_black_is_one_change_that_spans_the_darkness():
    rng = np.random.default_rng(3)
    pixels, (first, last) = faded(shot(rng, 60), shot(rng, 60), 15, empty_frames=10)
    (cut,) = cuts_of(pixels)
    assert cut.kind is CutKind.FADE
    assert cut.start_s == pytest.approx(first / FPS, abs=0.3)
    assert cut.end_s == pytest.approx(last / FPS, abs=0.3)


@pytest.mark.parametrize("speed_px", [0, 1, 4, 12])
def test_a_moving_camera_is_no_cut(speed_px):
    for seed in range(3):
        assert cuts_of(shot(np.random.default_rng(seed), 100, speed_px=speed_px)) == ()


def test_a_cut_within_a_fast_pan_is_found():
    rng = np.random.default_rng(8)
    pixels, (start,) = joined(rng, [shot(rng, 40, speed_px=10), shot(rng, 40, speed_px=10)])
    (cut,) = cuts_of(pixels)
    assert cut.time_s == pytest.approx(start / FPS)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_flash_is_no_cut(length):
    pixels = shot(np.random.default_rng(5), 60)
    pixels[30 : 30 + length] = np.clip(pixels[30 : 30 + length] * 0.2 + 200, 0, 255).astype(np.uint8)
    assert cuts_of(pixels) == ()


def test_a_cut_over_one_mixed_frame_is_found_once():
    rng = np.random.default_rng(6)
    pixels, where = dissolved(shot(rng, 40), shot(rng, 40), 1)
    (cut,) = cuts_of(pixels)
    assert cut.time_s == pytest.approx(where[0] / FPS, abs=2 / FPS)


def test_half_rate_animation_is_no_string_of_cuts():
    pixels = shot(np.random.default_rng(7), 60, speed_px=3)
    assert cuts_of(np.repeat(pixels[::2], 2, axis=0)) == ()


def test_a_film_in_chunks_gives_the_cuts_of_the_whole():
    rng = np.random.default_rng(1)
    film = as_film(joined(rng, random_shots(rng, 4))[0])
    parts = [
        Frames(pixels=film.pixels[start : start + 17], times_s=film.times_s[start : start + 17])
        for start in range(0, len(film), 17)
    ]
    assert find_cuts(measure_changes(parts)) == find_cuts(measure_changes([film]))


@pytest.mark.parametrize("num_frames", [0, 1, 2, 3])
def test_the_shortest_films_have_no_cut(num_frames):
    assert cuts_of(shot(np.random.default_rng(0), 4)[:num_frames]) == ()


def test_scenes_of_playground_films_are_told_apart():
    totals = np.zeros(3, int)
    for seed in (3, 13):
        film = make_film(seed, duration_s=64.0)
        times_s = np.arange(0, 64, 1 / 6)
        pixels = Renderer("cpu").draw(film, times_s, height_px=45, width_px=80).numpy()
        found = find_cuts(measure_changes([Frames(pixels=pixels, times_s=times_s)]))
        totals += counts(found, [(scene.start_s, scene.start_s) for scene in film.scenes[1:]], 2 / 6)
    assert totals[2] >= 3
    assert f1(totals) >= 0.98, totals


def test_cuts_survive_encoding(tmp_path):
    rng = np.random.default_rng(20)
    shots = [shot(rng, int(rng.integers(20, 40)), height=180, width=320) for _ in range(5)]
    pixels, starts = joined(rng, shots)
    write_video(tmp_path / "film.mp4", pixels, fps=float(FPS), crf=28)
    sampler = FrameSampler(num_frames=len(pixels))
    film = read_frames(VideoSource(tmp_path / "film.mp4"), sampler, size_px=(90, 160))
    found = [cut.time_s for cut in find_cuts(measure_changes([film]))]
    assert found == pytest.approx([at / FPS for at in starts], abs=2 / FPS)
