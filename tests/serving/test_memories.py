"""A memory is found again by what was said, and only by the conversation that it belongs to."""

import itertools

import pytest

from kangaroo.chat.answerer import Answer, Sampling
from kangaroo.dialogue.conversation import Conversation, Role, Text, Turn
from kangaroo.serving.memories import Memories


@pytest.fixture
def made():
    return itertools.count(1)


@pytest.fixture
def memories(made):
    def remembering():
        number = next(made)
        return lambda conversation, sampling: Answer(
            stream=iter([f"Reply of {number}. "]), model="m", prompt_tokens=5, new_tokens=5
        )

    return Memories(remembering, max_tokens=40)


def talk(memories, *said):
    """Answer a conversation of texts in alternation, and return the answer's text."""
    conversation = Conversation().ask(said[0])
    for text, role in zip(said[1:], itertools.cycle([Role.ASSISTANT, Role.USER])):
        conversation = Conversation((*conversation.turns, Turn(role, (Text(text),))))
    with memories.lend(conversation) as lent:
        return lent.begin(Sampling()).read().text


def test_a_conversation_that_goes_on_finds_its_memory(memories):
    assert talk(memories, "a") == "Reply of 1. "
    assert talk(memories, "b") == "Reply of 2. "
    assert talk(memories, "a", "Reply of 1.", "and?") == "Reply of 1. "
    assert talk(memories, "a", "Reply of 1.", "and?", "Reply of 1. ", "so?") == "Reply of 1. "
    assert talk(memories, "a", "Reply of 1.", "and?", "Reply of 1. ", "no: so?") == "Reply of 1. "  # told anew


def test_another_conversation_takes_no_memory_of_this_one(memories):
    talk(memories, "a")
    talk(memories, "a", "Reply of 1.", "and?")
    talk(memories, "a", "Reply of 1.", "and?", "Reply of 1.", "so?")
    # they begin alike, but this one would lose what was said since
    assert talk(memories, "a") == "Reply of 2. "
    assert talk(memories, "a", "Reply of 1.", "and?", "Reply of 1.", "so?", "Reply of 1.", "!") == "Reply of 1. "


def test_a_question_that_is_refused_costs_no_memory(memories):
    talk(memories, "a")
    conversation = Conversation().ask("a").reply("Reply of 1.").ask("and?")
    with pytest.raises(ValueError, match="refused"), memories.lend(conversation):
        raise ValueError("refused")
    assert talk(memories, "a", "Reply of 1.", "and?") == "Reply of 1. "


def test_what_was_not_used_for_longest_is_forgotten(memories):
    for said in "abcde":
        talk(memories, said)  # ten tokens each
    assert talk(memories, "a", "Reply of 1.", "?") == "Reply of 6. "
    assert talk(memories, "e", "Reply of 5.", "?") == "Reply of 5. "


def test_a_memory_serves_one_at_a_time(memories):
    talk(memories, "a")
    conversation = Conversation().ask("a").reply("Reply of 1.").ask("?")
    with memories.lend(conversation) as one, memories.lend(conversation) as other:
        assert one.begin(Sampling()).read().text != other.begin(Sampling()).read().text
