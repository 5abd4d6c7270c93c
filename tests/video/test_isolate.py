"""A film that hangs, crashes or bloats its reader costs an error, never this process."""

import ctypes
import os
import sys
import time

import numpy as np
import pytest
from films import encode, save

from kangaroo.errors import OptionError, VideoError
from kangaroo.video.decode import Resize, read_frames
from kangaroo.video.frames import Frames
from kangaroo.video.isolate import Limits, read_frames_isolated
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

FOUR = FrameSampler(num_frames=4)


def crash(source, sampler, **_):
    ctypes.string_at(0)


def hang(source, sampler, **_):
    time.sleep(60)


def bloat(source, sampler, **_):
    return Frames(pixels=np.ones((1 << 40, 1, 1, 3), np.uint8), times_s=np.ones(1))


def leave(source, sampler, **_):
    os._exit(3)


def chatter(source, sampler, **options):
    print("a library that prints")
    os.write(1, b"and one that writes")
    return read_frames(source, sampler, **options)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return save(tmp_path_factory.mktemp("films"), "film.mp4", encode(num_frames=40))


def isolated(value, reader=read_frames, **limits):
    return read_frames_isolated(VideoSource(value), FOUR, size_px=32, limits=Limits(**limits), reader=reader)


def test_a_worker_reads_what_this_process_reads(film):
    here = read_frames(VideoSource(film), FOUR, size_px=32)
    for there in (isolated(film), isolated(film.read_bytes(), reader=chatter)):
        assert (there.pixels == here.pixels).all()
        assert (there.times_s == here.times_s).all()


def test_options_and_errors_pass_through(film, tmp_path):
    padded = read_frames_isolated(VideoSource(film), FOUR, size_px=(32, 40), resize=Resize.PAD)
    assert padded.pixels.shape == (4, 32, 40, 3)
    with pytest.raises(VideoError, match="text, not a video"):
        isolated(save(tmp_path, "text.mp4", b"hello " * 100))
    with pytest.raises(OptionError, match="60 s"):
        read_frames_isolated(VideoSource(film), FrameSampler(start_s=60.0), size_px=32)


@pytest.mark.parametrize(
    ("reader", "reason"), [(crash, "crashed the decoder .SIGSEGV."), (bloat, "memory"), (leave, "status 3")]
)
def test_a_reader_that_dies_costs_an_error(film, reader, reason):
    with pytest.raises(VideoError, match=reason) as caught:
        isolated(film, reader=reader)
    assert "film.mp4" in str(caught.value)


def test_a_reader_that_hangs_is_stopped(film):
    started_s = time.monotonic()
    with pytest.raises(VideoError, match="longer than 1 s"):
        isolated(film, reader=hang, time_s=1.0)
    assert time.monotonic() - started_s < 30


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS limits no address space")
def test_memory_is_limited_by_the_system(film):
    with pytest.raises(VideoError, match=r"memory|failed|crashed"):
        isolated(film, memory_bytes=64 << 20)


def test_frames_at_hand_need_no_worker():
    source = VideoSource.from_arrays(np.zeros((2, 8, 8, 3), np.uint8), fps=1.0)
    assert len(read_frames_isolated(source, FOUR, size_px=8)) == 2


def test_impossible_limits_are_refused():
    with pytest.raises(OptionError, match="0 s"):
        Limits(time_s=0.0)
    with pytest.raises(OptionError, match="5 bytes"):
        Limits(memory_bytes=5)
