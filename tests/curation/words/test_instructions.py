"""Records are written by rule or by a model that is read strictly, say who wrote them, and can be trained on."""

import json
import random
import shutil
from dataclasses import asdict

import pytest
from captioned import told
from joey_captions import FILM, joey_says
from talking_endpoint import talking

from kangaroo.curation.settings import read_settings
from kangaroo.curation.words.asking import ModelSettings, open_asker
from kangaroo.curation.words.captioning import refine_captions
from kangaroo.curation.words.instructions import Written, record, write
from kangaroo.curation.words.merging import merge
from kangaroo.curation.words.tasks import InstructSettings, Task
from kangaroo.curation.words.templates import by_rule, details
from kangaroo.data.check import check
from kangaroo.data.fingerprints import Round
from kangaroo.data.record import Kind, Medium
from kangaroo.data.write import write_jsonl
from kangaroo.playground.vocabulary import Language

ENGLISH = merge(
    [
        told("a", "The crab is at the bottom left. A red car waits.", "A red car waits. Three dogs bark."),
        told("b", "A red car waits. The crab is at the bottom left.", "Three dogs bark. A ghost sings."),
    ]
)
CHINESE = merge([told("a", "蟹在左下角。", "红色六边形在正中间。", language=Language.ZH)])
BOTH = {Language.EN: ENGLISH, Language.ZH: CHINESE}
OTHERS = ("A plane lands.", "People dance in a hall.", "A child paints a wall.", "Snow falls on a lake.")


def only(task, **changes):
    return InstructSettings(shares={str(task): 1.0}, **changes)


def test_details_are_asked_only_of_what_captioners_agree_on():
    asked = {detail.round.question: detail.round.answer for detail in details(ENGLISH)}
    assert asked == {
        "Where is the crab?": "At the bottom left.",
        "What colour is the car?": "Red",
        "How many dogs can be seen?": "Three",
    }


def test_a_thing_of_two_colours_is_not_asked_about():
    merged = merge([told("a", "A red hexagon turns.", "A pink hexagon turns.")])
    assert not [one for one in details(merged) if "colour" in one.round.question]


@pytest.mark.parametrize("task", list(Task))
def test_every_task_is_written_from_the_caption_alone(task):
    merged = BOTH[task.language]
    for seed in range(20):
        rounds = by_rule(task, merged, random.Random(seed), others=OTHERS)
        assert len(rounds) == 1 if "rounds" not in task else 2 <= len(rounds) <= 4
        if task is Task.CHOICE:
            (one,) = rounds
            options = dict(line.split(". ", 1) for line in one.question.splitlines()[1:5])
            assert len(set(options.values())) == 4
            assert options[one.answer] in ("Red", "Three")
        else:
            said = merged.text.casefold()
            assert all(one.answer.rstrip(".").casefold() in said or "。" in one.answer for one in rounds)


def test_the_end_is_what_the_last_key_frame_shows():
    asked = {
        one.question: one.answer for seed in range(30) for one in by_rule(Task.SINGLE, ENGLISH, random.Random(seed))
    }
    ends = {answer for question, answer in asked.items() if "end" in question}
    assert ends == {"A red car waits. Three dogs bark."}


def test_a_choice_without_details_takes_wrong_options_from_other_clips():
    merged = merge([told("a", "A man rides a bike.")])
    assert by_rule(Task.CHOICE, merged, random.Random(0)) is None
    (one,) = by_rule(Task.CHOICE, merged, random.Random(0), others=(*OTHERS, "The man is riding a bike."))
    assert "riding" not in one.question
    assert f"{one.answer}. A man rides a bike." in one.question


def test_what_a_clip_cannot_give_is_stood_in_for_and_an_empty_caption_gives_nothing():
    nothing_to_ask = {Language.EN: merge([told("a", "A man rides a bike.")])}
    settings = InstructSettings(shares={"choice": 1000.0, "detailed": 1.0})
    assert [one.task for one in write("clip", nothing_to_ask, settings)] == [Task.DETAILED]
    silent = {Language.EN: merge([told("a", "I'm sorry, I cannot see.")])}
    assert write("clip", silent, settings) == ()


def test_a_clip_gives_the_same_records_every_time_and_as_many_as_wanted():
    settings = InstructSettings(num_records=4)
    assert write("clip", BOTH, settings) == write("clip", BOTH, settings)
    assert len({one.task for one in write("clip", BOTH, settings)}) == 4


WRITTEN = {
    Task.OPEN: {"rounds": [{"question": "What bark?", "answer": "Three dogs."}]},
    Task.CHOICE: {"question": "What bark?", "answer": "Dogs", "wrong": ["Cats", "Cars", "Birds"]},
    Task.ROUNDS_ZH: {
        "rounds": [{"question": "有什么？", "answer": "六边形。"}, {"question": "在哪里？", "answer": "正中间。"}]
    },
}


@pytest.mark.parametrize("task", list(WRITTEN))
def test_a_model_writes_and_the_record_says_so(task):
    with talking(lambda _: f"Sure!\n```json\n{json.dumps(WRITTEN[task])}\n```") as talk:
        settings = only(task, model=ModelSettings(name="writer", endpoint=talk.url))
        (one,) = write("clip", BOTH, settings, open_asker(settings.model))
    assert (one.how, one.problem, one.cost.new_tokens) == ("written by writer", None, 3)
    assert len(talk.asked) == 1
    assert read_settings(Written, json.loads(json.dumps(asdict(one))), where="stored") == one


@pytest.mark.parametrize(
    ("task", "said", "problem"),
    [
        (Task.OPEN, "I would ask about dogs.", "no JSON"),
        (Task.OPEN, '{"rounds": []}', "rounds"),
        (Task.OPEN, '{"rounds": ["x"]}', "no object"),
        (Task.OPEN, '{"rounds": [{"question": "What?", "answer": " "}]}', "no answer"),
        (Task.OPEN, '{"rounds": [{"question": "How many dogs?", "answer": "Four."}]}', "no caption says 4"),
        (Task.OPEN, '{"rounds": [{"question": "有几只狗？", "answer": "三只。"}]}', "another language"),
        (Task.OPEN, '{"rounds": [{"question": "Who?", "answer": "I\'m sorry, I cannot see."}]}', "refusal"),
        (Task.OPEN, '{"rounds": [{"question": "What ba ...', "cut off"),
        (Task.OPEN, '{"rounds": [{"question": "What \\ud800?", "answer": "Four."}]}', "no caption says 4"),
        (Task.OPEN, "[" * 5000, "no JSON"),
        (Task.OPEN, '{"a":' * 5000 + "1" + "}" * 5000, "no JSON"),
        (Task.ROUNDS, '{"rounds": [{"question": "What bark?", "answer": "Dogs."}]}', "2 to 4 rounds"),
        (Task.CHOICE, '{"question": "What?", "answer": "Dogs", "wrong": ["Dog", "Cars", "Birds"]}', "the same"),
        (Task.CHOICE, '{"question": "What?", "answer": "Dogs", "wrong": ["Cars", 3, "Birds"]}', "three wrong"),
    ],
)
def test_what_a_model_writes_wrongly_is_written_by_rule_and_told(task, said, problem):
    with talking(lambda _: said) as talk:
        settings = only(task, model=ModelSettings(name="writer", endpoint=talk.url))
        (one,) = write("clip", BOTH, settings, open_asker(settings.model))
    assert one.how == "written by rule"
    assert problem in one.problem
    assert one.cost.new_tokens == 3


def test_records_of_the_sample_film_pass_the_check(tmp_path):
    shutil.copy(FILM, tmp_path / "film.mp4")
    captions = {language: merge([refine_captions(joey_says(language))]) for language in Language}
    settings = InstructSettings(num_records=9, source="films", licence="CC0-1.0")
    medium = Medium(kind=Kind.VIDEO, path="film.mp4", start_s=0.0, end_s=24.0)
    written = write("abc", captions, settings, others=OTHERS)
    records = [
        record("abc", one, medium, captions=captions[one.task.language], captioners="joey", settings=settings)
        for one in written
    ]
    assert {one.task for one in written} == set(Task)
    assert write_jsonl(records, tmp_path / "records.jsonl") == 9
    report = check(tmp_path)
    assert not report.broken
    assert report.counts["language"] == {"en": 6, "zh": 3}
    assert set(report.counts["source"]) == {"films; captions by joey, merged by rule, written by rule"}


def test_words_that_look_like_placeholders_stay_words(tmp_path):
    shutil.copy(FILM, tmp_path / "film.mp4")
    one = Written(task=Task.OPEN, rounds=(Round("What is <video>?", "A <image>."),), how="written by rule")
    medium = Medium(kind=Kind.VIDEO, path="film.mp4")
    made = record("a", one, medium, captions=ENGLISH, captioners="a, b", settings=InstructSettings())
    write_jsonl([made], tmp_path / "records.jsonl")
    assert not check(tmp_path).broken
