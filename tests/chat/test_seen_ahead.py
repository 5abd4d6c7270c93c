"""Frames are seen while others are being decoded, to the same features and the same answers."""

import threading

import numpy as np
import pytest
import torch
from taught import ANSWERS, BLUE, FIRST, RED, SECOND, colour_pixels, film, write_film

from kangaroo.chat import features
from kangaroo.chat.ahead import Ahead
from kangaroo.chat.answerer import Sampling
from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import VideoError
from kangaroo.video.decode import read_frames
from kangaroo.video.frames import Frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource


class Counting:
    """An eye whose features are the frames' means, and how many frames it was given at a time."""

    def __init__(self):
        self.given, self.threads = [], set()

    def __call__(self, pixels):
        self.given.append(len(pixels))
        self.threads.add(threading.current_thread().name)
        return torch.from_numpy(pixels).float().mean(dim=(1, 2, 3))[:, None, None]


def shown(num_frames):
    shades = np.arange(num_frames, dtype=np.uint8)[:, None, None, None]
    return Frames(pixels=shades * np.ones((1, 2, 2, 3), np.uint8), times_s=np.arange(num_frames) / 2)


def test_frames_come_in_any_order_and_go_back_in_theirs():
    eye, frames = Counting(), shown(100)
    with Ahead(eye, at_once=32) as seer:
        watch = seer.watch("film")
        for place in np.random.default_rng(0).permutation(90):  # decoders work side by side
            watch(frames.times_s[place], frames.pixels[place])
        assert sum(eye.given) <= 64
        assert [one.item() for one in seer.features("film", frames)] == list(range(100))
    assert eye.given == [32, 32, 32, 32]  # the last four among them
    assert eye.threads == {"kangaroo-ahead_0"}


def test_a_film_of_few_frames_is_seen_as_it_is():
    eye = Counting()
    with Ahead(eye, at_once=32) as seer:
        seer.features("film", shown(5))
    assert eye.given == [5]


def test_films_are_told_apart_and_what_is_decoded_again_counts():
    with Ahead(Counting(), at_once=1) as seer:
        for name, shade in (("one", 3), ("other", 5), ("one", 4)):
            seer.watch(name)(0.0, np.full((2, 2, 3), shade, np.uint8))
        pixels = np.zeros((1, 2, 2, 3), np.uint8)
        for name, shade in (("one", 4), ("other", 5), ("third", 0)):
            (found,) = seer.features(name, Frames(pixels=pixels, times_s=np.zeros(1)))
            assert found.item() == shade


def test_what_fails_in_its_thread_fails_where_features_are_wanted():
    def eye(_pixels):
        raise torch.OutOfMemoryError("no more")

    with Ahead(eye, at_once=32) as seer, pytest.raises(torch.OutOfMemoryError):
        seer.features("film", shown(3))


@pytest.fixture
def idle(monkeypatch):
    """Let a CPU see ahead as a GPU does; count how many frames at a time."""
    monkeypatch.setattr(features, "_IDLE", frozenset({"cpu"}))
    given, send = [], Ahead._send

    def counted(self):
        given.append(min(self._at_once, len(self._waiting)))
        send(self)

    monkeypatch.setattr(Ahead, "_send", counted)
    return given


def test_answers_are_those_of_films_seen_at_their_end(idle, cold, films, tmp_path, monkeypatch):
    long = write_film(tmp_path / "long.mp4", BLUE, 30)
    ahead_of, after = cold(), cold()
    num_frames = 0
    for source, colour in ((films[RED], RED), (film(BLUE).source, BLUE), (long, BLUE)):
        session = ahead_of.chat(source)
        answers = [session.ask(question).read() for question in (FIRST, SECOND)]
        assert [answer.text for answer in answers] == [ANSWERS[colour, FIRST], ANSWERS[colour, SECOND]]
        num_frames += len(answers[0].times_s[0])
    assert sum(idle) == num_frames
    monkeypatch.setattr(features, "_IDLE", frozenset())
    after.chat(long).ask(FIRST).read()
    assert sum(idle) == num_frames
    ((key, (expected, _)),) = after._films._seen._values.items()
    torch.testing.assert_close(ahead_of._films._seen.get(key).rows, expected.rows, rtol=0, atol=1e-5)


def test_only_one_look_at_a_time_sees_ahead_and_none_of_many_frames(idle, cold, films, monkeypatch):
    answerer = cold()
    reader = answerer._films
    look = reader.plan(Conversation().ask(FIRST, film(RED)), context_tokens=4096, reserve_tokens=8)
    looked_at = look.plan.films
    with reader._beside(looked_at) as first, reader._beside(looked_at) as second, reader._beside([]) as third:
        assert first is not None
        assert second is None
        assert third is None
    monkeypatch.setattr(features, "_FRAMES_AT_ONCE", 5)
    assert answerer.chat(films[RED]).ask(FIRST).read().text == ANSWERS[RED, FIRST]
    assert not idle


def test_a_film_that_breaks_leaves_the_next_look_free(idle, cold, films, tmp_path):
    answerer, broken = cold(), tmp_path / "broken.mp4"
    session = answerer.chat(films[BLUE], sampler=FrameSampler(num_frames=4), sampling=Sampling(max_new_tokens=1))
    broken.write_bytes(films[RED].read_bytes())
    answer = answerer.chat(broken).ask(FIRST)
    broken.write_bytes(b"nothing")
    with pytest.raises(VideoError):
        answer.read()
    session.ask(FIRST).read()
    assert sum(idle) == 4


def test_frames_told_of_are_the_frames_that_are_read(films):
    told = {}
    frames = read_frames(VideoSource(films[RED]), FrameSampler(), size_px=56, watch=told.__setitem__)
    assert sorted(told) == frames.times_s.tolist()
    for time_s, pixels in zip(frames.times_s, frames.pixels, strict=True):
        assert np.array_equal(told[time_s], pixels)
    assert np.abs(frames.pixels.astype(int) - colour_pixels(RED)).mean() < 8
