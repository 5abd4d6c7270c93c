"""What fails is asked again; what keeps failing blocks, and spares the next ones the waiting."""

from dataclasses import replace

import pytest
from talking_endpoint import talking

from kangaroo.curation.words.asking import BlockedError, ModelSettings, Patience, open_asker
from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import EndpointError, OptionError

QUICK = Patience(num_tries=3, first_wait_s=0.0, longest_wait_s=0.0, rest_s=60.0)
ASKED = Conversation().ask("Who are you?")


@pytest.fixture(autouse=True)
def quick_client(monkeypatch):
    """The client's own two retries wait no seconds."""
    monkeypatch.setattr("openai._constants.INITIAL_RETRY_DELAY", 0.0)
    monkeypatch.setattr("openai._constants.MAX_RETRY_DELAY", 0.0)


def settings(talk, **changes):
    return ModelSettings(name="far", endpoint=talk.url, patience=QUICK, **changes)


def test_an_answer_tells_what_it_cost():
    with talking(lambda _: "Roo. ...") as talk:
        reply = open_asker(settings(talk)).ask(ASKED)
    assert (reply.text, reply.is_cut_off, reply.cost.num_tries) == ("Roo.", True, 1)
    assert (reply.cost.prompt_tokens, reply.cost.new_tokens) == (7, 3)


def test_a_failure_is_asked_again():
    said = iter([400, "", "Roo\ud800."])
    with talking(lambda _: next(said)) as talk:
        reply = open_asker(settings(talk)).ask(ASKED)
        assert (reply.text, reply.cost.num_tries, len(talk.asked)) == ("Roo\ufffd.", 3, 3)


def test_what_keeps_failing_blocks_and_the_next_does_not_wait():
    with talking(lambda _: 400) as talk:
        asker = open_asker(settings(talk))
        with pytest.raises(BlockedError, match=r"far failed 3 times.*refuses the request"):
            asker.ask(ASKED)
        with pytest.raises(BlockedError, match="a moment ago"):
            asker.ask(ASKED)
        assert len(talk.asked) == 3


def test_a_rested_endpoint_is_asked_again():
    with talking(lambda _: 400) as talk:
        asker = open_asker(replace(settings(talk), patience=replace(QUICK, rest_s=0.0)))
        for _ in range(2):
            with pytest.raises(BlockedError, match="far failed"):
                asker.ask(ASKED)
        talk.say = lambda _: "Roo."
        assert asker.ask(ASKED).text == "Roo."


def test_answers_come_in_the_order_of_the_questions():
    with talking(lambda text: f"You said {text}") as talk:
        replies = open_asker(settings(talk)).ask_all([Conversation().ask(f"{number}") for number in range(12)])
    assert [reply.text for reply in replies] == [f"You said {number}" for number in range(12)]


def test_an_endpoint_that_does_not_answer_is_told_at_the_start():
    with talking(lambda _: "Roo.") as talk:
        gone = settings(talk, model="named")
    with pytest.raises(EndpointError, match="cannot be reached"):
        open_asker(gone)


def test_a_key_goes_to_the_endpoint_that_it_is_for_and_to_no_other(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "for openai")
    monkeypatch.setenv("FAR_KEY", "for far")
    with talking(lambda _: "Roo.") as talk:
        open_asker(settings(talk, key_variable="FAR_KEY")).ask(ASKED)
        assert set(talk.keys) == {"Bearer for far"}
        with pytest.raises(OptionError, match="NO_KEY"):
            open_asker(settings(talk, key_variable="NO_KEY"))
        assert set(talk.keys) == {"Bearer for far"}


def test_what_answers_depend_on_is_who_and_how_and_not_where_or_how_patiently():
    one = ModelSettings(name="a", model="qwen", endpoint="http://one/v1")
    moved = replace(one, name="b", endpoint="http://two/v1", at_once=2, timeout_s=5.0, patience=QUICK)
    assert one.asked == moved.asked
    assert one.asked != replace(one, temperature=0.5).asked
    assert replace(one, model=None).asked != replace(moved, model=None).asked


@pytest.mark.parametrize(
    "wrong", [{"name": " "}, {"at_once": 0}, {"timeout_s": 0.0}, {"temperature": -1.0}, {"max_new_tokens": 0}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(OptionError):
        ModelSettings(**wrong)
    with pytest.raises(OptionError):
        Patience(num_tries=0)
