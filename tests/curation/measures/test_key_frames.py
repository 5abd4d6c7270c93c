"""One frame a fifth: the sharpest that is not black and holds little text."""

import numpy as np
import pytest

from kangaroo.curation.measures.key_frames import KeyFrameSettings, pick_key_frames
from kangaroo.errors import OptionError
from kangaroo.video.frames import Frames

BOARD = (np.indices((64, 96)).sum(0) // 4 % 2 * 200 + 20).astype(np.uint8)[..., None].repeat(3, axis=2)
BLURRED = np.full_like(BOARD, 120)
BLACK = np.zeros_like(BOARD)


def clip(*pictures):
    """Two pictures a second."""
    return Frames(pixels=np.stack(pictures), times_s=np.arange(len(pictures)) / 2)


def test_each_fifth_gives_its_sharpest_frame():
    frames = clip(BOARD, BLURRED, BLURRED, BOARD, BLACK, BOARD, BOARD, BLURRED, BLURRED, BOARD)
    picked = pick_key_frames(frames, start_s=0.0, end_s=5.0)
    assert [one.place for one in picked] == [0, 3, 5, 6, 9]
    assert [one.time_s for one in picked] == [0.0, 1.5, 2.5, 3.0, 4.5]


def test_text_costs_more_than_it_is_sharp():
    frames = clip(BOARD, BLURRED)
    settings = KeyFrameSettings(num_frames=1)
    assert pick_key_frames(frames, settings, start_s=0.0, end_s=1.0, text=[0.1, 0.0])[0].place == 0
    assert pick_key_frames(frames, settings, start_s=0.0, end_s=1.0, text=[0.6, 0.0])[0].place == 1


def test_black_spans_and_spans_without_frames_give_none():
    assert pick_key_frames(clip(*[BLACK] * 10), start_s=0.0, end_s=5.0) == ()
    assert len(pick_key_frames(clip(BOARD), start_s=0.0, end_s=5.0)) == 1


def test_frames_outside_the_clip_are_not_looked_at():
    picked = pick_key_frames(clip(*[BOARD] * 20), start_s=2.0, end_s=4.0)
    assert all(2 <= one.time_s < 4 for one in picked)


def test_a_large_picture_is_made_small_first():
    large = BOARD.repeat(20, axis=0).repeat(20, axis=1)
    small, big = (pick_key_frames(clip(one), start_s=0.0, end_s=1.0)[0] for one in (BOARD, large))
    assert big.sharpness == pytest.approx(small.sharpness, rel=0.9)


@pytest.mark.parametrize("wrong", [{"num_frames": 0}, {"min_brightness": 255.0}, {"text_weight": float("nan")}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        KeyFrameSettings(**wrong)
