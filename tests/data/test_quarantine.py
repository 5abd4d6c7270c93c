"""The list of what was bad is read back by the run that goes on, whatever names it holds and wherever it was killed."""

import pytest

from kangaroo.data.quarantine import Bad, Quarantine
from kangaroo.data.record import DataError
from kangaroo.data.sources import Place


def test_the_share_is_judged_only_after_enough_samples(tmp_path):
    quarantine = Quarantine(tmp_path / "q.jsonl")
    bad = [Bad(place=Place(file="a", line=number), id=None, reason="x") for number in range(6)]
    quarantine.count(good=90, bad=bad)
    with pytest.raises(DataError, match="6 of 100 samples are bad"):
        quarantine.count(good=4, bad=[])


def test_a_list_that_a_killed_run_left_half_written_goes_on(tmp_path):
    path = tmp_path / "q.jsonl"
    bad = [Bad(place=Place(file="a", line=number), id=None, reason="x") for number in range(2)]
    Quarantine(path).count(good=1, bad=bad)
    path.write_bytes(path.read_bytes()[:-20])
    Quarantine(path).count(good=1, bad=bad)
    Quarantine(path).count(good=1, bad=bad)
    assert len(path.read_text().splitlines()) == 2
    path.write_text("hello\nworld\n")
    with pytest.raises(DataError, match=r"q\.jsonl:1: not a line of a quarantine list"):
        Quarantine(path)


@pytest.mark.parametrize("name", ["a\u2028b", "a\x85b", "a\nb", "a\udcffb", "袋鼠"])
def test_names_of_any_letters_are_listed_once_and_read_back(name, tmp_path):
    path = tmp_path / "q.jsonl"
    bad = [Bad(place=Place(file="a.tar", member=name), id=name, reason=f"{name} is missing")]
    for _ in range(2):
        Quarantine(path).count(good=1, bad=bad)
    assert path.read_bytes().isascii()
    assert len(path.read_text().splitlines()) == 1


def test_a_list_of_an_older_version_is_read(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text('{"file": "a", "line": null, "member": "x\u2028y"}\n', encoding="utf-8")
    Quarantine(path).count(good=1, bad=[Bad(place=Place(file="a", member="x\u2028y"), id=None, reason="x")])
    assert path.read_bytes().count(b"\n") == 1
