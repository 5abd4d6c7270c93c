"""A conversation is checked when it is made, and reads the messages that others write."""

import numpy as np
import pytest

from kangaroo.dialogue.conversation import Conversation, Role, Text, Turn, Video
from kangaroo.errors import PromptError, VideoError
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

FILM = Video(VideoSource("film.mp4"))


def test_a_question_puts_films_before_words():
    conversation = Conversation().ask("What happens?", FILM)
    assert conversation.turns == (Turn(Role.USER, (FILM, Text("What happens?"))),)
    assert conversation.videos == (FILM,)


def test_subtitles_stand_between_film_and_question():
    turn = Conversation().ask("Who speaks?", FILM, subtitles="[0.0-2.0] hello").turns[0]
    assert turn.parts[0] == FILM
    assert turn.text == "Subtitles:\n[0.0-2.0] hello\n\nWho speaks?"


def test_an_empty_question_is_refused():
    with pytest.raises(PromptError, match="question is empty"):
        Conversation().ask("  \n")


def test_turns_alternate():
    asked = Conversation().ask("One?")
    assert [turn.role for turn in asked.reply("1").ask("Two?").turns] == ["user", "assistant", "user"]
    with pytest.raises(PromptError, match="turn 2 is spoken by user, expected assistant"):
        asked.ask("Two?")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "video", "video": "film.mp4"},
        {"type": "video", "url": "film.mp4"},
        {"type": "video", "path": "film.mp4"},
        {"type": "image", "image": "film.mp4"},
        {"type": "video_url", "video_url": {"url": "film.mp4"}},
        {"type": "image_url", "image_url": "film.mp4"},
        {"type": "video", "video": VideoSource("film.mp4")},
    ],
)
def test_every_way_to_name_a_film_means_the_same(part):
    messages = [{"role": "user", "content": [{"type": "text", "text": "See: "}, part]}]
    assert Conversation.from_messages(messages).turns[0].parts == (Text("See: "), FILM)


def test_a_part_may_carry_its_sampler_as_plain_values():
    sampler = FrameSampler(num_frames=8)
    part = {"type": "video", "video": "film.mp4", "sampler": sampler.to_dict()}
    assert Conversation.from_messages([{"role": "user", "content": [part]}]).videos[0].sampler == sampler


def test_arrays_are_films_with_times():
    pixels = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    part = {"type": "video", "video": pixels, "times_s": [0.0, 0.5]}
    source = Conversation.from_messages([{"role": "user", "content": [part]}]).videos[0].source
    assert source.value.times_s.tolist() == [0.0, 0.5]
    with pytest.raises(VideoError, match="2 frames come without their times"):
        Conversation.from_messages([{"role": "user", "content": [{"type": "video", "video": pixels}]}])


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ("hello", "message 1 is no object: 'hello'"),
        ({"role": "tool", "content": "x"}, "message 1 has role 'tool'; known roles: system, user, assistant"),
        ({"role": "user"}, "message 1 has no content"),
        ({"role": "user", "content": ["x"]}, "message 1 has a part that is no object: 'x'"),
        ({"role": "user", "content": [{"type": "audio"}]}, "message 1 has a part of type 'audio'"),
        ({"role": "user", "content": [{"type": "text"}]}, "message 1 has a text part without text"),
        ({"role": "user", "content": [{"type": "video"}]}, "names no file, URL or frames"),
    ],
)
def test_malformed_messages_are_named(message, complaint):
    with pytest.raises(PromptError, match=complaint):
        Conversation.from_messages([message])
