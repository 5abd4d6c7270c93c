"""What a captioner should not have said goes and is told; what it saw stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kangaroo.curation.words.refining import Flaw, RefineSettings, refine
from kangaroo.curation.words.sentences import split_sentences
from kangaroo.errors import OptionError
from kangaroo.playground.script import make_film
from kangaroo.playground.telling import describe

SAID = [
    "Two on the left.",
    "A man rides a bike.",
    "The man is riding a bike.",
    "Two women watch him.",
    "Three women watch him.",
    "The image shows a red car.",
    "First, the crab is at the bottom left.",
    "一只狗在草地上跑。",
    "图片中有一只狗在草地上跑步。",
    "狗是棕色的。",
    "I'm sorry, I cannot see the image.",
    "Let me know if you need more.",
    "希望这对你有帮助。",
]


def test_a_repeat_goes_and_says_what_it_repeats():
    refined = refine("A man rides a bike down the street. The man is riding a bike. Two women watch him.")
    assert refined.text == "A man rides a bike down the street. Two women watch him."
    (cut,) = refined.removed
    assert (cut.flaw, cut.like) == (Flaw.REPEATED, "A man rides a bike down the street.")
    assert cut.score >= 0.85


def test_chinese_repeats_are_found_by_pairs_of_characters():
    refined = refine("一只狗在草地上跑。图片中有一只狗在草地上跑步。狗是棕色的。")
    assert refined.text == "一只狗在草地上跑。狗是棕色的。"
    assert Flaw.REPEATED in {cut.flaw for cut in refined.removed}


@pytest.mark.parametrize(
    "text",
    [
        "The red ball is on the left. The blue ball is on the left.",
        "Two women watch the game. Three women watch the game.",
        "The crab is on the left. The crab is on the right.",
        "红色的球在左边。红色的球在右边。",
    ],
)
def test_another_number_colour_or_side_is_no_repeat(text):
    assert refine(text).text == text


@pytest.mark.parametrize(
    ("text", "rejected"),
    [
        ("I'm sorry, I can't help with that.", Flaw.REFUSAL),
        ("As a language model I see nothing.", Flaw.REFUSAL),
        ("很抱歉，我无法查看图片。", Flaw.REFUSAL),
        ("作为一个人工智能，我看不到。", Flaw.REFUSAL),
        ("The image shows.", Flaw.SHORT),
        ("", Flaw.SHORT),
        ("cat sat mat " * 20, Flaw.REPETITIVE),
    ],
)
def test_a_caption_that_is_worth_nothing_is_rejected(text, rejected):
    refined = refine(text)
    assert (refined.text, refined.rejected) == ("", rejected)


def test_boilerplate_goes_and_what_it_was_about_stays():
    refined = refine("Sure! Here is a description:\nIn this image, we can see a dog on a beach. I hope this helps.")
    assert refined.text == "A dog on a beach."
    assert [cut.flaw for cut in refined.removed] == [Flaw.BOILERPLATE] * 4


def test_the_unfinished_end_of_a_caption_that_was_cut_off_goes():
    text = "A dog runs on a beach. Behind it a man in a bl"
    assert refine(text, is_cut_off=True).text == "A dog runs on a beach."
    assert refine(text).text == f"{text}."


@given(st.lists(st.sampled_from(SAID), max_size=8))
def test_refining_twice_is_refining_once_and_invents_nothing(said):
    refined = refine(" ".join(said))
    assert refine(refined.text).text == refined.text
    assert all(any(left.lower() in one.lower() for one in said) for left in split_sentences(refined.text))


def test_nothing_is_cut_from_descriptions_in_which_every_sentence_tells_something():
    for seed in range(40):
        description = describe(make_film(seed))
        for text in description:
            refined = refine(text)
            assert refined.rejected is None
            assert {cut.flaw for cut in refined.removed} <= {Flaw.BOILERPLATE}


@pytest.mark.parametrize(
    "wrong", [{"max_overlap": 0.0}, {"max_containment": 1.1}, {"max_repetition": -1.0}, {"min_words": 0}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        RefineSettings(**wrong)
