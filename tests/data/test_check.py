"""A check names exactly what is broken, counts the rest, and hangs on nothing."""

import json
import shutil

import pytest
from folders import draw, draw_endless, film, lines_of, make_folder, record, rewrite, shard_of

from kangaroo.data.check import check
from kangaroo.data.jsonl import JsonLines
from kangaroo.data.record import DataError
from kangaroo.data.write import write_jsonl, write_shards
from kangaroo.video.isolate import Limits


@pytest.fixture
def folder(tmp_path):
    path = make_folder(tmp_path / "lines", 6)
    write_shards(JsonLines(path).records(), tmp_path / "shards", media=path.parent)
    lines = [line | {"id": f"{line['id']} again"} for line in lines_of(path)]
    rewrite(path, lines)
    return tmp_path


def test_a_whole_folder_is_counted(folder):
    told = []
    more = [record(90, film("a.mp4", start_s=1.0, end_s=2.0), language="zh", task="choice"), record(91)]
    draw(folder / "more/a.mp4")
    write_jsonl(more, folder / "more/records.jsonl")
    report = check(folder, decode=True, progress=told.append)
    assert report.broken == []
    assert report.num_records == 14 == told[-1]
    assert report.num_media == 3 + 6 + 1  # each clip once, but a shard's samples share none
    assert report.duration_s == pytest.approx(9 * 3.0 + 1.0, abs=0.1)
    assert report.counts["language"] == {"en": 13, "zh": 1}
    assert report.counts["task"] == {"what": 13, "choice": 1}
    assert "14 records, 10 media, 0.01 hours" in str(report)
    assert json.loads(json.dumps(report.to_dict()))["counts"]["source"] == {"drawn": 14}


def test_exactly_what_is_broken_is_listed_with_file_and_line(folder):
    path = folder / "lines/records.jsonl"
    lines = lines_of(path)
    whole = draw(folder / "lines/films/whole.mp4", num_frames=60).read_bytes()
    (folder / "lines/films/cut.mp4").write_bytes(whole[: len(whole) // 2])
    draw_endless(folder / "lines/films/endless.mp4")
    lines[0]["media"][0]["path"] = "films/gone.mp4"
    lines[1]["media"][0]["path"] = "films/cut.mp4"
    lines[2]["media"][0]["start_s"] = 50
    lines[3]["id"] = lines[4]["id"]
    lines[5]["media"][0]["path"] = "films/endless.mp4"
    rewrite(path, [*lines, "{}", lines[1] | {"id": "same film"}])
    (folder / "shards/00001.tar").write_bytes((folder / "shards/00000.tar").read_bytes()[:5000])
    (folder / "shards/00002.tar.gz").write_bytes(b"\x1f\x8b")
    report = check(folder, limits=Limits(time_s=4.0))
    found = [(bad.place.file.removeprefix(f"{folder}/"), bad.place.line) for bad in report.broken]
    records = "lines/records.jsonl"
    assert found == [
        *((records, line) for line in (1, 2, 3, 5, 6, 7, 8)),
        ("shards/00001.tar", None),
        ("shards/00002.tar.gz", None),
    ]
    reasons = [bad.reason for bad in report.broken]
    said = ["is missing", "cut off", "starts at 50 s", "too; rename one", "longer than 4 s", "lacks", "cut off", "cut"]
    assert all(words in reason for words, reason in zip(said, reasons, strict=False))
    assert all(reason.startswith(str(folder)) and "\n" not in reason for reason in reasons)
    assert report.num_records == 7 + 6


def test_damage_inside_a_frame_is_found_only_by_decoding(tmp_path):
    path = make_folder(tmp_path, 1, num_films=1)
    file = draw(tmp_path / "films/0.mp4", num_frames=40)
    data = bytearray(file.read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[middle : middle + 4000] = b"\xff" * 4000
    file.write_bytes(data)
    assert check(path).broken == []
    (bad,) = check(path, decode=True).broken
    assert bad.id == "film-0"
    assert "damaged" in bad.reason or "could not be decoded" in bad.reason


def test_no_record_writes_a_line_of_the_report(tmp_path):
    write_jsonl([record(1, source="s\n0 broken\x1b[2J")], tmp_path / "records.jsonl")
    shard_of(tmp_path / "bad.tar", ("\udcffa\n0 broken.json", b"{"))
    told = str(check(tmp_path)).encode().decode().split("\n")
    assert told[1] == r"source    s\n0 broken\x1b[2J 1"
    assert told[-2].startswith(rf"broken    {tmp_path}/bad.tar:\udcffa\n0 broken: not JSON")
    assert told[-1] == "1 broken"
    assert len(told) == 7


def test_what_is_no_folder_of_records_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        check(tmp_path / "gone")
    with pytest.raises(DataError, match=r"holds no \.jsonl"):
        check(tmp_path)
    shutil.copy(make_folder(tmp_path / "a", 1), tmp_path / "records.jsonl")
    assert len(check(tmp_path / "records.jsonl").broken) == 1  # its media stayed behind
