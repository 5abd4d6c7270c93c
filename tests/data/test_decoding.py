"""One decoding process serves many films, and a film that hangs, crashes or bloats it costs that film alone."""

import ctypes
import multiprocessing
import os
import pickle
import time
from dataclasses import dataclass

import numpy as np
import pytest
from folders import draw

from kangaroo.data.decoding import Decoder, Look
from kangaroo.data.record import Kind
from kangaroo.errors import VideoError
from kangaroo.video.decode import plan_frames, read_frames
from kangaroo.video.isolate import Limits
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

TWO = FrameSampler(num_frames=2, fps=None)


@dataclass(frozen=True, kw_only=True)
class Misbehaving(Look):
    size_px: int | None = 16
    how: str

    def at(self, source, kind, sampler):
        if self.how == "hang":
            time.sleep(60)
        if self.how == "crash":
            ctypes.string_at(0)
        if self.how == "bloat":
            np.ones(1 << 40)
        if self.how == "leave":
            os._exit(3)
        if self.how == "wear out" and source.value.with_suffix(".worn").exists():
            source.value.with_suffix(".worn").unlink()
            os._exit(1)
        print("a library that prints")
        os.write(1, b"and one that writes")
        return super().at(source, kind, sampler)


@pytest.fixture
def film(tmp_path):
    return VideoSource(draw(tmp_path / "film.mp4"))


@pytest.fixture
def decoder():
    with Decoder(Limits(time_s=5.0)) as one:
        yield one


def look_with(decoder, film, look=Look(size_px=16)):
    return decoder.look(look, film, Kind.VIDEO, TWO)


def test_it_gives_what_this_process_reads_and_stays(film, decoder):
    expected = read_frames(film, TWO, size_px=16)
    processes = set()
    for look in (Look(size_px=16), Misbehaving(how="print")):
        frames = look_with(decoder, film, look)
        assert (frames.pixels == expected.pixels).all()
        processes.add(decoder._process.pid)
    plan = look_with(decoder, film, Look(size_px=None))
    assert (plan.times_s == plan_frames(film, TWO).times_s).all()
    assert len({*processes, decoder._process.pid}) == 1


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("hang", r"film\.mp4: decoding it took longer than 5 s; it was stopped"),
        ("crash", r"film\.mp4: decoding it crashed the decoder \(SIGSEGV\)"),
        ("bloat", r"film\.mp4: decoding it needs more than the 8\.0 GiB of memory"),
        ("leave", r"film\.mp4: decoding it crashed the decoder \(status 3\)"),
    ],
)
def test_a_film_that_ends_it_is_told_and_the_next_is_read(how, said, film, decoder):
    for _ in range(2):  # whether or not it has served before
        with pytest.raises(VideoError, match=said):
            look_with(decoder, film, Misbehaving(how=how))
        assert len(look_with(decoder, film)) == 2


def test_a_process_that_films_before_have_worn_out_gets_a_second_try(film, decoder):
    look_with(decoder, film)
    film.value.with_suffix(".worn").touch()
    assert len(look_with(decoder, film, Misbehaving(how="wear out"))) == 2


def test_errors_of_the_film_pass_through(tmp_path, film, decoder):
    with pytest.raises(VideoError, match="no such file"):
        look_with(decoder, VideoSource(tmp_path / "gone.mp4"))
    with pytest.raises(VideoError, match="calls it image, but it is the other"):
        decoder.look(Look(size_px=16), film, Kind.IMAGE, TWO)


def test_a_forked_process_and_a_copy_have_decoders_of_their_own(film, decoder):
    look_with(decoder, film)
    mine = decoder._process.pid
    assert pickle.loads(pickle.dumps(decoder))._process is None

    def in_fork(pipe):
        look_with(decoder, film)
        pipe.send(decoder._process.pid)
        decoder.close()

    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=in_fork, args=(there,))
    child.start()
    child.join()
    assert here.recv() != mine
    assert len(look_with(decoder, film)) == 2
    assert decoder._process.pid == mine
