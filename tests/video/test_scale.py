"""Colours, turning, pixel shapes and transparency, against pictures whose right answer is known."""

import struct

import numpy as np
import pytest
from films import encode, encode_image, number_in, picture

from kangaroo.video.decode import read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

ALL = FrameSampler(num_frames=10_000)
COLOURS = np.array(
    [(255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 30, 30), (30, 200, 30), (30, 30, 200), (250, 200, 100)],
    np.uint8,
)
FLAT = [np.broadcast_to(colour, (48, 64, 3)) for colour in COLOURS]


@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv420p", "yuv420p10le"])
@pytest.mark.parametrize(
    "colour",
    [(6, 6, 6, 1), (1, 1, 1, 1), (9, 9, 14, 1), (6, 6, 6, 2), (1, 1, 1, 2), None],
    ids=["601", "709", "2020", "601 full", "709 full", "untold"],
)
def test_every_matrix_and_range_gives_the_colour_back(pixel_format, colour):
    film = encode(pictures=FLAT, colour=colour, pixel_format=pixel_format, options={"qp": "0", "crf": "0"})
    pixels = read_frames(VideoSource(film), ALL, size_px=16).pixels[:, 8, 8]
    assert np.abs(pixels.astype(int) - COLOURS).max() <= 2


def test_a_large_film_that_tells_no_matrix_is_bt709():
    large = [np.broadcast_to(colour, (720, 1280, 3)) for colour in COLOURS]
    tagged = encode(pictures=large, colour=(1, 2, 2, 1), height=720, width=1280, options={"crf": "0"})
    # the same stream without its words about colour: only the matrix that pixels went through is left
    untold = encode(pictures=large, colour=(1, 2, 2, 1), height=720, width=1280, options={"crf": "0"}, tag_colour=False)
    for film in (tagged, untold):
        pixels = read_frames(VideoSource(film), ALL, size_px=16).pixels[:, 8, 8]
        assert np.abs(pixels.astype(int) - COLOURS).max() <= 2


def test_bicubic_scaling_is_close_to_another_scalers():
    image = pytest.importorskip("PIL.Image")
    rows, columns = np.mgrid[0:120, 0:160]
    smooth = np.stack([rows * 2, columns, 255 - rows], axis=-1).astype(np.uint8)
    theirs = np.asarray(image.fromarray(smooth).resize((48, 40), image.Resampling.BICUBIC))
    ours = read_frames(VideoSource(encode_image(smooth)), ALL, size_px=(40, 48)).pixels[0]
    assert np.abs(ours.astype(int) - theirs).max() <= 2


def test_a_picture_of_the_models_size_is_not_changed():
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert (read_frames(VideoSource(encode_image(noise)), ALL, size_px=32).pixels[0] == noise).all()


@pytest.mark.parametrize(("rotation", "turned"), [(0, 0), (90, 1), (180, 2), (270, 3)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_all_eight_ways_of_turning_and_mirroring(rotation, turned, mirrored):
    shown = picture(77, height=64, width=64)
    # FFmpeg's flip comes after the turn, so undoing starts with it
    stored = np.rot90(shown[:, ::-1] if mirrored else shown, turned)
    film = encode(pictures=[stored] * 2, height=64, width=64, matrix=(rotation, mirrored))
    assert number_in(read_frames(VideoSource(film), ALL, size_px=48).pixels[0]) == 77


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 1), (8, 3)])
def test_a_photograph_is_turned_as_its_camera_was(orientation, turns):
    stored = np.rot90(picture(77, height=96, width=128), turns)
    jpeg = encode_image(stored, codec="mjpeg", pixel_format="yuvj420p")
    entry = struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">I", 8) + entry
    tagged = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    source = VideoSource(tagged)
    assert number_in(read_frames(source, ALL, size_px=48).pixels[0]) == 77
    info = source.open()
    assert (info.height_px, info.width_px, info.rotation_deg) == (96, 128, 90 * turns)


TRANSPARENT = np.zeros((48, 64, 4), np.uint8)
TRANSPARENT[:, :32] = (255, 0, 0, 255)
TRANSPARENT[:, 32:] = (0, 255, 0, 0)


@pytest.mark.parametrize("kind", ["png", "qtrle", "vp9", "ffv1"])
def test_what_is_transparent_shows_white(kind):
    films = {
        "png": lambda: encode_image(TRANSPARENT, layout="rgba"),
        "qtrle": lambda: encode(
            pictures=[TRANSPARENT] * 2, layout="rgba", codec="qtrle", container="mov", pixel_format="argb"
        ),
        "vp9": lambda: encode(
            pictures=[TRANSPARENT] * 2, layout="rgba", codec="libvpx-vp9", container="webm", pixel_format="yuva420p"
        ),
        "ffv1": lambda: encode(
            pictures=[TRANSPARENT] * 2, layout="rgba", codec="ffv1", container="matroska", pixel_format="yuva420p"
        ),
    }
    source = VideoSource(films[kind]())
    assert source.open().has_alpha
    pixels = read_frames(source, ALL, size_px=48).pixels[0].astype(int)
    assert np.abs(pixels[24, 6] - (255, 0, 0)).max() <= 3
    assert np.abs(pixels[24, 42] - (255, 255, 255)).max() <= 3


@pytest.mark.parametrize("layout", ["gray", "rgb48be", "rgba64be", "ya8", "monob"])
def test_unusual_pixel_formats_of_images(layout):
    grey = np.full((48, 64, 3), 255, np.uint8)
    image = encode_image(grey, pixel_format="gray" if layout == "monob" else layout)
    assert (read_frames(VideoSource(image), ALL, size_px=16).pixels >= 254).all()
