"""Rounds come, go on while nobody draws them, stop, fail and are asked again; nothing that was said is lost."""

import threading
from itertools import pairwise
from time import monotonic

import pytest
from scripted import Scripted

from kangaroo.chat.answerer import FinishReason, Sampling
from kangaroo.dialogue.conversation import Role
from kangaroo.errors import PromptError
from kangaroo.serving.page import talk as talk_module
from kangaroo.serving.page.talk import Status, Talk, was_cut
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

FILM = VideoSource("film.mp4")
FRAMES, WORDS = FrameSampler(), Sampling()


def begin(*answers, held=False):
    answerer = Scripted(*answers, held=held)
    return answerer, Talk(FILM, answerer.remembering)


def ended(one):
    """Watch a round to its end."""
    until_s = monotonic() + 20
    while one.wait(0.02):
        assert monotonic() < until_s, f"still {one.status}"
    return one


def settle():
    """Wait until nobody answers any more."""
    for thread in threading.enumerate():
        if thread.name == "answer":
            thread.join(10)


def texts(conversation):
    return [turn.text.strip() for turn in conversation.turns]


def test_an_answer_comes_word_by_word_and_stays():
    answerer, talk = begin("a crab appears", held=True)
    one = talk.ask("What happens?", FRAMES, WORDS)
    assert one.status is Status.WAITING
    assert talk.is_running
    answerer.go.release(100)
    assert ended(one).status is Status.DONE
    assert one.text.strip() == "a crab appears"
    assert not talk.is_running


def test_a_second_question_brings_what_was_said_and_the_film_once():
    answerer, talk = begin("a crab", "two")
    ended(talk.ask("What?", FRAMES, WORDS))
    ended(talk.ask("How many?", FRAMES, WORDS))
    assert texts(answerer.asked[-1]) == ["What?", "a crab", "How many?"]
    assert len(answerer.asked[-1].videos) == 1
    assert answerer.memories == 1


def test_a_new_rule_for_frames_holds_for_the_whole_conversation():
    answerer, talk = begin("a crab", "two")
    ended(talk.ask("What?", FRAMES, WORDS))
    ended(talk.ask("How many?", FrameSampler(num_frames=4), WORDS))
    (film,) = answerer.asked[-1].videos
    assert film.sampler.num_frames == 4


def test_a_stopped_answer_keeps_its_words_and_is_part_of_the_conversation():
    answerer, talk = begin("one two three", "four", held=True)
    one = talk.ask("Count", FRAMES, WORDS)
    answerer.go.release()
    while not one.text:
        assert one.wait(10.0)
    talk.stop()
    said = one.text
    assert one.status is Status.STOPPED
    assert not talk.is_running
    answerer.go.release(100)
    settle()
    assert one.text.startswith(said)
    assert one.answer.finish_reason is FinishReason.CANCELLED
    ended(talk.ask("Go on", FRAMES, WORDS))
    assert texts(answerer.asked[-1])[:2] == ["Count", one.text.strip()]


def test_an_answer_that_is_over_cannot_be_stopped():
    _, talk = begin("done")
    one = ended(talk.ask("Say", FRAMES, WORDS))
    talk.stop()
    assert one.status is Status.DONE


def test_asking_ends_the_answer_under_way():
    answerer, talk = begin("one two three", "four", held=True)
    first = talk.ask("Count", FRAMES, WORDS)
    answerer.go.release()
    while not first.text:
        assert first.wait(10.0)
    second = talk.ask("Again", FRAMES, WORDS)
    assert first.status is Status.STOPPED
    answerer.go.release(100)
    assert ended(second).text.strip() == "four"
    assert talk.rounds == [first, second]


def test_an_answer_begins_once_somebody_watches_and_not_where_it_was_stopped_before():
    answerer, talk = begin("one")
    first = talk.ask("Count", FRAMES, WORDS)
    talk.stop()
    settle()
    assert first.status is Status.STOPPED
    assert answerer.asked == []
    ended(talk.regenerate(FRAMES, WORDS))
    assert len(answerer.asked) == 1


def test_who_waits_for_a_first_word_for_long_keeps_its_memory_to_itself(monkeypatch):
    monkeypatch.setattr(talk_module, "_GRACE_S", 0.05)
    answerer, talk = begin("never heard", "four", held=True)
    first = talk.ask("Count", FRAMES, WORDS)
    until_s = monotonic() + 10
    while not answerer.asked and monotonic() < until_s:
        first.wait(0.01)
    second = talk.ask("Again", FRAMES, WORDS)
    until_s = monotonic() + 10
    while answerer.memories < 2 and monotonic() < until_s:
        second.wait(0.01)
    assert answerer.memories == 2
    answerer.go.release(100)
    ended(second)


def test_regenerate_asks_the_same_again_and_replaces_the_answer():
    answerer, talk = begin("a crab", "a beaver")
    ended(talk.ask("What?", FRAMES, WORDS))
    again = ended(talk.regenerate(FRAMES, Sampling(temperature=1.0)))
    assert [one.text.strip() for one in talk.rounds] == ["a beaver"]
    assert texts(answerer.asked[-1]) == ["What?"]
    assert again.sampling.temperature == 1.0


def test_a_regeneration_that_fails_keeps_the_answer_before():
    _, talk = begin("a crab", "!")
    ended(talk.ask("What?", FRAMES, WORDS))
    again = ended(talk.regenerate(FRAMES, WORDS))
    assert again.status is Status.FAILED
    assert again.text.strip() == "a crab"


def test_a_regeneration_that_is_stopped_early_keeps_the_answer_before():
    answerer, talk = begin("a crab", "never heard")
    ended(talk.ask("What?", FRAMES, WORDS))
    answerer.go = threading.Semaphore(0)
    again = talk.regenerate(FRAMES, WORDS)
    assert again.text == ""
    talk.stop()
    assert again.text.strip() == "a crab"
    answerer.go.release(10)
    settle()


@pytest.mark.parametrize("answer", ["", "!", "a crab !"])
def test_a_failure_is_told_in_one_line_and_its_question_can_be_asked_again(answer):
    answerer, talk = begin(answer, "all is well")
    one = ended(talk.ask("What?", FRAMES, WORDS))
    assert one.status is Status.FAILED
    assert one.error in ("nobody is there", "the server broke off")
    assert one.text == answer.rstrip("!")
    assert ended(talk.regenerate(FRAMES, WORDS)).text.strip() == "all is well"
    assert texts(answerer.asked[-1]) == ["What?"]


def test_a_mistake_of_ours_is_logged_and_told_without_its_words(caplog):
    _, talk = begin("?")
    one = ended(talk.ask("What?", FRAMES, WORDS))
    assert one.error.startswith("RuntimeError")
    assert "a mistake of ours" not in one.error
    assert "a mistake of ours" in caplog.text


def test_what_failed_or_said_nothing_is_not_read_again():
    answerer, talk = begin("!", "two")
    ended(talk.ask("What?", FRAMES, WORDS))
    ended(talk.ask("How many?", FRAMES, WORDS))
    assert texts(answerer.asked[-1]) == ["How many?"]
    assert len(answerer.asked[-1].videos) == 1


def test_an_answer_that_nobody_watches_is_stopped(monkeypatch):
    monkeypatch.setattr(talk_module, "UNWATCHED_S", 0.0)
    _, talk = begin("one two three")
    one = talk.ask("Count", FRAMES, WORDS)
    settle()
    assert one.status is Status.STOPPED
    assert one.text.strip() == "one"


def test_reset_forgets():
    answerer, talk = begin("a crab", "two")
    ended(talk.ask("What?", FRAMES, WORDS))
    talk.reset()
    assert talk.rounds == []
    ended(talk.ask("How many?", FRAMES, WORDS))
    assert texts(answerer.asked[-1]) == ["How many?"]


def test_an_empty_question_is_refused_and_nothing_to_regenerate_too():
    _, talk = begin()
    with pytest.raises(PromptError, match="empty"):
        talk.ask("  ", FRAMES, WORDS)
    with pytest.raises(PromptError, match="ask first"):
        talk.regenerate(FRAMES, WORDS)


def test_the_preflight_of_the_next_question_leaves_no_trace():
    answerer, talk = begin("a crab")
    ended(talk.ask("What?", FRAMES, WORDS))
    assert talk.preflight(FRAMES, WORDS).preflight.startswith("4 frames")
    assert texts(answerer.asked[-1]) == ["What?", "a crab", "?"]
    assert len(talk.rounds) == 1


def test_roles_alternate_whatever_happened():
    answerer, talk = begin("one", "!", "two", "three !", "four")
    for number in range(5):
        ended(talk.ask(f"question {number}", FRAMES, WORDS))
    roles = [turn.role for turn in answerer.asked[-1].turns]
    assert all(one is not other for one, other in pairwise(roles))
    assert roles[-1] is Role.USER


def test_an_answer_at_its_longest_is_known_as_cut():
    _, talk = begin("a crab")
    one = ended(talk.ask("What?", FRAMES, WORDS))
    assert not was_cut(one.answer)
    one.answer.finish_reason = FinishReason.LENGTH
    assert was_cut(one.answer)
