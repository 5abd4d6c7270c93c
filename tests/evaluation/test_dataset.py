"""Finding a data set's tables and films, in folders and archives; nothing else is ever touched."""

import os
import zipfile

import pytest

from kangaroo.errors import OptionError, VideoError
from kangaroo.evaluation.dataset import Dataset


def dataset(root):
    return Dataset(root, source="https://example.org/data", unpacked=root.parent / "unpacked")


def put(path, content=b"film"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_of_films_with_one_name_the_folders_decide(tmp_path):
    first = put(tmp_path / "data" / "one" / "clips" / "a.mp4")
    second = put(tmp_path / "data" / "two" / "clips" / "a.mp4")
    data = dataset(tmp_path / "data")
    assert data.file("two/clips/a.mp4") == data.file("two/clips/a") == second
    assert data.file("one/clips/a.mp4") == first
    assert data.file("elsewhere/clips/a.mp4") in (first, second)


@pytest.mark.parametrize("name", ["../secret", "../secret.mp4", "", "/", ".", "..", "secret.mp4", "a" * 5000, "\0"])
def test_nothing_outside_is_found(tmp_path, name):
    put(tmp_path / "secret.mp4")
    put(tmp_path / "data" / "a.mp4")
    data = dataset(tmp_path / "data")
    assert not data.has(name)
    with pytest.raises(VideoError, match="is missing"):
        data.file(name)


def test_a_film_is_taken_out_of_its_archive_once_whatever_its_name_there(tmp_path):
    (tmp_path / "data").mkdir()
    with zipfile.ZipFile(tmp_path / "data" / "films.zip", "w") as archive:
        archive.writestr("../../evil.mp4", b"evil")
        archive.writestr("videos/b.mp4", b"good")
    data = dataset(tmp_path / "data")
    path = data.file("videos/b")
    assert path.read_bytes() == b"good"
    before = path.stat().st_mtime_ns
    assert data.file("videos/b").stat().st_mtime_ns == before
    assert data.file("evil").read_bytes() == b"evil"
    assert {one.parent for one in (path, data.file("evil"))} == {tmp_path / "unpacked"}
    assert sorted(one.name for one in tmp_path.iterdir()) == ["data", "unpacked"]


def test_archives_of_one_name_in_two_folders_are_kept_apart_and_a_new_one_is_opened_again(tmp_path):
    for folder in ("one", "two"):
        put(tmp_path / "data" / folder / "v.zip")
        with zipfile.ZipFile(tmp_path / "data" / folder / "v.zip", "w") as archive:
            archive.writestr("clips/a.mp4", folder)
    data = dataset(tmp_path / "data")
    assert [data.file(f"{folder}/clips/a.mp4").read_bytes() for folder in ("one", "two")] == [b"one", b"two"]
    with zipfile.ZipFile(tmp_path / "data" / "one" / "v.zip", "w") as archive:
        archive.writestr("clips/a.mp4", "downloaded again")
    assert dataset(tmp_path / "data").file("one/clips/a.mp4").read_bytes() == b"downloaded again"


def test_members_may_be_stored_with_a_dot_before(tmp_path):
    put(tmp_path / "data" / "v.zip")
    with zipfile.ZipFile(tmp_path / "data" / "v.zip", "w") as archive:
        archive.writestr("./clips/a.mp4", b"good")
        archive.writestr("./frames/b/1.jpg", b"picture")
    data = dataset(tmp_path / "data")
    assert data.file("clips/a").read_bytes() == b"good"
    assert [path.name for path in data.file("frames/b").iterdir()] == ["1.jpg"]


def test_linked_folders_are_followed_also_in_a_circle(tmp_path):
    film = put(tmp_path / "elsewhere" / "clips" / "a.mp4")
    own = put(tmp_path / "data" / "own" / "b.mp4")
    for name, target in (("all", tmp_path / "elsewhere"), ("again", tmp_path / "data" / "own")):
        (tmp_path / "data" / name).symlink_to(target)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "data")
    data = dataset(tmp_path / "data")
    assert os.path.samefile(data.file("clips/a"), film)
    assert data.file("b") == own


def test_a_folder_of_pictures_comes_out_whole(tmp_path):
    (tmp_path / "data").mkdir()
    with zipfile.ZipFile(tmp_path / "data" / "frames.zip", "w") as archive:
        for number in range(3):
            archive.writestr(f"frames/clip/{number:03d}.jpg", b"picture")
            archive.writestr(f"frames/clip2/{number:03d}.jpg", b"other")
    folder = dataset(tmp_path / "data").file("frames/clip")
    assert sorted(path.name for path in folder.iterdir()) == ["000.jpg", "001.jpg", "002.jpg"]


def damage(path, mark, offset, content):
    """Put other bytes into an archive, counted from the last place of a mark."""
    data = bytearray(path.read_bytes())
    place = data.rfind(mark) + offset
    data[place : place + len(content)] = content
    path.write_bytes(data)


@pytest.mark.parametrize(
    "changes",
    [[(6, b"\x71")], [(8, b"\x00\x08"), (46, b"\xff")]],
    ids=["version", "name that is no text"],
)
def test_an_archive_with_a_damaged_directory_is_named(tmp_path, changes):
    path = put(tmp_path / "data" / "films.zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.mp4", b"film")
    for offset, content in changes:
        damage(path, b"PK\x01\x02", offset, content)
    with pytest.raises(OptionError, match=r"films\.zip cannot be opened .* https://example"):
        dataset(tmp_path / "data").file("a")


def test_a_broken_archive_is_named(tmp_path):
    put(tmp_path / "data" / "films.zip", b"no archive")
    with pytest.raises(OptionError, match=r"films\.zip cannot be opened .* https://example"):
        dataset(tmp_path / "data").file("a")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_broken_member_is_a_film_that_cannot_be_had(tmp_path, method):
    path = tmp_path / "data" / "films.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.mp4", bytes(range(256)) * 4)
    damage(path, b"PK\x03\x04", 30 + len("a.mp4") + 2, b"\xff" * 38)
    with pytest.raises(VideoError, match="cannot be taken out"):
        dataset(tmp_path / "data").file("a")
    assert not (tmp_path / "unpacked" / "a.mp4").exists()


@pytest.mark.parametrize(
    ("name", "content"), [("t.json", b"{"), ("t.json", b"[" * 200_000), ("t.jsonl", b"{}\n{"), ("t.parquet", b"PAR1no")]
)
def test_a_broken_table_is_named(tmp_path, name, content):
    put(tmp_path / "data" / name, content)
    with pytest.raises(OptionError, match=rf"{name} cannot be read .* https://example"):
        dataset(tmp_path / "data").rows(name)


def test_the_first_pattern_that_matches_gives_the_rows(tmp_path):
    put(tmp_path / "data" / "b-1.jsonl", b'{"n": 1}\n\n{"n": 2}\n')
    put(tmp_path / "data" / "b-2.jsonl", '{"n": "\u2028"}'.encode())
    put(tmp_path / "data" / "c.json", b'[{"n": 3}]')
    data = dataset(tmp_path / "data")
    assert data.rows("a.json", "b-*.jsonl", "c.json") == [{"n": 1}, {"n": 2}, {"n": "\u2028"}]
    assert data.rows("c.json") == [{"n": 3}]


def test_pickles_are_neither_opened_nor_found(tmp_path):
    put(tmp_path / "data" / "video_pkl" / "v0.pkl", b"cos\nsystem\n(S'touch opened'\ntR.")
    data = dataset(tmp_path / "data")
    assert not data.has("v0")
    assert not data.has("video/v0.mp4")
    with pytest.raises(OptionError, match="has no"):
        data.rows("*.json")
