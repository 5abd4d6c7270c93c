"""Copies hash alike whatever was done to them, strangers do not, and empty pictures have no hash."""

import cv2
import numpy as np
import pytest
from drawn_scenes import as_film, joined, shot

from kangaroo.curation.measures.duplicates import DuplicateSettings, Hashed, find_copies
from kangaroo.curation.measures.fingerprint import fingerprint
from kangaroo.video.frames import Frames


def film(seed, number=24, parts=3):
    """Two frames a second out of a film of several shots."""
    rng = np.random.default_rng(seed)
    pixels, _ = joined(rng, [shot(rng, number // parts, height=180, width=320, speed_px=4) for _ in range(parts)])
    return as_film(pixels, fps=2)


def copies(*films):
    """The sizes of the clusters that films are in."""
    clips = []
    for number, frames in enumerate(films):
        found = fingerprint(frames)
        hashes = np.array([int(one, 16) for one in found.hashes], dtype=np.uint64)
        clips.append(Hashed(id=f"{number:03}", hashes=hashes, times_s=np.array(found.times_s), quality=(0.0,)))
    return [copy.size for _, copy in sorted(find_copies(clips, DuplicateSettings(), before={}).items())]


def changed(frames, change):
    return Frames(pixels=np.stack([change(one) for one in frames.pixels]), times_s=frames.times_s)


def smaller(pixels):
    return cv2.resize(pixels, (160, 90), interpolation=cv2.INTER_AREA)


def sampled(pixels):
    """As the nearest pixels of a film that is decoded for its cuts."""
    return cv2.resize(pixels, (160, 90), interpolation=cv2.INTER_NEAREST)


def recoded(pixels):
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 20])[1], cv2.IMREAD_COLOR)


def lighter(pixels):
    return np.clip(pixels * 0.8 + 30, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("change", [smaller, sampled, recoded, lighter])
def test_a_changed_copy_matches(change):
    assert copies(film(1), changed(film(1), change)) == [2, 2]


def test_other_films_do_not_match():
    assert copies(*map(film, range(8))) == [1] * 8


def test_a_late_start_matches():
    whole = film(2)
    assert copies(whole, Frames(pixels=whole.pixels[6:], times_s=whole.times_s[6:] + 90)) == [2, 2]


def test_a_film_that_stands_still_matches_itself():
    still = as_film(np.repeat(shot(np.random.default_rng(3), 1), 10, axis=0), fps=2)
    assert copies(still, still) == [2, 2]


def test_empty_pictures_match_nothing():
    black = as_film(np.zeros((10, 90, 160, 3), np.uint8), fps=2)
    assert fingerprint(black).hashes == ()
    assert copies(black, black) == [1, 1]


def test_blackness_around_a_film_does_not_part_it_from_its_copy():
    original = film(4)
    black = np.zeros((6, *original.pixels.shape[1:]), np.uint8)
    assert copies(original, as_film(np.concatenate([black, original.pixels, black]), fps=2)) == [2, 2]
