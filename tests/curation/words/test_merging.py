"""One caption out of several, each sentence with those who say so; what nobody says is cut."""

import json
import random
from dataclasses import asdict

import pytest
from captioned import told
from joey_captions import joey_says
from talking_endpoint import talking

from kangaroo.curation.settings import read_settings
from kangaroo.curation.words.asking import ModelSettings, open_asker
from kangaroo.curation.words.captioning import refine_captions
from kangaroo.curation.words.merging import Lone, Merged, MergeSettings, merge
from kangaroo.curation.words.sentences import split_sentences
from kangaroo.errors import OptionError
from kangaroo.playground.script import make_film
from kangaroo.playground.telling import describe
from kangaroo.playground.vocabulary import Language

THREE = (
    told("a", "A red car waits.", "The red car drives off. A dog barks."),
    told("b", "A red car is waiting at a light.", "The car drives off."),
    told("c", "The image shows a red car.", "Two dogs sleep. The red car drives away."),
)


def test_each_thing_is_told_once_in_order_with_those_who_say_so():
    merged = merge(THREE)
    assert merged.text.startswith("A red car waits.")
    makers = {claim.text: claim.captioners for claim in merged.claims}
    assert makers["A red car waits."] == ("a", "b")
    assert makers["A dog barks."] == ("a",)
    assert makers["Two dogs sleep."] == ("c",)
    assert {claim.text for claim in merged.lone} >= {"A dog barks.", "Two dogs sleep."}
    assert not set(merged.lone) & set(merged.sure)
    assert 0 < merged.agreement < 1
    assert merged.how == "merged by rule"


def test_the_same_place_or_colour_does_not_confirm_another_thing():
    merged = merge(
        [told("a", "The crab is at the bottom left."), told("b", "The hibiscus is at the bottom left. Two.")]
    )
    assert [claim.captioners for claim in merged.claims] == [("a",), ("b",), ("b",)]
    chinese = merge(
        [told(one, said, language=Language.ZH) for one, said in (("a", "海狸在正下方。"), ("b", "猛犸在正下方。"))]
    )
    assert [claim.captioners for claim in chinese.claims] == [("a",), ("b",)]


def test_lone_claims_go_where_they_are_not_wanted():
    merged = merge(THREE, MergeSettings(lone=Lone.DROP))
    assert "bark" not in merged.text
    assert "A dog barks." in {claim.text for claim in merged.dropped}
    assert not merged.lone


def test_a_claim_knows_the_frames_that_show_it():
    (red, blue) = merge([told("a", "A red ball.", "A red ball. A blue box.", "A blue box.")]).claims
    assert red.times_s == (0.0, 10.0)
    assert blue.times_s == (10.0, 20.0)


def test_with_one_captioner_nothing_is_agreed_and_everything_may_be_asked():
    merged = merge([told("a", "A red car waits.")])
    assert merged.claims == merged.lone == merged.sure
    assert merged.agreement == 0


def test_a_model_merges_and_what_no_captioner_says_is_cut():
    with talking(lambda _: "A red car waits and then drives off. A blue truck explodes.") as talk:
        settings = MergeSettings(model=ModelSettings(name="writer", endpoint=talk.url))
        merged = merge(THREE, settings, open_asker(settings.model))
    assert merged.text == "A red car waits and then drives off."
    assert [claim.text for claim in merged.dropped] == ["A blue truck explodes."]
    assert merged.how == "merged by writer"
    assert (merged.cost.prompt_tokens, merged.cost.new_tokens) == (7, 3)
    (asked,) = talk.asked
    listing = asked["messages"][0]["content"][-1]["text"].split("\n\n")[1]
    assert listing.splitlines()[:5] == [
        "[0.0 s]", "1: A red car waits.", "2: A red car is waiting at a light.", "3: A red car.", "[10.0 s]",
    ]  # fmt: skip


def test_where_nobody_said_anything_no_model_is_asked_and_nothing_is_told():
    with talking(lambda _: "Nonsense.") as talk:
        settings = MergeSettings(model=ModelSettings(name="writer", endpoint=talk.url))
        merged = merge([told("a", "I'm sorry, I cannot see.")], settings, open_asker(settings.model))
        assert not talk.asked
    assert (merged.text, merged.claims, merged.rejected) == ("", (), None)


def test_joeys_chinese_captions_become_one():
    merged = merge([refine_captions(joey_says(Language.ZH))])
    assert merged.language is Language.ZH
    assert "六边形" in merged.text
    assert len(set(split_sentences(merged.text))) == len(merged.claims)
    assert read_settings(Merged, json.loads(json.dumps(asdict(merged))), where="stored") == merged


@pytest.mark.parametrize("language", list(Language))
def test_what_one_captioner_invents_is_marked_and_what_both_see_is_not(language):
    """Films of known content: the second captioner puts a sentence of another film in place of one in four."""
    invented = agreed = invented_marked = agreed_marked = 0
    for seed in range(40):
        rng = random.Random(seed)
        own, other = (split_sentences(getattr(describe(make_film(one)), language)) for one in (seed, seed + 5000))
        changed = [one if rng.random() > 0.25 else rng.choice(other) for one in own]
        sees = [told(name, *said, language=language) for name, said in (("a", own), ("b", changed))]
        lies = {told("b", one, language=language).told[0][1] for one in changed if one not in own}
        truths = {told("b", one, language=language).told[0][1] for one in changed if one in own}
        for claim in merge(sees).claims:
            text, is_lone = claim.text, len(claim.captioners) == 1
            invented += text in lies
            invented_marked += text in lies and is_lone
            agreed += text in truths
            agreed_marked += text in truths and is_lone
    assert invented > 20
    assert invented_marked / invented >= 0.97
    assert agreed_marked / agreed <= 0.01


def test_impossible_settings_are_refused():
    with pytest.raises(OptionError, match="support"):
        MergeSettings(support=0.0)
    with pytest.raises(OptionError, match="prompt"):
        MergeSettings(prompt_en="")
