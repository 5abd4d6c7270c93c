"""A benchmark's films and questions are found in what training would take, whatever became of them on the way."""

import pytest
from layouts import opened

from kangaroo import cli
from kangaroo.data.fingerprints import Fingerprints, Round
from kangaroo.evaluation.prints import fingerprint
from kangaroo.evaluation.table import BENCHMARKS
from kangaroo.video.decode import read_frames
from kangaroo.video.looks import look_hash
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource
from kangaroo.video.write import write_video


def hashes(path):
    found = map(look_hash, read_frames(VideoSource(path), FrameSampler(fps=1.0), size_px=(90, 90)).pixels)
    return [one for one in found if one is not None]


def test_a_film_that_was_encoded_anew_is_found(published, short_film, tmp_path, caplog):
    found = fingerprint(BENCHMARKS["mlvu"], opened("mlvu", published["mlvu"], tmp_path))
    assert "is missing" in caplog.text
    frames = read_frames(VideoSource(short_film), FrameSampler(num_frames=5), size_px=(60, 84))
    write_video(tmp_path / "copy.mp4", frames.pixels, fps=2.0, crf=32)
    assert found.shows(hashes(tmp_path / "copy.mp4")) == 1
    other = (255 - frames.pixels[:, :, ::-1]).copy()
    other[:, ::7] = 0
    write_video(tmp_path / "other.mp4", other, fps=2.0)
    assert found.shows(hashes(tmp_path / "other.mp4")) < 0.3


def test_a_question_is_found_with_its_answer_in_words(published, tmp_path):
    found = fingerprint(BENCHMARKS["egoschema"], opened("egoschema", published["egoschema"], tmp_path))
    copy = Round("What does c do overall in case 2?", "C greens the thing")
    assert found.asks([copy]) == copy
    assert found.asks([Round("What does c do overall in case 2?", "C reds the thing")]) is None


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if not name.startswith("v-niah")])
def test_every_benchmark_has_fingerprints(name, published, tmp_path):
    found = fingerprint(BENCHMARKS[name], opened(name, published[name], tmp_path))
    assert found.films
    assert all(len(film.sha256) == 64 for film in found.films)
    assert any(film.hashes for film in found.films)


def test_the_command_writes_the_file(published, tmp_path, capsys):
    out = tmp_path / "prints" / "ego.json"
    command = ["evaluate", "fingerprint", "egoschema", "--data", str(published["egoschema"]), "--out", str(out)]
    assert cli.run(command) == 0
    assert "ego.json: 5 films" in capsys.readouterr().out
    assert Fingerprints.read(out).benchmark == "egoschema"
    assert cli.run(["evaluate", "fingerprint", "v-niah", *command[3:]]) == 2
