"""What a benchmark asks and shows is found in training data; what everybody asks is not."""

import pytest

from kangaroo.curation.words.leaks import FilmPrint, Fingerprints
from kangaroo.curation.words.templates import Round
from kangaroo.errors import OptionError
from kangaroo.playground.vocabulary import Language
from kangaroo.playground.wording import LETTER_ONLY

ASKED = Round(
    "Which object does the purple giraffe bump into after it leaves the kitchen?\nA. Chair\nB. Bed\n"
    + LETTER_ONLY[Language.EN][0],
    "A",
)
PRINTS = Fingerprints.of(
    "exam",
    films=[FilmPrint(sha256="ab" * 32, hashes=("00ff00ff00ff00ff", "ffffffff00000000"))],
    rounds=[ASKED, Round("紫色的长颈鹿离开厨房以后撞上了什么？", "椅子")],
)


def test_fingerprints_are_read_as_they_were_written(tmp_path):
    PRINTS.write(tmp_path / "exam.json")
    assert Fingerprints.read(tmp_path / "exam.json") == PRINTS
    before = (tmp_path / "exam.json").read_bytes()
    PRINTS.write(tmp_path / "exam.json")
    assert (tmp_path / "exam.json").read_bytes() == before


def test_a_film_of_the_benchmark_is_known_by_its_file():
    assert PRINTS.holds_file("ab" * 32)
    assert not PRINTS.holds_file("cd" * 32)


def test_a_copy_of_a_film_in_another_format_is_known_by_its_pictures():
    assert PRINTS.shows(["00ff00ff00ff00f0", "0123456789abcdef"]) == 0.5
    assert PRINTS.shows(["0f0f0f0f0f0f0f0f"]) == PRINTS.shows([]) == 0.0
    assert Fingerprints.of("texts", films=[], rounds=[]).shows(["00ff00ff00ff00ff"]) == 0.0


@pytest.mark.parametrize(
    "leak",
    [
        ASKED,
        Round("WHICH object does the purple giraffe bump into, after it leaves the kitchen? A) Chair B) Bed", "A."),
        Round("Tell me: which object does the purple giraffe bump into after it leaves the kitchen?", "No idea"),
        Round("紫色的长颈鹿离开厨房以后撞上了什么？", "椅子"),
    ],
)
def test_a_question_of_the_benchmark_is_found_however_it_is_dressed(leak):
    assert PRINTS.asks([Round("What happens?", "A dog runs."), leak]) == leak


def test_another_question_in_the_same_form_is_no_leak():
    other = f"Which object does the dog bump into?\nA. Chair\nB. Bed\n{LETTER_ONLY[Language.EN][0]}"
    assert PRINTS.asks([Round(other, "A"), Round("What happens?", "Chair")]) is None
    plain = Fingerprints.of("exam", films=[], rounds=[Round("What happens?", "A dog.")])
    assert plain.asks([Round("What happens?", "A dog.")]) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 9}', '{"format": 1, "benchmark": "x", "films": [3], "texts": []}']
)
def test_a_file_that_holds_something_else_is_refused(tmp_path, text):
    (tmp_path / "exam.json").write_text(text)
    with pytest.raises(OptionError, match=r"exam\.json"):
        Fingerprints.read(tmp_path / "exam.json")
    with pytest.raises(OptionError, match="cannot be read"):
        Fingerprints.read(tmp_path / "missing.json")
