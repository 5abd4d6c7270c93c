"""Every word is there in both languages and used."""

import re
from pathlib import Path
from string import Formatter

import pytest

from kangaroo.playground.vocabulary import Language
from kangaroo.serving import page
from kangaroo.serving.page.texts import NAMES, TEXTS, say, say_preflight

SOURCES = [path for path in Path(page.__file__).parent.glob("*.py") if path.name != "texts.py"]


def slots(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("key", TEXTS)
def test_a_text_has_the_same_slots_in_both_languages(key):
    phrase = TEXTS[key]
    assert phrase.en.strip()
    assert phrase.zh.strip()
    assert slots(phrase.en) == slots(phrase.zh)


def test_every_text_is_used_and_there():
    told = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    asked = set(re.findall(r'say\(\s*"(\w+)"', told))
    assert asked <= set(TEXTS)
    assert [key for key in TEXTS if not re.search(f"[\"']{key}[\"']", told)] == []


def test_slots_are_filled():
    assert say("go_to", Language.EN, time="0:01.0") == "Go to 0:01.0"
    assert set(NAMES) == set(Language)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("24 frames over 24.0 s -> 782 tokens", "24.0 秒中的 24 幅画面 → 782 个 token"),
        ("1 frame over 1.0 s and 2 images -> 1,048 tokens", "1.0 秒中的 1 幅画面和2 张图片 → 1,048 个 token"),
        ("no film -> 12 tokens", "没有影片 → 12 个 token"),
        ("16 frames over 3.2 s -> joey", "3.2 秒中的 16 幅画面 → joey"),
    ],
)
def test_the_preflight_line_is_told_in_chinese(line, shown):
    assert say_preflight(line, Language.ZH) == shown


def test_the_preflight_line_in_english_is_the_librarys():
    assert say_preflight("24 frames over 24.0 s -> 782 tokens", Language.EN) == "24 frames over 24.0 s → 782 tokens"
