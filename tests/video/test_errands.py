"""Who waits for a film can call it off, wherever it is being read."""

import threading
import time

import pytest
from films import encode, save

from kangaroo.errors import VideoError
from kangaroo.video.decode import plan_frames, read_frames
from kangaroo.video.errands import Errands, Workers
from kangaroo.video.isolate import Limits, Worker
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

FOUR = FrameSampler(num_frames=4)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return save(tmp_path_factory.mktemp("films"), "film.mp4", encode(num_frames=40))


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
    assert time.monotonic() - started_s < 30
    with pytest.raises(VideoError, match="nobody waits"):
        errands.call(len, "x", name="film.mp4")
    assert Errands(workers).call(len, "abc", name="film.mp4") == 3


def test_a_cancel_that_comes_once_the_answer_is_there_costs_others_nothing():
    class Late(Worker):
        def call(self, *arguments, **options):
            result = super().call(*arguments, **options)
            cancelled.cancel()
            return result

    pool = Workers(Limits(time_s=20.0), num_workers=1, make=Late)
    try:
        for _ in range(2):
            cancelled = Errands(pool)
            assert cancelled.call(len, "abc", name="film.mp4") == 3
    finally:
        pool.close()


def test_who_waits_for_a_worker_may_be_cancelled_too(workers):
    first, second = Errands(workers), Errands(workers)
    first.call(len, "x", name="warm")
    busy = threading.Thread(target=pytest.raises, args=(VideoError, first.call, time.sleep, 60), kwargs={"name": "a"})
    busy.start()
    threading.Timer(0.2, second.cancel).start()
    started_s = time.monotonic()
    with pytest.raises(VideoError, match="nobody waits"):
        second.call(len, "x", name="b")
    assert time.monotonic() - started_s < 30
    first.cancel()
    busy.join()
