import numpy as np
import pytest
from drawn_scenes import as_film, barred, landscape, shot
from drawn_writing import weights, words, write

from kangaroo.curation.measures.areas import rectangle, union_share
from kangaroo.curation.measures.models import TEXT
from kangaroo.curation.measures.technical import find_picture
from kangaroo.curation.measures.text import TextDetector, TextRule, measure_text, text_mask
from kangaroo.playground.render import Renderer
from kangaroo.playground.script import make_film

HEIGHT, WIDTH = 360, 640


@pytest.fixture(scope="module")
def detector():
    return TextDetector(weights(TEXT))


def picture(seed, height=HEIGHT, width=WIDTH):
    return np.clip(landscape(np.random.default_rng(seed), height, width), 0, 255).astype(np.uint8)


def cover_of(detector, frames):
    return measure_text(frames, detector.find(frames))


@pytest.mark.parametrize("size_px", [16, 24, 40])
@pytest.mark.parametrize("num_lines", [1, 3])
def test_cover_is_the_drawn_area(detector, size_px, num_lines):
    measured, drawn = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        lines = [(30 + 20 * row, 40 + row * 90, words(rng, max(2, 90 // size_px))) for row in range(num_lines)]
        pixels, boxes = write(picture(seed), lines, size_px=size_px)
        measured.append(cover_of(detector, as_film([pixels])).cover)
        drawn.append(union_share(boxes))
    assert np.mean(measured) == pytest.approx(np.mean(drawn), rel=0.15), (measured, drawn)
    # a painted triangle may pass for a letter in one picture or another
    assert np.median(np.abs(np.divide(measured, drawn) - 1)) <= 0.2, (measured, drawn)


def test_close_lines_overlap_and_count_once(detector):
    lines = [(40, 120 + 30 * row, "kangaroos jumping across the road") for row in range(3)]
    pixels, boxes = write(picture(1), lines, size_px=32)
    assert cover_of(detector, as_film([pixels])).cover == pytest.approx(union_share(boxes), rel=0.15)


def test_a_line_found_twice_counts_once():
    line, shifted = rectangle(0.1, 0.1, 0.5, 0.2), rectangle(0.2, 0.1, 0.6, 0.2)
    assert measure_text(still(1), [(line, shifted, line)]).cover == pytest.approx(0.05, rel=0.02)


def test_a_picture_without_writing_covers_nothing(detector):
    pixels = np.stack([picture(seed) for seed in range(6)])
    assert cover_of(detector, as_film(pixels)).cover < 0.004


def test_playground_films_hold_no_writing(detector):
    film = make_film(3, duration_s=8.0)
    times_s = np.array([1.0, 5.0])
    pixels = Renderer("cpu").draw(film, times_s, height_px=HEIGHT, width_px=WIDTH).numpy()
    assert cover_of(detector, as_film(pixels)).cover < 0.01


def test_overlay_subtitle_and_sign_are_told_apart(detector):
    rng = np.random.default_rng(4)
    wide, (sign,) = write(picture(4, width=WIDTH + 300), [(420, 150, "OPEN DAILY")], size_px=30)
    frames = []
    for step in range(5):
        frame, logo = write(wide[:, step * 60 : step * 60 + WIDTH], [(20, 15, "KANGA TV")], size_px=22)
        subtitle = []
        if step % 2:
            frame, subtitle = write(frame, [(150 - 10 * step, 320, words(rng, 3 + step // 2))], size_px=22)
        frames.append((frame, logo, subtitle))
    found = cover_of(detector, as_film(np.stack([frame for frame, _, _ in frames])))
    sign_share = union_share([sign]) * (WIDTH + 300) / WIDTH
    assert found.overlay == pytest.approx(union_share(frames[0][1]), rel=0.25)
    assert found.subtitle == pytest.approx(np.mean([union_share(each) for _, _, each in frames]), rel=0.25)
    assert found.scene == pytest.approx(sign_share, rel=0.25)
    assert found.overlay + found.subtitle + found.scene == pytest.approx(found.cover)


def test_bars_are_no_part_of_the_picture(detector):
    pixels, boxes = write(picture(5, height=270), [(60, 100, "a letterboxed kangaroo")], size_px=28)
    film = as_film(barred(np.stack([pixels]), 45))
    inside = find_picture(film).crop(film)
    assert inside.pixels.shape[1] == pytest.approx(270, abs=4)
    assert cover_of(detector, inside).cover == pytest.approx(union_share(boxes), rel=0.15)


def test_the_share_of_a_line_does_not_hang_on_the_films_size(detector):
    pixels, _ = write(picture(6, height=720, width=1280), [(100, 300, words(np.random.default_rng(6), 6))], size_px=56)
    half = pixels.reshape(360, 2, 640, 2, 3).mean(axis=(1, 3)).astype(np.uint8)
    full = cover_of(detector, as_film([pixels])).cover
    assert cover_of(detector, as_film([half])).cover == pytest.approx(full, rel=0.1)


def still(number=5):
    return as_film(np.repeat(shot(np.random.default_rng(2), 1), number, axis=0))


def test_writing_in_the_middle_of_a_still_picture_may_be_a_sign():
    sign, corner = rectangle(0.4, 0.4, 0.6, 0.5), rectangle(0.02, 0.03, 0.2, 0.1)
    found = measure_text(still(), [(sign, corner)] * 5)
    assert found.scene == pytest.approx(0.02, rel=0.05)
    assert found.overlay == pytest.approx(0.18 * 0.07, rel=0.05)


def test_too_few_frames_tell_of_no_overlay():
    assert measure_text(still(2), [(rectangle(0.02, 0.03, 0.2, 0.1),)] * 2).overlay == 0


def test_the_band_is_a_setting():
    line = rectangle(0.3, 0.6, 0.7, 0.68)
    found = [(line,), (), ()]
    assert measure_text(still(3), found).subtitle == 0
    assert measure_text(still(3), found, TextRule(band=0.5)).subtitle > 0


def test_the_mask_holds_every_frames_writing_and_a_margin():
    found = [(rectangle(0.1, 0.1, 0.2, 0.2),), (rectangle(0.5, 0.5, 0.6, 0.6),)]
    mask = text_mask(found, height_px=100, width_px=100)
    assert mask[10:20, 10:20].all()
    assert mask[50:60, 50:60].all()
    assert mask[9, 15]
    assert mask.mean() < 0.04
