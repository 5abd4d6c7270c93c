"""A film that hangs, crashes or bloats its reader costs an error, never this process."""

import ctypes
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from films import encode, save

from kangaroo.errors import OptionError, VideoError
from kangaroo.video.decode import Resize, plan_frames, read_frames
from kangaroo.video.frames import Frames
from kangaroo.video.isolate import Errands, Limits, Workers, read_frames_isolated
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
    assert time.monotonic() - started_s < 5


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS limits no address space")
def test_memory_is_limited_by_the_system(film):
    with pytest.raises(VideoError, match=r"memory|failed|crashed"):
        isolated(film, memory_bytes=64 << 20)


def test_frames_at_hand_need_no_worker():
    source = VideoSource.from_arrays(np.zeros((2, 8, 8, 3), np.uint8), fps=1.0)
    assert len(read_frames_isolated(source, FOUR, size_px=8)) == 2


@pytest.fixture
def workers():
    pool = Workers(Limits(time_s=20.0), num_workers=1)
    yield pool
    pool.close()


def test_a_source_with_errands_is_opened_planned_and_read_elsewhere(film, workers, monkeypatch):
    here, there = VideoSource(film), VideoSource(film, apart=Errands(workers))
    expected = here.open(), plan_frames(here, FOUR), read_frames(here, FOUR, size_px=32)
    monkeypatch.setattr("kangaroo.video.container.av.open", None)  # this process opens nothing
    assert there.open() == expected[0]
    assert (plan_frames(there, FOUR).times_s == expected[1].times_s).all()
    assert (read_frames(there, FOUR, size_px=32).pixels == expected[2].pixels).all()


def test_errands_that_are_cancelled_end_at_once_and_cost_others_nothing(film, workers):
    errands = Errands(workers)
    errands.call(len, "x", name="warm")
    timer = threading.Timer(0.3, errands.cancel)
    timer.start()
    started_s = time.monotonic()
    with pytest.raises(VideoError, match="crashed"):
        errands.call(time.sleep, 60, name="film.mp4")
    assert time.monotonic() - started_s < 2
    with pytest.raises(VideoError, match="nobody waits"):
        errands.call(len, "x", name="film.mp4")
    assert Errands(workers).call(len, "abc", name="film.mp4") == 3


def test_who_waits_for_a_worker_may_be_cancelled_too(workers):
    first, second = Errands(workers), Errands(workers)
    first.call(len, "x", name="warm")
    busy = threading.Thread(target=first.call, args=(time.sleep, 1), kwargs={"name": "a"})
    busy.start()
    threading.Timer(0.2, second.cancel).start()
    started_s = time.monotonic()
    with pytest.raises(VideoError, match="nobody waits"):
        second.call(len, "x", name="b")
    assert time.monotonic() - started_s < 0.9
    busy.join()


def test_impossible_limits_are_refused():
    with pytest.raises(OptionError, match="0 s"):
        Limits(time_s=0.0)
    with pytest.raises(OptionError, match="5 bytes"):
        Limits(memory_bytes=5)


def test_a_worker_does_not_outlive_whoever_started_it(tmp_path):
    program = (
        "import os, time; from kangaroo.video.isolate import Limits, Worker\n"
        "worker = Worker(Limits()); print(worker.call(os.getpid, name='x'), flush=True)\n"
        "worker.call(time.sleep, 600, name='x')"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    worker = int(process.stdout.readline())
    process.kill()
    process.communicate()
    for _ in range(100):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the worker still sleeps")
