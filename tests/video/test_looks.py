"""Copies of a picture hash alike, other pictures do not."""

from pathlib import Path

import numpy as np
import pytest

from kangaroo.chat.pictures import encode_jpeg
from kangaroo.video.decode import read_frames
from kangaroo.video.looks import look_hash
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

FILM = Path(__file__).parents[2] / "examples" / "kangaroo.mp4"


def bits(first, second):
    return (int(first, 16) ^ int(second, 16)).bit_count()


def pictures(height, width):
    return read_frames(VideoSource(FILM), FrameSampler(num_frames=6), size_px=(height, width)).pixels


@pytest.mark.parametrize("size", [(128, 128), (90, 300), (480, 640), (33, 47)])
def test_another_size_or_shape_is_the_same_picture(size):
    for first, second in zip(pictures(240, 320), pictures(*size), strict=True):
        assert bits(look_hash(first), look_hash(second)) <= 6


def test_another_codec_and_brightness_are_the_same_picture():
    for picture in pictures(240, 320):
        coded = read_frames(VideoSource(encode_jpeg(picture)), FrameSampler(), size_px=(240, 320)).pixels[0]
        darker = (picture * 0.7).astype(np.uint8)
        assert bits(look_hash(picture), look_hash(coded)) <= 4
        assert bits(look_hash(picture), look_hash(darker)) <= 6


def test_other_pictures_differ_in_many_bits():
    hashes = [look_hash(picture) for picture in pictures(240, 320)]
    assert bits(hashes[0], hashes[-1]) > 10
    assert all(len(one) == 16 for one in hashes)


def test_what_shows_nothing_has_no_hash():
    assert look_hash(np.full((40, 60, 3), 90, dtype=np.uint8)) is None


def test_the_hash_is_that_of_the_same_sums_in_opencv():
    """Means of areas, grey by BT.601, cosine waves, their signs against the median: OpenCV 5.0 gave this value."""
    blocks = np.random.default_rng(3).integers(0, 256, (8, 12, 3)).astype(np.uint8)
    assert look_hash(np.kron(blocks, np.ones((24, 16, 1), np.uint8))) == "b7ec41366d87528a"
