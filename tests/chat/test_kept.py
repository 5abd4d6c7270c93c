"""A film that was asked about before is neither decoded nor seen again, and what is kept never changes an answer."""

import copy
import hashlib
import subprocess
import sys

import pytest
import torch
from taught import ANSWERS, BLUE, FIRST, RED

from kangaroo import cli
from kangaroo.chat.kept import KeptFilm, KeptFilms, key_of, users_films
from kangaroo.chat.local import LocalAnswerer
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource


@pytest.fixture
def kept(tmp_path):
    return KeptFilms(tmp_path / "kept")


@pytest.fixture
def ask(cold, kept):
    """Ask in what stands for a new process: nothing is known but what the folder holds."""

    def asked(film, question=FIRST, **options):
        return cold(kept=kept).chat(film, **options).ask(question).read()

    return asked


def entries(kept):
    return sorted(path.name for path in kept.folder.glob("*"))


def some_film(value=1.0, tokens=8):
    return KeptFilm(rows=torch.full((tokens, 16), value), times_s=(0.0, 1.5), notes=("cut off",))


def test_who_asks_again_gets_the_same_answer_and_nobody_looks(ask, kept, films, answerer):
    first = ask(films[RED])
    assert first.text == ANSWERS[RED, FIRST] == answerer.chat(films[RED]).ask(FIRST).read().text
    again = ask(films[RED])
    assert (again.text, again.times_s, again.films_seen) == (first.text, first.times_s, 0)
    assert len(entries(kept)) == 1


def test_a_copy_is_the_same_film_and_other_content_or_frames_are_not(ask, kept, films, tmp_path):
    ask(films[RED])
    copied = tmp_path / "copy.mp4"
    copied.write_bytes(films[RED].read_bytes())
    assert ask(copied).films_seen == 0
    assert ask(copied, num_frames=2).films_seen == 1
    copied.write_bytes(films[BLUE].read_bytes())
    assert ask(copied).text == ANSWERS[BLUE, FIRST]
    assert len(entries(kept)) == 3


def test_other_weights_look_themselves(ask, taught, kept, films, tiny_processor):
    ask(films[RED])
    model = copy.deepcopy(taught)
    with torch.no_grad():
        model.model.vision_tower.patch_embed.proj.weight += 0.01
    other = LocalAnswerer(model, tiny_processor, name="taught", kept=kept)
    assert other.chat(films[RED]).ask(FIRST).read().films_seen == 1
    assert len(entries(kept)) == 2


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: b"", lambda content: content + b"x"])
def test_a_damaged_entry_is_dropped_told_and_made_again(damage, ask, kept, films, caplog):
    text = ask(films[RED]).text
    (path,) = kept.folder.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    again = ask(films[RED])
    assert (again.text, again.films_seen) == (text, 1)
    assert "is damaged; the film is seen anew" in caplog.text
    assert ask(films[RED]).films_seen == 0


@pytest.mark.parametrize("content", ["{}", "no JSON", '{"times_s": [0.5], "notes": []}', "rows of another film"])
def test_what_others_wrote_there_is_not_taken_for_the_film(content, ask, kept, films):
    text = ask(films[RED]).text
    (path,) = kept.folder.iterdir()
    if content == "rows of another film":
        kept.put(path.stem, some_film())
    else:
        path.write_bytes(hashlib.sha256(content.encode()).digest() + content.encode())
    again = ask(films[RED])
    assert (again.text, again.films_seen) == (text, 1)
    assert ask(films[RED]).films_seen == 0


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    one = KeptFilms(tmp_path / "one")
    one.put("x", some_film())
    kept = KeptFilms(tmp_path / "kept", max_bytes=3 * (tmp_path / "one" / "x.film").stat().st_size)
    for key in "abc":
        kept.put(key, some_film())
    assert kept.get("a") is not None
    kept.put("d", some_film())
    assert entries(kept) == ["a.film", "c.film", "d.film"]
    kept.put("huge", some_film(tokens=10_000))
    assert entries(kept) == ["a.film", "c.film", "d.film"]
    found = one.get("x")
    assert (found.times_s, found.notes) == ((0.0, 1.5), ("cut off",))
    assert torch.equal(found.rows, some_film().rows)


WRITER = """
import sys, time, torch
from pathlib import Path
from kangaroo.chat.kept import KeptFilm, KeptFilms
kept, number = KeptFilms(Path(sys.argv[1]), max_bytes=20_000), int(sys.argv[2])
until = time.monotonic() + 3
while time.monotonic() < until:
    for key in range(12):
        kept.put(str(key), KeptFilm(rows=torch.full((8, 16), float(key)), times_s=(float(key),), notes=()))
        found = kept.get(str((key + number) % 12))
        assert found is None or (found.rows == found.times_s[0]).all()
print("whole")
"""


def test_processes_share_a_folder(tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for writer in writers:
        out, err = writer.communicate(timeout=60)
        assert (out, err) == ("whole\n", "")


def test_where_nothing_can_be_kept_the_answer_comes_all_the_same(cold, films, tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    answer = cold(kept=KeptFilms(tmp_path / "file" / "kept")).chat(films[RED]).ask(FIRST).read()
    assert answer.text == ANSWERS[RED, FIRST]
    assert "cannot be kept" in caplog.text


def test_every_kind_of_source_has_a_name_of_its_content(films, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for name in ("1.png", "2.png"):
        (folder / name).write_bytes(name.encode())
    names = {key_of(VideoSource(films[RED])), key_of(VideoSource(films[RED].read_bytes())), key_of(VideoSource(folder))}
    (folder / "2.png").write_bytes(b"other")
    names |= {key_of(VideoSource(folder)), key_of(VideoSource(folder), FrameSampler().to_dict())}
    assert len(names) == 5


def test_the_command_keeps_films_where_it_is_told_and_not_where_it_is_told_not_to(folder, films, tmp_path, monkeypatch):
    command = ["chat", str(films[RED]), FIRST, "--model", str(folder), "--device", "cpu"]
    monkeypatch.setenv("KANGAROO_FILMS", "")
    assert users_films() is None
    assert cli.run(command) == 0
    monkeypatch.setenv("KANGAROO_FILMS", str(tmp_path / "kept"))
    assert cli.run([*command, "--no-cache"]) == 0
    assert not (tmp_path / "kept").exists()
    assert cli.run(command) == 0
    assert len(list((tmp_path / "kept").iterdir())) == 1
