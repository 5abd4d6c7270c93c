"""Files stay short, whole and free of what only one machine knows."""

import re
from collections import Counter

import pytest
from repository import ROOT, own_files, source_files

MAX_LINES = 420
# a table of phrases, read from top to bottom by nobody
TABLES = {"wording.py"}
# whose folder is it? nobody else's; split so that this file passes its own rule
FOREIGN_PATH = re.compile(r"(?<![\w.}~-])/(?:ho" r"me|wo" r"rk|ro" r"ot|Us" r"ers)/[a-z]")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def _text(path):
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@pytest.mark.parametrize("path", source_files(), ids=lambda path: path.name)
def test_a_source_file_is_short(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES or path.name in TABLES, f"{path.name} has {lines} lines; a part of it wants its own file"


def test_no_two_test_files_have_one_name():
    # pytest imports them by it
    names = Counter(path.name for path in own_files() if path.name.startswith("test_") and path.suffix == ".py")
    assert {name: count for name, count in names.items() if count > 1} == {}


def test_no_file_names_a_folder_of_one_machine():
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()[:80]}"
        for path in own_files()
        for line in _text(path).splitlines()
        if FOREIGN_PATH.search(line)
    ]
    assert not found


def test_every_link_between_pages_leads_somewhere():
    pages = [path for path in own_files() if path.suffix == ".md"]
    assert len(pages) > 5
    broken = [
        f"{page.relative_to(ROOT)} -> {link}"
        for page in pages
        for link in LINK.findall(_text(page))
        if not (page.parent / link).exists()
    ]
    assert not broken


def test_the_notice_names_everything_that_others_made():
    notice = (ROOT / "NOTICE").read_text()
    for name in ("sprites.webp", "Fluent Emoji", "Microsoft", "sprites.json", "emojibase-data", "WITHOUT WARRANTY"):
        assert name in notice
