"""Records are read strictly and written so that they are read back equal."""

import json

import pytest
from folders import film, record
from hypothesis import given
from hypothesis import strategies as st

from kangaroo.data.layout import MAX_RECORD_BYTES, dumps, from_json, loads, to_json
from kangaroo.data.record import DataError, Kind, Medium, Record, Said
from kangaroo.dialogue.conversation import Role, Text, Video
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

GOOD = to_json(record(1, film("films/a.mp4", start_s=1.0, end_s=2.5)))


def changed(**values):
    return json.dumps(GOOD | values).encode()


def with_medium(**values):
    return changed(media=[{"kind": "video", "path": "a.mp4"} | values])


def test_a_record_reads_like_a_person_writes_it():
    assert GOOD == {
        "id": "film-1",
        "source": "drawn",
        "language": "en",
        "licence": "CC0-1.0",
        "task": "what",
        "media": [{"kind": "video", "path": "films/a.mp4", "start_s": 1.0, "end_s": 2.5}],
        "turns": [
            {"role": "user", "content": "<video>What is in film 1?"},
            {"role": "assistant", "content": "A square."},
        ],
    }


PIECES = st.one_of(
    st.sampled_from(["<video>", "<image>", "多少", " ", "\n", "<vi"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.sampled_from([film("a.mp4"), film("b/c.mp4", end_s=3.0, sampler=FrameSampler(num_frames=8, fps=None))]),
    st.just(Medium(kind=Kind.IMAGE, path="片.png")),
)


@given(st.lists(PIECES, max_size=6), st.floats(0.01, 100))
def test_what_is_written_is_read_back_equal(pieces, weight):
    turns = (Said(Role.USER, (*pieces, "?")), Said(Role.ASSISTANT, ("<video> and <image> are words here",)))
    one = Record(id="1", source="s", language="zh", licence="unknown", task="t", turns=turns, weight=weight)
    assert loads(dumps(one).encode()) == one


def test_a_record_becomes_a_conversation_with_its_clips_and_samplers():
    one = record(1, film("a.mp4", start_s=1.0), film("b.mp4", sampler=FrameSampler(num_frames=2, fps=None)))
    stage = FrameSampler(num_frames=8, fps=None)
    said = one.conversation(lambda medium: VideoSource(f"/films/{medium.path}"), stage).turns[0].parts
    assert said == (
        Video(VideoSource("/films/a.mp4"), FrameSampler(num_frames=8, fps=None, start_s=1.0)),
        Video(VideoSource("/films/b.mp4"), FrameSampler(num_frames=2, fps=None)),
        Text("What is in film 1?"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "not JSON"),
        (b"[]", "not an object"),
        (b'{"id": 1, "id": 2}', "'id' is given twice"),
        (b'{"id": NaN}', "NaN is no JSON number"),
        (b'{"id": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'"\xff"', "not JSON"),
        (b'"\\ud800"', "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * (MAX_RECORD_BYTES + 1), "larger than"),
        (changed(licence=" "), "licence is empty"),
        (changed(id=7), "id is 7, not text"),
        (changed(turn=[]), "unknown key 'turn'; did you mean 'turns'"),
        (json.dumps({"id": "x", "turns": []}).encode(), "lacks source, language, licence, task"),
        (changed(media={}), "media is {}, not a list"),
        (changed(turns="hello"), "turns is 'hello', not a list"),
        (changed(turns=[{"role": "human", "content": "x"}]), "turn 1 has the role 'human'; known: system, user"),
        (changed(turns=[{"role": ["user"], "content": "x"}]), r"turn 1 has the role \['user'\]"),
        (changed(turns=[{"role": "user", "content": 3}]), "turn 1 is 3, not a list"),
        (changed(turns=GOOD["turns"][:1]), "last turn is not the assistant's"),
        (changed(turns=[], media=[]), "no answer to learn"),
        (changed(turns=GOOD["turns"][1:]), "media are listed but the turns show 0"),
        (changed(turns=GOOD["turns"][1:], media=[]), "turn 1 is the assistant's, expected the user's"),
        (changed(media=[]), "turn 1 holds a placeholder <video> but no medium is left"),
        (changed(media=GOOD["media"] * 2), "2 media are listed but the turns show 1"),
        (changed(media=[{"kind": "image", "path": "a.png"}]), "holds <video> where the next medium, a.png, is of kind"),
        (changed(turns=[{"role": "user", "content": [{"type": "movie"}]}]), "has a part"),
        (changed(turns=[{"role": "user", "content": [{"type": "text", "txt": ""}]}]), "did you mean 'text'"),
        (with_medium(kind="audio"), "of kind 'audio'; known: video, image"),
        (with_medium(path="../secret.mp4"), "does not stay in the records' folder"),
        (with_medium(path="a/../../secret.mp4"), "does not stay"),
        (with_medium(path="/etc/passwd"), "does not stay"),
        (with_medium(path="C:\\films\\a.mp4"), "does not stay"),
        (with_medium(path="https://example.org/a.mp4"), "does not stay"),
        (with_medium(path="data:video/mp4;base64,AA"), "does not stay"),
        (with_medium(path="a\0.mp4"), "does not stay"),
        (with_medium(path=""), "does not stay"),
        (with_medium(path="."), "does not stay"),
        (with_medium(start_s=True), "not a number"),
        (with_medium(start_s="1"), "not a number"),
        (with_medium(start_s=-1), "start_s is -1"),
        (with_medium(start_s=3, end_s=2), "ends at 2 s, not after its start at 3 s"),
        (with_medium(end_s=10**400), "beyond any number"),
        (changed(weight="2"), "the weight is '2', not a number"),
        (changed(weight=0), "the weight is 0; give one from 1e-06 to 1e"),
        (changed(weight=1e-60), "the weight is 1e-60; give"),
        (changed(weight=1e39), r"the weight is 1e\+39; give"),
        (with_medium(sampler={"frames": 8}), "no option 'frames'"),
        (with_medium(sampler={"num_frames": 8, "start_s": 1}), "holds a clip"),
        (changed(media=[{"kind": "image", "path": "a.png", "end_s": 1}]), "neither clip nor sampler"),
    ],
)
def test_what_is_no_record_is_refused_in_one_line(text, said):
    with pytest.raises(DataError, match=said) as refused:
        loads(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("role", [Role.SYSTEM, Role.ASSISTANT])
def test_only_the_user_shows_media(role):
    turns = [Said(Role.USER, ("?",)), Said(Role.ASSISTANT, ("!",))]
    turns = [Said(role, (film("a.mp4"),)), *turns] if role is Role.SYSTEM else [turns[0], Said(role, (film("a.mp4"),))]
    with pytest.raises(DataError, match=f"the {role}'s, shows a medium"):
        Record(id="1", source="s", language="en", licence="l", task="t", turns=tuple(turns))


def test_a_sampler_may_name_only_a_count_of_frames():
    values = GOOD | {"media": [{"kind": "video", "path": "a.mp4", "sampler": {"num_frames": 8}}]}
    assert from_json(values).media[0].sampler == FrameSampler(fps=None, num_frames=8)
