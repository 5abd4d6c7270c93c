"""What a benchmark shows and asks is found again, and nothing else."""

import json

import pytest

from kangaroo.data.fingerprints import FilmPrint, Fingerprints, Round
from kangaroo.errors import OptionError

LETTER = "Answer with the letter only."


ASKED = [
    Round("Why does the tall man in the grey coat run back to the station at the end?", "He forgot his umbrella."),
    Round("你认为视频最后那个穿灰色大衣的人为什么跑回车站去", "他忘了雨伞"),
    Round("How many dogs?", "Two."),
]
FILMS = [FilmPrint(sha256="ab" * 32, hashes=("00000000000000ff", "ffff000000000000")), FilmPrint(sha256="cd" * 32)]


@pytest.fixture
def prints():
    return Fingerprints.of("bench", films=FILMS, rounds=ASKED)


def test_what_is_written_is_read_and_equal_ones_are_equal_bytes(prints, tmp_path):
    prints.write(tmp_path / "one.json")
    again = Fingerprints.read(tmp_path / "one.json")
    assert again == prints
    again.write(tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert not any(word in (tmp_path / "one.json").read_text() for word in ("umbrella", "雨伞"))


def test_a_question_is_found_whatever_its_case_punctuation_and_orders(prints):
    copy = Round(f"Why does the tall man, in the GREY coat, run back to the station at the end? {LETTER}", "he forgot")
    assert prints.asks([Round("Something else that is asked of a film, at some length?", "No."), copy]) == copy
    assert prints.asks([ASKED[1]]) == ASKED[1]


def test_everybodys_words_are_no_leak(prints):
    """A question of few words is no benchmark's own, nor is the order to answer with a letter."""
    assert prints.asks([ASKED[2]]) is None
    order = "Look at the film with care and then do as you are told: answer with one letter"
    theirs = Fingerprints.of("b", films=(), rounds=[Round(f"Which? {order}", "A")], without=(order,))
    assert theirs.asks([Round(f"What? {order}", "B")], without=(order,)) is None


def test_films_are_found_by_file_and_by_picture(prints):
    assert prints.holds_file("cd" * 32)
    assert not prints.holds_file("ef" * 32)
    assert prints.shows(["00000000000000fe", "0f0f0f0f0f0f0f0f"]) == 0.5
    assert prints.shows(["00000000000000fe"], most_bits=0) == 0
    assert prints.shows([]) == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "benchmark": "b", "films": [{}], "texts": []}'])
def test_another_file_is_refused(text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(OptionError, match="holds no fingerprints"):
        Fingerprints.read(tmp_path / "x.json")


def test_a_missing_file_and_another_format_are_told(tmp_path):
    with pytest.raises(OptionError, match="cannot be read"):
        Fingerprints.read(tmp_path / "x.json")
    (tmp_path / "x.json").write_text(json.dumps({"format": 9}))
    with pytest.raises(OptionError, match="of format 9, this reads 1"):
        Fingerprints.read(tmp_path / "x.json")
