"""A recipe says what it means, or is refused with the place and the nearest name, before anything runs."""

import pytest
from reels import draw_reel, scenes

from kangaroo.cli import run
from kangaroo.curation.engine.listing import find_videos, subject_of
from kangaroo.curation.engine.recipe import Bounds, Machine
from kangaroo.curation.measures.clips import CutSettings
from kangaroo.curation.wiring import read_recipe
from kangaroo.errors import OptionError

HEAD = 'videos = ["films"]\nout = "out"\n'


@pytest.fixture
def read(tmp_path):
    def read_text(text, head=HEAD):
        (tmp_path / "recipe.toml").write_text(head + text)
        return read_recipe(tmp_path / "recipe.toml")

    return read_text


def test_what_is_not_said_is_the_default(read):
    recipe = read("[cut]\nmin_s = 3\n[machine]\nworkers = 4\n[keep.size]\nmin = 300\n")
    assert recipe.steps["cut"] == CutSettings(min_s=3.0)
    assert recipe.machine == Machine(workers=4)
    assert recipe.keep["size"] == Bounds(min=300.0)
    assert recipe.keep["duplicates"] == Bounds(max=0.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[cuts]\n", "did you mean 'cut'"),
        ("[cut]\nmin = 3\n", r"\[cut\] has no 'min'; did you mean 'min_s'"),
        ("[cut]\nmin_s = '3'\n", "give a number"),
        ("[cut]\nmin_s = 99.0\n", "min_s <= max_s"),
        ("[keep.sise]\nmin = 3\n", "did you mean 'size'"),
        ("[keep.size]\nmin = 3\nmax = 2\n", "nothing could be kept"),
        ("[machine]\nworkers = 0\n", "workers is 0"),
        ("[machine]\nworkers = true\n", "give a whole number"),
        ("cut = 3\n", "give a table"),
        ("[look]\nstills_px = 9\n", "stills_px is 9"),
        ("x = \n", "not a recipe"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(read, text, told):
    with pytest.raises(OptionError, match=told):
        read(text)


def test_what_is_missing_is_named(read, tmp_path):
    with pytest.raises(OptionError, match="out is missing"):
        read("", head='videos = ["films"]\n')
    with pytest.raises(OptionError, match="videos is empty"):
        read("", head=HEAD.replace('"films"', ""))
    with pytest.raises(OptionError, match="no such recipe"):
        read_recipe(tmp_path / "gone.toml")


def test_folders_lists_and_globs_name_files_and_nothing_of_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "in/b.MKV", "in/c.txt", "d.dat", "out/media/a.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "list.txt").write_text("# films\na.mp4\n\nin\n")
    found = set(find_videos(["list.txt", "**/*.mp4", "in/**", "d.dat"], outside=tmp_path / "out"))
    assert {path.relative_to(tmp_path).as_posix() for path in found} == {"a.mp4", "d.dat", "in/b.MKV", "in/c.txt"}
    for place, told in (("gone.mp4", "is missing"), ("*.avi", "holds no video"), ("self.txt", "names the list")):
        (tmp_path / "self.txt").write_text("self.txt\n")
        with pytest.raises(OptionError, match=told):
            find_videos([place], outside=tmp_path / "out")


def test_a_changed_file_is_another_subject(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"one")
    first = subject_of(path)
    path.write_bytes(b"other")
    assert subject_of(path) != first
    path.unlink()
    assert subject_of(path) is None


def test_the_verbs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "curate.toml").write_text(HEAD + "[keep.duration]\nmin = 100\n[keep.motion]\nmin = 0\n")
    assert run(["curate", "status", "curate.toml"]) == 2
    assert "nothing ran there yet" in capsys.readouterr().err
    draw_reel(tmp_path / "films" / "a.mp4", scenes(1, 2), seconds=(2.5, 3.5))
    (tmp_path / "films" / "b.mp4").write_bytes(b"nothing")
    assert run(["curate", "curate.toml"]) == 0
    out = capsys.readouterr().out
    assert "0 of 2 clips are kept (0.0%)" in out
    assert "0 records; 1 quarantined, 0 blocked" in out
    assert run(["curate", "what-if", "curate.toml", "--set", "duration.min=3"]) == 0
    assert "1 of 2 clips are kept (50.0%)" in capsys.readouterr().out
    assert run(["curate", "status", "curate.toml"]) == 0
    assert "probe 1 1 0 0 cut 1" in " ".join(capsys.readouterr().out.split())
    assert run(["curate", "retry", "curate.toml"]) == 0
    assert "1 units are taken up again" in capsys.readouterr().out
    assert run(["curate", "what-if", "curate.toml", "--set", "sound.min=3"]) == 2
    assert "did you mean" in capsys.readouterr().err
