import cv2
import numpy as np
import pytest
from drawn_scenes import FPS, as_film, barred, landscape, shot
from drawn_writing import write

from kangaroo.curation.measures.changes import measure_changes
from kangaroo.curation.measures.technical import Box, find_picture, measure_technical


def measured(pixels, **options):
    film = as_film(pixels)
    return measure_technical(film, measure_changes([film]), **options)


def film(seed=0, number=20, **options):
    return shot(np.random.default_rng(seed), number, height=180, width=320, **options)


@pytest.mark.parametrize("rows", [8, 22, 45])
def test_bars_are_cut_off(rows):
    picture = find_picture(as_film(barred(film(1), rows)))
    assert picture.top == pytest.approx(rows / (180 + 2 * rows), abs=0.006)
    assert picture.bottom == pytest.approx(1 - picture.top, abs=0.012)
    assert (picture.left, picture.right) == (0, 1)


def test_bars_at_the_sides_are_cut_off():
    picture = find_picture(as_film(barred(film(1).transpose(0, 2, 1, 3), 30).transpose(0, 2, 1, 3)))
    assert picture.left == pytest.approx(30 / 380, abs=0.006)
    assert (picture.top, picture.bottom) == (0, 1)


def test_a_subtitle_over_a_bar_does_not_make_it_a_picture():
    pixels = barred(film(1), 45)
    titled = np.stack([write(one, [(60, 240, "a kangaroo")], size_px=14)[0] for one in pixels])
    assert find_picture(as_film(titled)).bottom == pytest.approx(225 / 270, abs=0.01)


def test_a_film_without_bars_is_whole():
    assert find_picture(as_film(film(2))) == Box()


def test_a_black_film_is_whole_and_black():
    pixels = np.full((10, 90, 160, 3), 16, np.uint8)
    assert find_picture(as_film(pixels)) == Box()
    found = measured(pixels)
    assert found.black_share == 1
    assert found.frozen_share == 1
    assert found.longest_frozen_s == pytest.approx(9 / FPS)


def test_a_fade_in_is_black_for_its_share():
    pixels = film(3)
    pixels[:5] = 0
    assert measured(pixels).black_share == pytest.approx(0.25)


def test_frozen_stretches_are_timed():
    pixels = film(4, 40, noise=2)
    pixels[10:26] = pixels[10]
    found = measured(pixels)
    assert found.frozen_share == pytest.approx(15 / 39)
    assert found.longest_frozen_s == pytest.approx(15 / FPS)


def test_grain_is_not_frozen():
    pixels = np.stack([landscape(np.random.default_rng(1), 180, 320)] * 20)
    grain = np.random.default_rng(2).normal(0, 1.5, pixels.shape)
    assert measured(np.clip(pixels + grain, 0, 255).astype(np.uint8)).frozen_share == 0


def test_blur_rises_with_blur():
    sharp = film(5, 3)
    values = [
        measured(np.stack([cv2.GaussianBlur(one, (0, 0), sigma) if sigma else one for one in sharp])).blur
        for sigma in (0, 1, 2, 4)
    ]
    assert values == sorted(values)
    assert values[0] < 0.45
    assert values[-1] > 0.6


def test_an_even_picture_has_no_edge_and_no_contrast():
    found = measured(np.full((2, 90, 160, 3), 128, np.uint8))
    assert (found.blur, found.contrast) == (1, 0)


def test_bars_do_not_count_as_contrast():
    pixels = film(6, 3)
    picture = find_picture(as_film(barred(pixels, 40)))
    inside = measured(barred(pixels, 40), picture=picture)
    assert inside.contrast == pytest.approx(measured(pixels).contrast, rel=0.05)
    assert inside.picture_share == pytest.approx(180 / 260, abs=0.02)
