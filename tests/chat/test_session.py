"""A session costs only what is new, and says exactly what an answerer says that has seen nothing yet."""

import json

import pytest
from taught import ANSWERS, BLUE, FIRST, RED, SECOND, film

from kangaroo.chat.answerer import FinishReason, Sampling
from kangaroo.chat.session import Session
from kangaroo.dialogue.conversation import Conversation, Role, Text
from kangaroo.errors import ContextError, OptionError, PromptError, VideoError


def afresh(cold, session, sampling=Sampling()):
    """What an answerer says to the session's last question that has seen nothing yet."""
    asked = Conversation(session.conversation.turns[:-1])
    answer = cold().answer(asked, sampling).read()
    return answer.text, answer.new_tokens, answer.finish_reason


def told(session):
    return session.last.text, session.last.new_tokens, session.last.finish_reason


@pytest.mark.parametrize("colour", [RED, BLUE])
def test_answers_are_those_that_were_taught(answerer, films, colour):
    session = answerer.chat(films[colour])
    for question in (SECOND, FIRST):
        assert session.ask(question).read().text == ANSWERS[colour, question]
        assert session.last.finish_reason is FinishReason.STOP


def test_a_second_question_sees_no_film_and_reads_only_what_is_new(answerer, cold, films, work):
    session = answerer.chat(films[RED])
    first = session.ask(FIRST).read()
    assert work.num_films == 1
    assert work.positions == [first.prompt_tokens] + [1] * (first.new_tokens - 1)
    work.forget()
    second = session.ask(SECOND).read()
    assert work.num_films == 0
    # the end of the first answer was said but never read
    known = first.prompt_tokens + first.new_tokens - 1
    assert work.positions == [second.prompt_tokens - known] + [1] * (second.new_tokens - 1)
    assert second.prompt_tokens > first.prompt_tokens + first.new_tokens
    assert told(session) == afresh(cold, session)


def test_a_question_may_bring_another_film(answerer, cold, work):
    session = answerer.chat(film(RED).source)
    session.ask(FIRST).read()
    work.forget()
    session.ask(SECOND, film(BLUE)).read()
    assert work.num_films == 1
    assert len(session.last.times_s) == 2
    assert told(session) == afresh(cold, session)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.5, seed=4, max_new_tokens=40)])
def test_regenerate_reads_nothing_but_the_last_word_again(answerer, cold, films, work, sampling):
    session = answerer.chat(films[BLUE], sampling=sampling)
    session.ask(FIRST).read()
    session.ask(SECOND).read()
    before = told(session)
    work.forget()
    session.regenerate().read()
    assert work.num_films == 0
    assert work.positions[0] == 1
    assert told(session) == before == afresh(cold, session, sampling)
    assert [turn.role for turn in session.conversation.turns] == [Role.USER, Role.ASSISTANT] * 2


def test_a_reset_begins_anew_with_the_same_film(answerer, cold, films, work):
    session = answerer.chat(films[RED])
    session.ask(FIRST).read()
    session.reset()
    assert session.conversation == Conversation()
    with pytest.raises(PromptError, match="nothing was asked yet"):
        session.regenerate()
    work.forget()
    session.ask(SECOND).read()
    assert work.num_films == 0
    assert session.last.text == ANSWERS[RED, SECOND]
    assert told(session) == afresh(cold, session)


def test_a_saved_session_goes_on_elsewhere(cold, films, tmp_path):
    session = cold().chat(str(films[RED]), num_frames=4, start_s=0.5)
    session.ask(FIRST).read()
    session.save(tmp_path / "talk.json")
    restored = Session.restore(cold(), tmp_path / "talk.json")
    assert restored.conversation == session.conversation
    assert restored.ask(SECOND).read().text == session.ask(SECOND).read().text
    assert told(restored) == told(session) == afresh(cold, session)
    again = Session.restore(cold(), tmp_path / "talk.json")
    assert again.regenerate().read().text == session.conversation.turns[1].text
    again.reset()
    assert len(again.ask(FIRST).read().times_s[0]) == 4


def test_a_session_may_be_saved_before_its_first_question(cold, films, tmp_path):
    (tmp_path / "lines.srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nHello there\n")
    cold().chat(films[RED], subtitles=tmp_path / "lines.srt").save(tmp_path / "talk.json")
    restored = Session.restore(cold(), tmp_path / "talk.json")
    restored.ask(FIRST).read()
    assert "Hello there" in restored.conversation.turns[0].text
    assert len(restored.conversation.videos) == 1


def test_a_stopped_answer_stays_as_far_as_it_was_said(answerer, cold, films):
    session = answerer.chat(films[RED])
    for number, _ in enumerate(session.ask(FIRST)):
        if number == 2:
            break
    assert session.last.finish_reason is FinishReason.CANCELLED
    assert session.conversation.turns[-1].text == session.last.text
    assert ANSWERS[RED, FIRST].startswith(session.last.text)
    session.ask(SECOND).read()
    assert told(session) == afresh(cold, session)
    assert session.regenerate().read().text == session.last.text


def test_asking_breaks_off_an_answer_that_nobody_read(answerer, cold, films, work):
    session = answerer.chat(films[RED])
    unread = session.ask(FIRST)
    session.ask(SECOND).read()
    assert unread.finish_reason is FinishReason.CANCELLED
    assert list(unread) == []
    assert len(session.conversation.turns) == 2
    assert told(session) == afresh(cold, session)


@pytest.mark.parametrize("moment", [1, 2, 9])
def test_a_session_survives_an_interrupt_in_the_middle_of_a_step(answerer, cold, films, taught, moment):
    """Ctrl-C between two layers leaves the first with one word more than the second."""
    session = answerer.chat(films[RED])
    session.ask(FIRST).read()
    calls = 0

    def interrupt(*_args):
        nonlocal calls
        calls += 1
        if calls == moment:
            raise KeyboardInterrupt

    hook = taught.model.language_model.layers[1].register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        session.ask(SECOND).read()
    hook.remove()
    session.ask(SECOND).read()
    assert told(session) == afresh(cold, session)


def test_a_question_that_fails_leaves_the_conversation_as_it_was(answerer, films, tmp_path):
    session = answerer.chat(films[RED])
    session.ask(FIRST).read()
    before = session.conversation
    with pytest.raises(PromptError, match="empty"):
        session.ask("   ")
    with pytest.raises(VideoError, match="no such file"):
        session.ask(SECOND, tmp_path / "gone.mp4")
    with pytest.raises(ContextError, match="4,096"):
        session.ask("Why? " * 3000)
    with pytest.raises(OptionError, match="the clip starts at 99 s"):
        answerer.chat(films[RED], start_s=99.0).ask(FIRST)
    assert session.conversation == before
    assert session.ask(SECOND).read().text == ANSWERS[RED, SECOND]


def test_subtitles_stand_between_the_film_and_the_first_question_alone(answerer, films, tmp_path):
    lines = "1\n00:00:00,500 --> 00:00:01,000\nHello there\n\n2\n00:00:02,000 --> 00:00:02,500\nGood bye\n"
    (tmp_path / "lines.srt").write_text(lines)
    session = answerer.chat(films[RED], end_s=1.5, subtitles=tmp_path / "lines.srt")
    session.ask(FIRST).read()
    session.ask(SECOND).read()
    first, second = (turn.text for turn in session.conversation.turns if turn.role is Role.USER)
    assert "Hello there" in first
    assert "0.5" in first
    assert "Good bye" not in first
    assert first.endswith(FIRST)
    assert second == SECOND


def test_a_session_without_a_film_is_only_words(answerer):
    session = answerer.chat()
    assert session.ask(FIRST).preflight.startswith("no film -> ")
    assert session.last.read().times_s == []


def test_what_has_no_name_cannot_be_saved(answerer, tmp_path):
    session = answerer.chat(film(RED).source)
    with pytest.raises(PromptError, match="cannot be saved"):
        session.save(tmp_path / "talk.json")
    with pytest.raises(PromptError, match="cannot be saved"):
        answerer.chat().save(tmp_path / "no folder" / "talk.json")


def test_half_a_character_is_saved_and_what_cannot_be_saved_leaves_what_was(answerer, films, tmp_path):
    path = tmp_path / "talk.json"
    session = answerer.chat(films[RED])
    session.ask("caf\udce9?").read()
    session.save(path)
    assert Session.restore(answerer, path).conversation.turns[0].parts[1] == Text("caf\udce9?")
    for impossible in ("a\0b", "", "~nobodyhere/talk.json"):
        with pytest.raises(PromptError, match="the conversation cannot be saved"):
            session.save(impossible)


def test_a_file_that_is_no_saved_session_is_refused(answerer, films, tmp_path):
    path = tmp_path / "talk.json"
    with pytest.raises(PromptError, match="cannot be read"):
        Session.restore(answerer, path)
    for text in ("", "[]", '{"format": "other"}'):
        path.write_text(text)
        with pytest.raises(PromptError, match="not a saved session"):
            Session.restore(answerer, path)
    session = answerer.chat(films[RED])
    session.ask(FIRST).read()
    session.save(path)
    whole = json.loads(path.read_text())
    for damage in (
        {"films": None},
        {"conversation": [{"role": "pilot", "parts": []}]},
        {"conversation": [{"role": "user", "parts": [{"text": 5}]}]},
        {"conversation": whole["conversation"][1:]},
        {"films": [{**whole["films"][0], "sampler": {"fsp": 2}}]},
    ):
        path.write_text(json.dumps(whole | damage))
        with pytest.raises(PromptError, match="damaged"):
            Session.restore(answerer, path)
