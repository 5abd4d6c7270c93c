"""What is saved says all that the page shows, and names no folder of this machine."""

import json

from scripted import Scripted
from test_talk import FRAMES, WORDS, ended

from kangaroo.serving.page.films import sample
from kangaroo.serving.page.save import as_json, as_markdown
from kangaroo.serving.page.talk import Talk
from kangaroo.video.sampler import FrameSampler


def told():
    talk = Talk(sample("badger"), Scripted("第3秒，獾出现。", "!").remembering)
    ended(talk.ask("发生了什么？", FRAMES, WORDS))
    ended(talk.ask("And then?\nTell me.", FRAMES, WORDS))
    return talk.rounds


def test_json_holds_each_round_with_its_settings():
    text = as_json(told(), film=sample("badger").open(), model="scripted")
    assert "发生了什么？" in text
    assert str(sample("badger").value.parent) not in text
    saved = json.loads(text)
    assert saved["film"]["name"] == "badger.mp4"
    first, second = saved["rounds"]
    assert first["answer"].strip() == "第3秒，獾出现。"
    assert first["status"] == "done"
    assert FrameSampler.from_dict(first["sampler"]) == FRAMES
    assert first["sampling"]["max_new_tokens"] == 512
    assert second["status"] == "failed"
    assert second["error"] == "the server broke off"


def test_markdown_reads_as_a_conversation():
    text = as_markdown(told(), film=sample("badger").open(), model="scripted")
    assert text.startswith("# badger.mp4\n")
    assert "> And then?\n> Tell me." in text
    assert "第3秒，獾出现。" in text
    assert "the server broke off" in text
