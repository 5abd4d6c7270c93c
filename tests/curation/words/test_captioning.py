"""joey captions key frames in this process; an endpoint gets each frame once; refining asks nobody."""

import json
from dataclasses import asdict, replace

import pytest
from captioned import captions
from joey_captions import joey, joey_says, key_frames
from talking_endpoint import talking, text_of

from kangaroo.curation.settings import read_settings
from kangaroo.curation.words.asking import BlockedError, ModelSettings, Patience, open_asker
from kangaroo.curation.words.captioning import CaptionerSettings, Captions, RefinedCaptions, caption, refine_captions
from kangaroo.curation.words.refining import Flaw
from kangaroo.errors import OptionError
from kangaroo.playground.vocabulary import Language


def test_joey_captions_five_key_frames_of_the_sample_film_in_both_languages():
    english, chinese = joey_says(Language.EN), joey_says(Language.ZH)
    assert len(english.frames) == len(chinese.frames) == 5
    assert [one.time_s for one in english.frames] == key_frames().times_s.tolist()
    assert all("hexagon" in one.said for one in english.frames)
    assert all("六边形" in one.said for one in chinese.frames)
    assert english.model == "joey"
    assert english.cost.num_tries == 5
    assert english.cost.new_tokens > 50


def test_joey_says_the_same_when_asked_again():
    again = caption(key_frames(), CaptionerSettings(), joey())
    assert again.frames == joey_says(Language.EN).frames


def test_an_endpoint_gets_each_frame_once_as_a_picture_with_the_prompt():
    with talking(lambda _: "A red hexagon.") as talk:
        model = ModelSettings(name="far", endpoint=talk.url)
        settings = CaptionerSettings(model=model, prompt_en="What is this?", prompt_zh="这是什么？")
        told = caption(key_frames(), settings, open_asker(model))
        caption(key_frames(), settings, open_asker(model), language=Language.ZH)
    assert len(talk.asked) == 10
    kinds = [part["type"] for part in talk.asked[0]["messages"][0]["content"]]
    assert kinds == ["image_url", "text"]
    assert {text_of(one) for one in talk.asked} == {"What is this?", "这是什么？"}
    assert (told.captioner, told.model, told.cost.prompt_tokens, told.cost.new_tokens) == ("far", "talker", 35, 15)


def test_a_captioner_that_fails_blocks_the_clip(monkeypatch):
    monkeypatch.setattr("openai._constants.INITIAL_RETRY_DELAY", 0.0)
    with talking(lambda _: 400) as talk:
        model = ModelSettings(name="far", endpoint=talk.url, patience=Patience(num_tries=2, first_wait_s=0.0))
        with pytest.raises(BlockedError, match="far failed"):
            caption(key_frames(), CaptionerSettings(model=model), open_asker(model))


def test_refining_keeps_the_second_of_each_caption_and_says_what_was_rejected():
    refined = refine_captions(captions("a", "The image shows a red car.", "I'm sorry, I cannot see.", "A bus stops."))
    assert refined.told == ((0.0, "A red car."), (20.0, "A bus stops."))
    assert refined.frames[1].refined.rejected is Flaw.REFUSAL


def test_the_unfinished_end_of_a_caption_goes():
    assert refine_captions(captions("a", "A bus stops. A man in a", cut_off=True)).told == ((0.0, "A bus stops."),)


def test_results_survive_being_stored():
    said = joey_says(Language.ZH)
    refined = refine_captions(said)
    assert read_settings(Captions, json.loads(json.dumps(asdict(said))), where="stored") == said
    assert read_settings(RefinedCaptions, json.loads(json.dumps(asdict(refined))), where="stored") == refined


def test_a_prompt_and_nothing_of_the_place_changes_what_captions_depend_on():
    settings = CaptionerSettings(model=ModelSettings(model="qwen", endpoint="http://one/v1"))
    moved = replace(settings, model=replace(settings.model, endpoint="http://two/v1"))
    other = replace(settings, prompt_en="What is this?")
    assert settings.asked(Language.EN) == moved.asked(Language.EN) != other.asked(Language.EN)
    assert settings.asked(Language.ZH) == other.asked(Language.ZH)
    with pytest.raises(OptionError, match="empty prompt"):
        CaptionerSettings(prompt_zh=" ")
