"""Needles lie where they are said to, among the film's own frames."""

import json

import numpy as np
import pytest
from answerers import Scripted
from layouts import opened
from running import questions, read, run

from kangaroo.chat.remote import RemoteAnswerer
from kangaroo.errors import OptionError
from kangaroo.evaluation.benchmark import Way
from kangaroo.evaluation.haystack import Haystack
from kangaroo.evaluation.table import BENCHMARKS
from kangaroo.video.write import write_video

pytestmark = pytest.mark.usefixtures("measured_once")


def test_a_cell_is_the_films_seconds_with_the_needle_at_its_depth(published, tmp_path):
    data = opened("v-niah", published["v-niah"], tmp_path)
    for frames in (2, 4):
        for depth, place in ((0, 0), (1, frames)):
            cell = data.file(f"{frames}/{depth}/1")
            pictures = [path.resolve() for path in sorted(cell.iterdir())]
            assert len(pictures) == frames + 1
            assert pictures[place].parent.name == "needles"
            hay = [path.name for path in pictures if path.parent.name != "needles"]
            assert hay == [f"{second:05d}.jpg" for second in range(frames)]


def test_every_needle_is_asked_in_every_cell_and_shown_whole(published, tmp_path):
    asked = questions("v-niah", published["v-niah"], tmp_path)
    assert len(asked) == 2 * 2 * 2
    assert {one.num_frames for one in asked} == {3, 5}


def test_the_grid_is_told_as_a_heat_map(published, tmp_path):
    found = Scripted(lambda text, film: "B" if film.startswith("2-") else "x", name="short-sighted")
    values = run(found, "v-niah", published["v-niah"], tmp_path)
    assert values["grid"] == {"0": {"2": 0.5, "4": 0.0}, "1": {"2": 0.5, "4": 0.0}}
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "|  | 2 | 4 |" in text
    assert "background:hsl(60 65% 70%)" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_spoken_answers_are_read_as_letters_or_words(published, tmp_path):
    spoken = Scripted(lambda text, film: "The answer is B." if "cup" in text else "yellow.", name="spoken")
    assert run(spoken, "v-niah-said", published["v-niah-said"], tmp_path)["score"] == 1


def test_a_film_that_is_too_short_or_a_grid_that_is_none_is_refused(published, tmp_path):
    root = published["v-niah"]
    for grid, message in (
        ({"frames": (2, 99)}, "cells of 99 frames need as many seconds"),
        ({"frames": (2,), "depths": (1.5,)}, "depths are 0 to 1"),
        ({"frames": ()}, "make no grid"),
    ):
        with pytest.raises(OptionError, match=message):
            Haystack(root, root / "hay.mp4", source="x", unpacked=tmp_path, **grid)


def test_a_film_of_less_than_a_frame_a_second_is_refused(published, tmp_path):
    pixels = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.full((1, 48, 64, 3), 30, dtype=np.uint8)
    write_video(tmp_path / "slow.mp4", pixels, fps=0.5)
    data = Haystack(published["v-niah"], tmp_path / "slow.mp4", source="x", unpacked=tmp_path, frames=(8,))
    with pytest.raises(OptionError, match=r"slow\.mp4 holds 4 frames from second 0 to 8"):
        data.file("8/0/0")


@pytest.mark.parametrize("name", [name for name, one in BENCHMARKS.items() if one.way is not Way.SAY])
def test_an_endpoint_that_cannot_score_is_refused_before_anything_is_asked(name, published, tmp_path):
    remote = RemoteAnswerer("http://127.0.0.1:9/v1", "any")
    with pytest.raises(OptionError, match="cannot score continuations; load a model here"):
        run(remote, name, published[name], tmp_path)
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize("name", ["v-niah", "seed-bench-video-ranked"])
def test_a_model_here_is_forced_and_ranked_as_it_would_speak(name, published, tiny_answerer, tmp_path):
    """Found is the right answer where a greedy one would begin with it; ranked are options by mean likelihood."""
    run(tiny_answerer, name, published[name], tmp_path, limit=2)
    for line in map(json.loads, (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()):
        likelihoods = line["likelihoods"]
        if name == "v-niah":
            assert len(likelihoods) == 1
            assert bool(line["output"]) == likelihoods[0]["is_greedy"]
        else:
            means = [one["nats"] / one["num_tokens"] for one in likelihoods]
            (own,) = (one for one in questions(name, published[name], tmp_path) if one.id == line["id"])
            assert line["output"] == own.options[means.index(max(means))]
    assert read(tmp_path)["sessions"][0]["weights"] == tiny_answerer.weights_hash
