"""A needle is where the grid says, alone of its kind, and in a frame that the model takes."""

import json
import os
from collections import Counter

import numpy as np
import pytest
from answerers import Scripted

from kangaroo.chat.session import OpensSessions
from kangaroo.errors import OptionError
from kangaroo.evaluation.asking import Pace
from kangaroo.evaluation.films import Films
from kangaroo.evaluation.needle import DEPTHS, FRAMES, cells, make_needle
from kangaroo.evaluation.needle_report import draw_grid, evaluate_needle
from kangaroo.evaluation.playground import Part
from kangaroo.playground.questions import Family
from kangaroo.playground.script import make_film
from kangaroo.video.sampler import Align, FrameSampler

SAMPLERS = [FrameSampler(), FrameSampler(align=Align.LEFT), FrameSampler(align=Align.EDGES), FrameSampler(fps=2.0)]


def needle_of(exam, film):
    asked = next(item.question for item in exam.items if item.film == film and item.family is Family.WHERE)
    return next(
        scene
        for scene in exam.films[film].scenes
        if not scene.events and len(scene.things) == 1 and scene.things[0].look.name.en in asked
    )


@pytest.mark.parametrize("sampler", SAMPLERS, ids=["middle", "left", "edges", "2 fps"])
def test_every_needle_is_in_a_frame_that_the_sampler_takes(sampler):
    exam = make_needle(sampler, per_cell=1)
    for place, (film, cell) in enumerate(zip(exam.films, cells(1), strict=True)):
        wanted = sampler.wanted_times(film.duration_s)
        assert len(wanted) == cell.frames
        on_screen = np.floor(wanted * film.fps + 1e-6) / film.fps
        odd = needle_of(exam, place)
        hits = ((on_screen >= odd.start_s) & (on_screen < odd.end_s)).sum()
        assert 1 <= hits <= 2
        assert hits == 2 or sampler.align is not Align.MIDDLE


def test_a_needle_lies_at_its_depth_and_the_film_goes_on_around_it():
    exam = make_needle(FrameSampler(), per_cell=2)
    for place, (film, cell) in enumerate(zip(exam.films, cells(2), strict=True)):
        odd = needle_of(exam, place)
        assert odd.start_s / (film.duration_s - (odd.end_s - odd.start_s)) == pytest.approx(cell.depth, abs=0.05)
        assert film.scenes[0].start_s == 0
        assert film.scenes[-1].end_s == pytest.approx(film.duration_s)
        for scene, following in zip(film.scenes, film.scenes[1:], strict=False):
            assert scene.end_s == following.start_s > scene.start_s


def test_nothing_else_in_the_film_has_the_needles_shape():
    exam = make_needle(FrameSampler(), per_cell=2)
    for place, film in enumerate(exam.films):
        odd = needle_of(exam, place)
        kinds = Counter(thing.look.kind for scene in film.scenes if scene is not odd for thing in scene.things)
        assert odd.things[0].look.kind not in kinds


def test_letters_and_languages_come_in_equal_numbers():
    exam = make_needle(FrameSampler(), per_cell=2)
    lettered = [item for item in exam.items if item.part is Part.LETTERED]
    assert len(exam.items) == 2 * len(lettered) == 8 * len(exam.films) == 8 * 2 * 30
    assert set(Counter(item.expected for item in lettered).values()) == {len(lettered) // 4}
    assert all(len(set(item.options)) == 4 for item in lettered)
    assert len({item.id for item in exam.items}) == len(exam.items)
    assert make_needle(FrameSampler(), per_cell=2).digest() == exam.digest()
    assert make_needle(FrameSampler(), per_cell=2, seed=1).digest() != exam.digest()


@pytest.mark.parametrize("sampler", [FrameSampler(max_frames=64), FrameSampler(num_frames=16)])
def test_a_sampler_that_never_takes_160_frames_is_refused(sampler):
    with pytest.raises(OptionError, match="where the grid wants"):
        make_needle(sampler)


def test_no_film_in_a_cell_is_refused():
    with pytest.raises(OptionError, match="0 films"):
        make_needle(FrameSampler(), per_cell=0)


class Knowing(Scripted, OpensSessions):
    """Knows every answer, but nothing of needles at depth 0.5 in films of 160 frames."""

    frame_sampler = FrameSampler()

    def __init__(self):
        exam = make_needle(self.frame_sampler, per_cell=1)
        where = cells(1)
        known = {}
        for item in exam.items:
            lost = where[item.film].frames == 160 and where[item.film].depth == 0.5
            known[item.question, exam.films[item.film].seed] = "?" if lost else item.expected
        super().__init__(lambda question, film: known[question, int(film.split("-")[0])])

    def remembering(self):
        return self.answer


def test_all_colours_to_choose_from_are_seen_where_the_film_has_four():
    exam = make_needle(FrameSampler(), per_cell=2)
    many = 0
    for item in exam.items:
        if item.family is Family.COLOUR and item.options and item.language == "en":
            things = [thing for scene in exam.films[item.film].scenes for thing in scene.things]
            seen = {thing.look.colour for thing in things}
            elsewhere = {thing.look.colour for thing in things if thing.look.kind_name.en not in item.question}
            if len(elsewhere - {None}) >= 4:
                many += 1
                assert seen.issuperset(item.options)
    assert many > 10


def test_the_grid_shows_what_is_found_where(tmp_path):
    # one short film stands for all: who knows the answers looks at none
    films = Films(tmp_path / "films", sampler=Knowing.frame_sampler)
    one = films.get(make_film(1, duration_s=2.5))
    for film in make_needle(Knowing.frame_sampler, per_cell=1).films:
        os.link(one, films.path(film))
    report = evaluate_needle(Knowing(), tmp_path, per_cell=1, pace=Pace(batch=16))
    for part in ("lettered", "open"):
        own = report.values["parts"][part]
        assert own["score"] == pytest.approx(29 / 30)
        for frames in FRAMES:
            for depth in DEPTHS:
                assert own["grid"][str(frames)][f"{depth:g}"] == (0 if (frames, depth) == (160, 0.5) else 1)
    # `Scripted` claims two frames of every film, and the report does not hide it
    assert report.values["fewer_frames"] == 240
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| 0.5 | 100.0 % | 100.0 % | 100.0 % | 100.0 % | 100.0 % | 0.0 % |" in text
    assert "240 answers saw fewer frames" in text
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["about"]["exam"] == "needle"
    assert (tmp_path / "needle.png").read_bytes()[:4] == b"\x89PNG"


def test_who_does_not_tell_its_frames_is_refused(tmp_path):
    with pytest.raises(OptionError, match="does not tell which frames"):
        evaluate_needle(Scripted(lambda question, film: "A"), tmp_path)


def test_the_heat_map_is_a_picture(tmp_path):
    image = pytest.importorskip("PIL.Image")
    grid = {str(frames): {f"{depth:g}": depth for depth in DEPTHS} for frames in FRAMES}
    draw_grid({"parts": {"lettered": {"grid": grid, "score": 0.5}}}, tmp_path / "map.png")
    pixels = np.asarray(image.open(tmp_path / "map.png").convert("RGB")).reshape(-1, 3)
    reds = ((pixels[:, 0] > 150) & (pixels[:, 1] < 60)).sum()
    greens = ((pixels[:, 1] > 90) & (pixels[:, 0] < 60)).sum()
    assert reds > 1000
    assert greens > 1000
