"""A question that was answered is answered from the ledger, by another process too; anything else is asked."""

from dataclasses import replace

import numpy as np
import pytest
from counted import serve

from kangaroo.chat.answerer import Answerer, FinishReason, Sampling
from kangaroo.chat.remote import RemoteAnswerer
from kangaroo.curation.engine.remembered import Remembered
from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.errors import EndpointError
from kangaroo.video.source import VideoSource


def asked(question, grey=9):
    picture = np.full((1, 32, 32, 3), grey, np.uint8)
    return Conversation().ask(question, Video(VideoSource.from_arrays(picture, times_s=[0.0])))


@pytest.fixture
def endpoint():
    with serve() as (url, handler):
        yield RemoteAnswerer(url), handler.asked, handler


def test_the_same_words_and_pixels_are_asked_once(endpoint, tmp_path):
    answerer, counts, _ = endpoint
    remembered = Remembered(answerer, tmp_path / "ledger.sqlite", who="eye")
    assert isinstance(remembered, Answerer)
    first = remembered.answer(asked("What?")).read()
    again = Remembered(answerer, tmp_path / "ledger.sqlite", who="eye").answer(asked("What?")).read()
    assert (again.text, again.finish_reason, again.model) == (first.text, FinishReason.STOP, "eye")
    assert counts.total() == 1


def test_other_words_pixels_sampling_or_models_are_asked(endpoint, tmp_path):
    answerer, counts, _ = endpoint
    remembered = Remembered(answerer, tmp_path / "ledger.sqlite", who="eye")
    others = [
        (asked("What?"), Sampling()),
        (asked("What is it?"), Sampling()),
        (asked("What?", grey=10), Sampling()),
        (asked("What?"), replace(Sampling(), max_new_tokens=7)),
    ]
    for conversation, sampling in others:
        remembered.answer(conversation, sampling).read()
    Remembered(answerer, tmp_path / "ledger.sqlite", who="other").answer(asked("What?")).read()
    assert counts.total() == 5
    assert len(remembered.answer_batch([conversation for conversation, _ in others])) == 4
    assert counts.total() == 5


def test_a_failure_is_not_remembered(endpoint, tmp_path):
    answerer, counts, handler = endpoint
    remembered = Remembered(answerer, tmp_path / "ledger.sqlite", who="eye")
    handler.fails = True
    with pytest.raises(EndpointError):
        remembered.answer(asked("What?")).read()
    handler.fails = False
    assert remembered.answer(asked("What?")).read().text
    assert counts.total() == 1
