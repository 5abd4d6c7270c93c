"""JSON Lines and shards give the same records in the same order, from any position; hostile files are refused."""

import gzip
import io
import os
import shutil
import tarfile
from dataclasses import replace

import pytest
from folders import draw, film, lines_of, make_folder, record, rewrite, shard_of

from kangaroo.data.jsonl import JsonLines
from kangaroo.data.layout import dumps
from kangaroo.data.record import DataError
from kangaroo.data.shards import Shard
from kangaroo.data.sources import open_source
from kangaroo.data.write import write_jsonl, write_shards


@pytest.fixture(scope="module")
def shards(drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    write_shards(JsonLines(drawn).records(), folder, media=drawn.parent, shard_bytes=40_000)
    return folder


def link(name, target, kind=tarfile.SYMTYPE):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def without_paths(one):
    turns = tuple(
        replace(turn, parts=tuple(p if isinstance(p, str) else p.kind for p in turn.parts)) for turn in one.turns
    )
    return replace(one, turns=turns)


def test_shards_hold_what_the_lines_held_media_included(drawn, shards):
    lines, packed = JsonLines(drawn), open_source(shards)
    assert len(packed) == len(lines) == 20
    assert len(packed.files()) > 2
    for number, (before, after) in enumerate(zip(lines.records(), packed.records(), strict=True)):
        assert without_paths(before) == without_paths(after)
        beside = lines.find(number, before.media[0]).value
        assert packed.find(number, after.media[0]).value == beside.read_bytes()


def test_the_same_records_give_the_same_shards_byte_for_byte(drawn, shards, tmp_path):
    for path in write_shards(JsonLines(drawn).records(), tmp_path, media=drawn.parent, shard_bytes=40_000):
        assert path.read_bytes() == (shards / path.name).read_bytes()


@pytest.mark.parametrize("start", [0, 1, 7, 19, 20])
def test_from_any_position_the_stream_goes_on_as_unbroken(drawn, shards, start):
    for source in (open_source(drawn), open_source(shards), open_source(drawn.parent)):
        assert list(source.records(start)) == list(source.records())[start:]


def test_a_broken_line_breaks_nothing_but_itself_and_is_named(drawn, tmp_path):
    lines = lines_of(drawn)[:4]
    rewrite(tmp_path / "r.jsonl", [lines[0], "", "{broken", lines[2]])
    source = JsonLines(tmp_path / "r.jsonl")
    assert [source.place(number).line for number in range(len(source))] == [1, 3, 4]
    assert source.read(2).id == "film-2"
    with pytest.raises(DataError, match=r"r\.jsonl:3: not JSON"):
        source.read(1)


def test_a_line_without_end_and_a_line_of_megabytes(drawn, tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b" " * 5_000_000 + b"\n" + dumps(record(1)).encode())
    source = JsonLines(path)
    assert source.read(1) == record(1)
    with pytest.raises(DataError, match=r"r\.jsonl:1: the record is larger than 4,194,304 bytes"):
        source.read(0)


def test_files_that_change_under_the_index_are_not_read_on(tmp_path):
    path = tmp_path / "r.jsonl"
    write_jsonl([record(1), record(2)], path)
    source = JsonLines(path)
    write_jsonl([record(1)], path)
    with pytest.raises(DataError, match="when it was indexed"):
        source.read(0)


def test_media_are_found_only_in_the_records_folder(drawn, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(drawn.parent, folder)
    (folder / "films/0.mp4").unlink()
    (folder / "films/1.mp4").unlink()
    os.symlink(draw(tmp_path / "outside.mp4"), folder / "films/1.mp4")
    (folder / "films/2.mp4").unlink()
    (folder / "films/2.mp4").mkdir()
    source = JsonLines(folder / "records.jsonl")
    for number, said in enumerate(["is missing", "leads out of the records' folder", "is a folder"]):
        with pytest.raises(DataError, match=rf"records\.jsonl:{number + 1}: films/{number}\.mp4 .*{said}"):
            source.find(number, source.read(number).media[0])


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("a.mp4", b"x")], r"bad\.tar:a: the sample has no a\.json but a\.mp4"),
        ([("a.json", dumps(record(1, film("a.mp4"))).encode())], r"bad\.tar:a: a\.mp4 is missing from its sample"),
        ([("a.json", dumps(record(1, film("b.mp4"))).encode()), ("b.mp4", b"x")], r"b\.mp4 is missing"),
        ([link("a.json", "/etc/passwd")], "is a link"),
        ([("a.json", dumps(record(1, film("a.mp4"))).encode()), link("a.mp4", "../../secret")], "is a link"),
        ([("a.json", dumps(record(1)).encode()), link("a.mp4", "b", tarfile.LNKTYPE)], "is a link"),
        ([link("a.json", "", tarfile.FIFOTYPE)], "special file"),
        ([("../a.json", dumps(record(1)).encode())], "leads out of the shard"),
        ([("/a.json", dumps(record(1)).encode())], "leads out of the shard"),
        ([("a.json", b"{")], r"bad\.tar:a: not JSON"),
        ([("a.json", b" " * 5_000_000)], "larger than"),
    ],
)
def test_hostile_samples_are_refused_and_the_next_is_read(members, said, tmp_path):
    source = Shard(shard_of(tmp_path / "bad.tar", *members, ("last.json", dumps(record(9)).encode())))
    with pytest.raises(DataError, match=said):
        source.read(0)
    assert source.read(len(source) - 1) == record(9)


def test_shards_of_other_tools_with_folders_and_long_names_are_read(tmp_path):
    key = "folder/" + "n" * 150
    folder = tarfile.TarInfo("folder")
    folder.type = tarfile.DIRTYPE
    text = dumps(record(1, film(f"{key}.mp4"))).encode()
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "long.tar", "w", format=form) as shard:
            for name, data in ((f"{key}.mp4", b"film"), (f"{key}.json", text), ("z.json", dumps(record(2)).encode())):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                shard.addfile(folder)
                shard.addfile(member, io.BytesIO(data))
        source = Shard(tmp_path / "long.tar")
        assert [one.id for one in source.records()] == ["film-1", "film-2"]
        assert source.find(0, source.read(0).media[0]).value == b"film"


def test_a_shard_cut_off_anywhere_is_refused(shards, tmp_path):
    whole = (shards / "00000.tar").read_bytes()
    end = Shard(shards / "00000.tar")._starts[-1]
    for length in (0, 100, 512, 700, len(whole) // 2, end - 512, end):
        (tmp_path / "cut.tar").write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.tar: the shard is cut off or damaged"):
            Shard(tmp_path / "cut.tar")


def test_a_shard_damaged_in_a_header_is_refused(shards, tmp_path):
    data = bytearray((shards / "00000.tar").read_bytes())
    start = int(Shard(shards / "00000.tar")._starts[1])
    data[start : start + 512] = b"\xaa" * 512
    (tmp_path / "hurt.tar").write_bytes(data)
    with pytest.raises(DataError, match=f"what stands at byte {start:,}"):
        Shard(tmp_path / "hurt.tar")


def test_compressed_missing_and_foreign_files_are_refused(drawn, shards, tmp_path):
    packed = gzip.compress((shards / "00000.tar").read_bytes())
    for name in ("a.tar.gz", "a.tar", "a.tgz"):
        (tmp_path / name).write_bytes(packed)
        with pytest.raises(DataError, match=r"compressed .* unpack it"):
            open_source(tmp_path / name)
    with pytest.raises(DataError, match="no such file of records"):
        open_source(tmp_path / "no.jsonl")
    with pytest.raises(DataError, match=r"neither a \.jsonl nor a \.tar"):
        open_source(drawn.parent / "films/0.mp4")
    with pytest.raises(DataError, match=r"holds no \.jsonl"):
        open_source(drawn.parent / "films")


def test_writing_refuses_what_could_not_be_read_and_leaves_no_half_file(drawn, tmp_path):
    with pytest.raises(DataError, match=r"record 'film-1': no\.mp4 is missing"):
        write_jsonl([record(0), record(1, film("no.mp4"))], tmp_path / "a.jsonl")
    with pytest.raises(DataError, match="the id 'film-1' is used twice"):
        write_shards([record(1), record(1)], tmp_path, media=tmp_path)
    with pytest.raises(DataError, match="split it"):
        write_jsonl([record(1, answer="x" * 5_000_000)], tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_medium_shown_twice_is_stored_once(tmp_path):
    make_folder(tmp_path, 1)
    one = record(1, film("films/0.mp4", end_s=1.0), film("films/0.mp4", start_s=1.0), film("films/1.mp4"))
    (path,) = write_shards([one], tmp_path, media=tmp_path)
    with tarfile.open(path) as shard:
        assert shard.getnames() == ["000000000.json", "000000000.0.mp4", "000000000.1.mp4"]
