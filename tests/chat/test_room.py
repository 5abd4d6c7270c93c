"""What a device has no memory for is refused before anything is decoded; it says how many frames fit."""

import re

import pytest
from taught import ANSWERS, FIRST, RED, SECOND, film

from kangaroo.chat import room
from kangaroo.chat.answerer import Sampling
from kangaroo.errors import ContextError
from kangaroo.video.sampler import FrameSampler

BRIEF = Sampling(max_new_tokens=30)


def asked(answerer, num_frames):
    return answerer.chat(film(RED, 60).source, sampling=BRIEF, sampler=FrameSampler(num_frames=num_frames)).ask(FIRST)


@pytest.fixture
def free(monkeypatch):
    """Set how many bytes the machine has free when a model comes."""
    return lambda num_bytes: monkeypatch.setattr(room, "memory_bytes", lambda: (num_bytes, num_bytes))


def test_too_many_frames_are_refused_and_those_it_names_are_answered(cold, free, work):
    free(200_000)
    answerer = cold()
    with pytest.raises(ContextError, match=r"30 frames over 30.0 s -> 77 tokens, 0.0 GiB: more than") as refused:
        asked(answerer, 30)
    most = int(re.search(r"at most (\d+) frames", str(refused.value))[1])
    assert 2 <= most < 30
    assert work.num_films == 0
    asked(answerer, most).read()
    with pytest.raises(ContextError, match=f"at most {most} frames"):
        asked(answerer, most + 2)


def test_where_nothing_fits_other_ways_are_named(cold, free):
    free(1000)
    with pytest.raises(ContextError, match="take a smaller model, or another device"):
        asked(cold(), 2)


def test_a_machine_that_does_not_say_refuses_nothing(cold, monkeypatch):
    monkeypatch.setattr(room, "memory_bytes", lambda: None)
    asked(cold(), 8).read()


def test_a_conversation_that_goes_on_is_told_alike(cold, monkeypatch):
    monkeypatch.setattr(room, "GIB", 100)
    session = cold().chat(film(RED, 12).source, sampling=BRIEF)
    lines = [session.ask(question).read().preflight for question in (FIRST, SECOND, FIRST)]
    assert len(set(lines)) == 1


def test_what_a_question_takes_is_told_where_it_is_much(cold, free, monkeypatch):
    assert "GiB" not in asked(cold(), 8).preflight
    monkeypatch.setattr(room, "GIB", 100)
    free(1 << 30)
    answer = asked(cold(), 8)
    assert re.search(r"tokens, [\d,.]+ GiB$", answer.preflight)
    assert answer.read().text == ANSWERS[RED, FIRST]
