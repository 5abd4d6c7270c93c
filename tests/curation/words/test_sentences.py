"""Sentences come apart and together again; words say what a sentence tells, in both languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kangaroo.curation.words.sentences import (
    containment,
    content_words,
    join_sentences,
    language_of,
    other_words,
    overlap,
    repetition,
    split_sentences,
    telling_words,
)
from kangaroo.playground.vocabulary import Language


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("A dog runs. It is 2.5 m long! Why?", ["A dog runs.", "It is 2.5 m long!", "Why?"]),
        ("一只狗在跑。它很快！", ["一只狗在跑。", "它很快！"]),
        ("- A dog\n- A cat\n\n1. A bird", ["A dog", "A cat", "A bird"]),
        ("Mr. Smith meets Dr. J. Jones. They talk.", ["Mr. Smith meets Dr. J. Jones.", "They talk."]),
        ('He says "stop!" Then he goes.', ['He says "stop!"', "Then he goes."]),
        (" \n...!? ", []),
    ],
)
def test_a_text_comes_apart_into_sentences(text, sentences):
    assert split_sentences(text) == sentences


@given(st.text(alphabet='ab Z.!?。！\n-*1「狗跑，"', max_size=60))
def test_joined_sentences_come_apart_as_they_were(text):
    once = split_sentences(join_sentences(split_sentences(text)))
    assert split_sentences(join_sentences(once)) == once


def test_words_lose_their_endings_and_small_words_go():
    assert content_words("Two dogs are running") == content_words("2 dog run") == ["2", "dog", "run"]
    assert content_words("红色的球") == ["红色", "色球"]
    assert content_words("The video is of the image") == []


def test_a_text_is_in_the_language_of_most_of_it():
    assert language_of("一只 dog 在草地上跑") is Language.ZH
    assert language_of("A sign says 你好 in large letters") is Language.EN
    assert language_of("123") is Language.EN


def test_numbers_colours_sides_and_negations_tell():
    assert telling_words("Two red balls on the left, not blue") == {"2", "red", "left", "not", "blue"}
    assert telling_words("三只红色的球在左边，不是蓝色") == {"三", "红", "左", "不", "蓝"}
    assert telling_words("草地上有人") == frozenset()
    assert telling_words("蟹在左下角，海狸在正中间") == {"左下", "中"}
    assert telling_words("gray, in the middle") == telling_words("grey, in the center")
    assert other_words("The two red balls are on the left") == ["ball"]
    assert other_words("蟹在左下角") == ["蟹"]


def test_measures_of_likeness():
    assert overlap(["a", "b"], ["b", "c"]) == pytest.approx(1 / 3)
    assert containment(["a", "b"], ["b", "c", "d"]) == 0.5
    assert overlap([], []) == containment([], ["a"]) == repetition(["a"]) == 0.0
    assert repetition(list("abcabcabc")) == pytest.approx(1 - 3 / 7)
