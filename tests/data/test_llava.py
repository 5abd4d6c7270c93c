"""LLaVA's layout is converted when asked for, with its quirks told, and refused where it does not add up."""

import pytest

from kangaroo.data.layout import loads
from kangaroo.data.llava import from_llava
from kangaroo.data.record import DataError, Kind, Medium, Said
from kangaroo.dialogue.conversation import Role

TOLD = {"source": "s", "language": "en", "licence": "unknown", "task": "caption"}
VIDEO, IMAGE = Medium(kind=Kind.VIDEO, path="a.mp4"), Medium(kind=Kind.IMAGE, path="b.png")


def entry(question="<video>\nWhat happens?", **values):
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": "A <video>."}]
    return {"id": "1", "conversations": turns} | values


@pytest.mark.parametrize(
    ("question", "media", "parts"),
    [
        ("<video>\nWhat happens?", {"video": "a.mp4"}, (VIDEO, "What happens?")),
        ("<image>\nWhat happens?", {"video": "a.mp4"}, (VIDEO, "What happens?")),
        ("What happens?\n<image>", {"image": "b.png"}, ("What happens?", IMAGE)),
        ("<image>\n<video>\nSame?", {"video": ["a.mp4"], "image": ["b.png"]}, (IMAGE, VIDEO, "Same?")),
        ("Hello", {}, ("Hello",)),
    ],
)
def test_its_placeholders_become_media_in_their_places(question, media, parts):
    converted = from_llava(entry(question, **media), **TOLD)
    assert converted.turns == (Said(Role.USER, parts), Said(Role.ASSISTANT, ("A <video>.",)))
    assert (converted.id, converted.licence) == ("1", "unknown")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (entry("What?", video="a.mp4"), r"a\.mp4 is shown by no placeholder"),
        (entry(), "no medium is left"),
        (entry("<video>\nWhat?", image="b.png"), r"holds <video> where the next medium, b\.png, is of kind image"),
        (entry(video="../a.mp4"), "does not stay"),
        (entry(video=3), "video is 3, not text"),
        (entry(video="a.mp4", model="x"), "unknown key 'model'"),
        ({"id": 1, "conversations": [{"from": "robot", "value": "x"}]}, "turn 1 is from 'robot'"),
        ({"id": 1, "conversations": [{"from": ["human"], "value": "x"}]}, "turn 1 is from"),
        ({"id": True, "conversations": 3}, "conversations is 3, not a list"),
        (entry("Hello", id=True), "id is True, not text"),
        ([], "not an object"),
    ],
)
def test_what_does_not_add_up_is_refused(values, said):
    with pytest.raises(DataError, match=said):
        from_llava(values, **TOLD)


def test_keys_may_be_ignored_by_name():
    assert from_llava(entry("Hello", model="x"), ignore=["model"], **TOLD).id == "1"


def test_an_id_may_be_a_number():
    assert from_llava(entry("Hello", id=7), **TOLD).id == "7"


def test_the_layout_is_never_guessed():
    with pytest.raises(DataError, match="unknown key 'conversations'"):
        loads(b'{"id": "1", "conversations": []}')
