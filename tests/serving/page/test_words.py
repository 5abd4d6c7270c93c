"""Moments become links, and nothing else that somebody wrote does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kangaroo.serving.page.words import clock, linked, plain

MOMENTS = {
    "At 3 seconds, the crab appears.": "At [3 seconds](#t=3), the crab appears.",
    "At 1 second.": "At [1 second](#t=1).",
    "第3秒，螃蟹出现。": "[第3秒](#t=3)，螃蟹出现。",
    "在 5.5 秒": "在 [5.5 秒](#t=5.5)",
    "from 2s to 4.5s": "from [2s](#t=2) to [4.5s](#t=4.5)",
    "seen at 0:07": r"seen at [0\:07](#t=7)",
    "at 00:01:02.5 it ends": r"at [00\:01\:02.5](#t=62.5) it ends",
    "1 minute and 5 seconds in": "[1 minute and 5 seconds](#t=65) in",
    "1分5秒": "[1分5秒](#t=65)",
    "第 12 秒": "[第 12 秒](#t=12)",
}


@pytest.mark.parametrize(("said", "shown"), MOMENTS.items())
def test_a_moment_is_a_link(said, shown):
    assert linked(said, duration_s=100.0) == shown


@pytest.mark.parametrize("said", ["3 circles", "16:9", "version 1.2.3 s", "5 sheep", "12:345", "turns pink 2 times"])
def test_other_numbers_are_not(said):
    assert "#t=" not in linked(said, duration_s=100.0)


def test_a_moment_after_the_end_is_not():
    assert linked("At 25 seconds", duration_s=24.0) == "At 25 seconds"


def test_a_picture_has_no_moments():
    assert "#t=" not in linked("at 3 seconds", duration_s=0.0)


@pytest.mark.parametrize(
    "said",
    ["![x](http://evil.example/a.png)", "[here](javascript:alert(1))", "<img src=x>", "$x$", ":red[x]", "\\[x](y)"],
)
def test_a_model_cannot_write_links_pictures_or_html(said):
    shown = linked(said, duration_s=10.0)
    for mark in "[]<>$":
        assert shown.count(mark) == shown.count(f"\\{mark}")


def test_a_models_emphasis_and_lists_stay():
    assert linked("- **one**\n- two", duration_s=10.0) == "- **one**\n- two"


@given(st.text())
def test_plain_words_hold_no_markdown(text):
    shown = plain(text).replace("\\\\", "")
    for mark in "`*_[]<>#$|~:":
        assert shown.count(mark) == shown.count(f"\\{mark}")


@pytest.mark.parametrize(
    ("second", "shown"), [(0.0, "0:00.0"), (5.55, "0:05.5"), (59.96, "1:00.0"), (62.5, "1:02.5"), (3600.0, "60:00.0")]
)
def test_a_clock(second, shown):
    assert clock(second) == shown
