import cv2
import numpy as np
import pytest
from drawn_scenes import as_film, joined, shot

from kangaroo.curation.fingerprints import align, fingerprint
from kangaroo.video.frames import Frames


def film(seed, number=24, parts=3):
    """Two frames a second out of a film of several shots."""
    rng = np.random.default_rng(seed)
    pixels, _ = joined(rng, [shot(rng, number // parts, height=180, width=320, speed_px=4) for _ in range(parts)])
    return as_film(pixels, fps=2)


def changed(frames, change):
    return Frames(pixels=np.stack([change(one) for one in frames.pixels]), times_s=frames.times_s)


def smaller(pixels):
    return cv2.resize(pixels, (160, 90), interpolation=cv2.INTER_AREA)


def recoded(pixels):
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 20])[1], cv2.IMREAD_COLOR)


def lighter(pixels):
    return np.clip(pixels * 0.8 + 30, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("change", [smaller, recoded, lighter])
def test_a_changed_copy_matches(change):
    original = film(1)
    assert align(fingerprint(original), fingerprint(changed(original, change))).share >= 0.95


def test_other_films_do_not_match():
    prints = [fingerprint(film(seed)) for seed in range(8)]
    shares = [align(one, other).share for at, one in enumerate(prints) for other in prints[:at]]
    assert max(shares) <= 0.2


def test_a_late_start_is_found_with_its_shift():
    whole = film(2)
    late = Frames(pixels=whole.pixels[6:], times_s=whole.times_s[6:] - whole.times_s[6])
    found = align(fingerprint(whole), fingerprint(late))
    assert found.share == 1
    assert found.shift_s == pytest.approx(-3.0)
    back = align(fingerprint(late), fingerprint(whole))
    assert (back.share, back.shift_s) == (1, pytest.approx(3.0))


def test_a_film_matches_itself_without_shift_even_if_it_stands_still():
    still = as_film(np.repeat(shot(np.random.default_rng(3), 1), 10, axis=0), fps=2)
    found = align(fingerprint(still), fingerprint(still))
    assert (found.share, found.shift_s) == (1, 0)


def test_empty_pictures_match_nothing():
    black = as_film(np.zeros((10, 90, 160, 3), np.uint8), fps=2)
    assert fingerprint(black).bits.tolist() == [0] * 10
    assert align(fingerprint(black), fingerprint(black)).share == 0


def test_blackness_around_a_film_does_not_lower_its_match():
    original = film(4)
    black = np.zeros((6, *original.pixels.shape[1:]), np.uint8)
    padded = as_film(np.concatenate([black, original.pixels, black]), fps=2)
    found = align(fingerprint(original), fingerprint(padded))
    assert (found.share, found.shift_s) == (1, 3.0)
