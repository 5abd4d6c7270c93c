"""Whatever a caller gives, it becomes one source."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kangaroo.dialogue.films import as_source, list_images, list_sources
from kangaroo.errors import VideoError
from kangaroo.video.decode import read_frames
from kangaroo.video.frames import Frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)


def read(value, times_s=None):
    return read_frames(as_source(value, times_s), FrameSampler(num_frames=4), size_px=8)


@pytest.mark.parametrize("value", ["film.mp4", Path("film.mp4"), b"bytes"])
def test_references_stay_what_they_are(value):
    assert as_source(value) == VideoSource(value)
    assert as_source([value]) == VideoSource(value)


def test_a_source_is_taken_as_it_is():
    source = VideoSource("frames/", folder_fps=2.0)
    assert as_source(source) is source


@pytest.mark.parametrize(
    "value",
    [
        PICTURE,
        PICTURE[None],
        np.moveaxis(PICTURE, -1, 0),
        torch.from_numpy(PICTURE),
        torch.from_numpy(PICTURE).movedim(-1, 0)[None],
        Image.fromarray(PICTURE),
        [Image.fromarray(PICTURE)],
        Frames(pixels=PICTURE[None], times_s=np.zeros(1)),
    ],
)
def test_the_same_picture_gives_the_same_pixels(value):
    np.testing.assert_array_equal(read(value).pixels, read(PICTURE).pixels)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "F", "1"])
def test_pictures_of_every_mode_are_read(mode):
    assert read(Image.fromarray(PICTURE).convert(mode)).pixels.shape == (1, 8, 8, 3)


def test_pictures_with_times_are_one_film():
    films = [read(value, [0.0, 2.0]) for value in ([PICTURE, PICTURE], [Image.fromarray(PICTURE)] * 2)]
    for frames in films:
        assert frames.times_s.tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (7, "a film cannot be a int"),
        ([PICTURE, PICTURE[:6]], "differ in size"),
        ([PICTURE, PICTURE], "2 frames come without their times"),
        (PICTURE.astype(np.float32), "frames must be uint8 RGB, values 0 to 255, not float32"),
    ],
)
def test_what_is_no_film_is_said(value, complaint):
    with pytest.raises(VideoError, match=complaint):
        as_source(value)


def test_films_are_told_apart():
    film = np.stack([PICTURE] * 2)
    assert list_sources("a.mp4") == ["a.mp4"]
    assert list_sources(["a.mp4", "b.mp4"]) == ["a.mp4", "b.mp4"]
    assert list_sources([["a.mp4"], [], ["b.mp4", "c.mp4"]]) == ["a.mp4", "b.mp4", "c.mp4"]
    assert len(list_sources([film, film])) == 2
    assert len(list_sources(np.stack([film, film]))) == 2
    assert len(list_sources([PICTURE, PICTURE])) == 1
    assert len(list_sources([[PICTURE, PICTURE], [PICTURE]])) == 2
    assert len(list_images([[PICTURE, PICTURE], [PICTURE]])) == 3
    assert len(list_images(PICTURE)) == 1
