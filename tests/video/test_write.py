"""What is written comes back: pictures, times, duration."""

import numpy as np
import pytest
from films import numbers_in, picture

from kangaroo.errors import OptionError, VideoError
from kangaroo.video.decode import read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource
from kangaroo.video.write import write_video

ALL = FrameSampler(num_frames=10_000)


def pictures(count, **size):
    return (picture(number, **size) for number in range(count))


@pytest.mark.parametrize("fps", [1.0, 10.0, 25.0, 30000 / 1001, 60.0])
def test_a_fixed_rate(tmp_path, fps):
    write_video(tmp_path / "a.mp4", pictures(30), fps=fps)
    info = VideoSource(tmp_path / "a.mp4").open()
    assert info.duration_s == pytest.approx(30 / fps, rel=1e-3)
    assert info.num_frames == 30
    frames = read_frames(VideoSource(tmp_path / "a.mp4"), ALL, size_px=32)
    assert numbers_in(frames.pixels) == list(range(30))
    assert frames.times_s == pytest.approx(np.arange(30) / fps, abs=1e-4)
    assert frames.notes == ()


def test_each_frame_at_its_own_time(tmp_path):
    times_s = np.cumsum(np.random.default_rng(0).uniform(0.01, 2.0, 40))
    write_video(tmp_path / "a.mp4", pictures(40), times_s=times_s)
    frames = read_frames(VideoSource(tmp_path / "a.mp4"), ALL, size_px=32)
    assert numbers_in(frames.pixels) == list(range(40))
    assert frames.times_s == pytest.approx(times_s - times_s[0], abs=1e-4)
    last_s = 2 * times_s[-1] - times_s[-2] - times_s[0]
    assert VideoSource(tmp_path / "a.mp4").open().duration_s == pytest.approx(last_s, abs=1e-3)


def test_colours_come_back(tmp_path):
    colours = [(255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 30, 30), (30, 200, 30), (30, 30, 200)]
    shown = [np.broadcast_to(np.array(colour, np.uint8), (48, 64, 3)) for colour in colours]
    write_video(tmp_path / "a.mp4", shown, fps=5.0, crf=4)
    frames = read_frames(VideoSource(tmp_path / "a.mp4"), ALL, size_px=16)
    assert np.abs(frames.pixels[:, 8, 8].astype(int) - colours).max() <= 4


def test_one_frame_and_odd_sizes(tmp_path):
    write_video(tmp_path / "a.mp4", pictures(1, height=47, width=65), fps=2.0)
    info = VideoSource(tmp_path / "a.mp4").open()
    assert (info.height_px, info.width_px, info.num_frames) == (48, 66, 1)
    assert info.duration_s == pytest.approx(0.5)


def test_impossible_requests(tmp_path):
    path = tmp_path / "a.mp4"
    with pytest.raises(OptionError, match="either"):
        write_video(path, pictures(2))
    with pytest.raises(OptionError, match="either"):
        write_video(path, pictures(2), fps=1.0, times_s=[0.0, 1.0])
    with pytest.raises(OptionError, match="above 0"):
        write_video(path, pictures(2), fps=0.0)
    with pytest.raises(OptionError, match="rise"):
        write_video(path, pictures(3), times_s=[0.0, 1.0, 1.0])
    with pytest.raises(OptionError, match="more frames than times"):
        write_video(path, pictures(3), times_s=[0.0, 1.0])
    with pytest.raises(OptionError, match="more times than frames"):
        write_video(path, pictures(1), times_s=[0.0, 1.0])
    with pytest.raises(VideoError, match="no frame"):
        write_video(path, pictures(0), fps=1.0)
    with pytest.raises(VideoError, match="frame 1 is 32x32, the first was 64x48"):
        write_video(path, [picture(0), picture(1, height=32, width=32)], fps=1.0)
    with pytest.raises(VideoError, match="cannot be written"):
        write_video(tmp_path / "none" / "a.mp4", pictures(1), fps=1.0)
