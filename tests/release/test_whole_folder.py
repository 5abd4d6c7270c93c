"""A new model's folder is whole or not there, and nothing beside it is touched."""

import resource
from pathlib import Path

import pytest
from converting import convert, why

from kangaroo.cli import run
from kangaroo.errors import ModelError
from kangaroo.release.convert import plan_conversion
from kangaroo.release.model import whole_folder


def test_no_folder_that_is_there_is_written_over(released, tmp_path):
    (tmp_path / "ours").mkdir()
    assert "there already" in why(released(), tmp_path / "ours")


def test_what_stands_beside_the_new_folder_is_never_touched(released, tmp_path):
    source = released().rename(tmp_path / "ours.unfinished")
    convert(source, tmp_path / "ours")
    assert {path.name for path in tmp_path.iterdir()} == {"ours", "ours.unfinished"}
    assert (source / "pytorch_model.bin").is_file()
    (tmp_path / "link").symlink_to("nowhere")
    assert "there already" in why(source, tmp_path / "link")


def test_of_two_that_write_one_folder_the_second_is_told_and_the_first_is_whole(tmp_path):
    late = whole_folder(tmp_path / "ours", num_bytes=0)
    (late.__enter__() / "config.json").touch()
    with whole_folder(tmp_path / "ours", num_bytes=0) as early:
        (early / "weights").touch()
    with pytest.raises(ModelError, match="there already"):
        late.__exit__(None, None, None)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["ours", "ours/weights"]
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_that_is_there_is_told_before_anything_is_fetched(tmp_path, capsys):
    (tmp_path / "ours").mkdir()
    out = str(tmp_path / "ours")
    for verb in (
        ["convert", "nobody/nothing", out],
        ["export", "nobody/nothing", out],
        ["assemble", "--vision", "no.pt", "--language", "nobody/nothing", "--out", out],
    ):
        assert run(verb) == 2
        assert "there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "said"), [("~nobodyhere/ours", "no user '~nobodyhere'"), ("o" * 300, "cannot be written")]
)
def test_a_name_that_no_folder_can_have_is_one_clear_error(tmp_path, monkeypatch, out, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=said), whole_folder(Path(out), num_bytes=0):
        pass
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_at_the_tokenizer_is_told_too(released, tmp_path, monkeypatch):
    monkeypatch.setattr("kangaroo.release.model.NewModel._write_weights", lambda *_: None)
    plan = plan_conversion(released())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, limits[1]))
    try:
        with pytest.raises(ModelError, match=r"cannot be written \(File too large"):
            plan.write(tmp_path / "ours")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_takes_no_more_leaves_nothing(released, tmp_path):
    folder = released()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # no file may grow further
    try:
        said = why(folder, tmp_path / "ours")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "ours: cannot be written" in said
    assert "nothing was left of it" in said


def test_too_little_room_is_said_before_anything_is_written(tmp_path):
    with (
        pytest.raises(ModelError, match="the disk has"),
        whole_folder(tmp_path / "ours", num_bytes=10**18),
    ):
        raise AssertionError("something was written")
    assert not list(tmp_path.iterdir())
