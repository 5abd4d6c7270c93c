"""High dynamic range against the standards' own numbers."""

import numpy as np
import pytest
from films import encode

from kangaroo.video.decode import read_frames
from kangaroo.video.hdr import KNEE, REFERENCE_WHITE_NITS, tone_map
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource


def grey(signal, transfer):
    pixels = np.full((1, 1, 3), round(signal * 65535), np.uint16)
    return tone_map(pixels, transfer=transfer)[0, 0]


def srgb_of(linear):
    return round(255 * (1.055 * linear ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize(("signal", "transfer"), [(0.5807, "pq"), (0.75, "hlg")])
def test_reference_white_is_the_same_by_both_transfers(signal, transfer):
    """BT.2408: 203 nits are 58 % of PQ and 75 % of HLG."""
    assert grey(signal, transfer) == pytest.approx(srgb_of(KNEE + (1 - KNEE) * 0.5), abs=1)


def test_below_the_knee_light_stays_as_it_is():
    nits = 0.3 * REFERENCE_WHITE_NITS
    y = nits / 10000
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    signal = ((c1 + c2 * y**m1) / (1 + c3 * y**m1)) ** m2
    assert grey(signal, "pq") == pytest.approx(srgb_of(0.3), abs=1)


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_the_curve_rises_from_black_to_white_and_keeps_grey_grey(transfer):
    ramp = np.repeat(np.linspace(0, 65535, 256).astype(np.uint16)[None, :, None], 3, axis=2)
    mapped = tone_map(ramp, transfer=transfer)[0].astype(int)
    assert (np.diff(mapped[:, 0]) >= 0).all()
    assert mapped[0].max() == 0
    assert mapped[-1].min() >= 245
    assert (mapped.max(axis=1) - mapped.min(axis=1)).max() <= 1


@pytest.mark.parametrize(("code", "transfer"), [(16, "pq"), (18, "hlg")])
def test_an_hdr_film_goes_through_the_curve(code, transfer):
    levels = (0, 64, 128, 191, 255)
    film = encode(
        pictures=[np.full((48, 64, 3), level, np.uint8) for level in levels],
        codec="libx265",
        pixel_format="yuv420p10le",
        colour=(9, 9, code, 1),
        options={"x265-params": "log-level=none:lossless=1"},
    )
    assert VideoSource(film).open().hdr == transfer
    pixels = read_frames(VideoSource(film), FrameSampler(num_frames=100), size_px=16).pixels[:, 8, 8]
    expected = np.array([grey(level / 255, transfer) for level in levels])
    assert np.abs(pixels.astype(int) - expected).max() <= 2
