import json
import random

import numpy as np
import pytest

from kangaroo.errors import OptionError
from kangaroo.playground.draw import draw, facts, write_film
from kangaroo.playground.questions import questions
from kangaroo.playground.script import make_film
from kangaroo.playground.vocabulary import Language
from kangaroo.video.decode import read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource


@pytest.fixture(scope="module")
def shown():
    return make_film(2, duration_s=4.0)


@pytest.fixture(scope="module")
def files(shown, tmp_path_factory):
    return draw(shown, tmp_path_factory.mktemp("drawn") / "new" / "folder")


def test_the_file_holds_the_rendered_frames_at_their_times(renderer, shown, files):
    size = (shown.height_px, shown.width_px)
    read = read_frames(VideoSource(files[0]), FrameSampler(num_frames=shown.num_frames), size_px=size)
    assert len(read) == round(shown.duration_s * shown.fps)
    np.testing.assert_allclose(read.times_s, np.arange(shown.num_frames) / shown.fps, atol=1e-3)
    for start in range(0, len(read), 8):
        moments = shown.frame_times_s[start : start + 8]
        wanted = renderer.draw(shown, moments, height_px=size[0], width_px=size[1]).numpy().astype(float)
        for place, (picture, expected) in enumerate(zip(read.pixels[start : start + 8], wanted, strict=True), start):
            assert abs(picture - expected).mean() < 4, f"frame {place}"


def test_the_films_own_motion_is_in_the_file_and_not_one_picture_repeated(shown, files):
    read = read_frames(VideoSource(files[0]), FrameSampler(num_frames=shown.num_frames), size_px=64)
    assert abs(np.diff(read.pixels.astype(float), axis=0)).mean(axis=(1, 2, 3)).max() > 0.5


def test_the_facts_are_those_of_the_film(shown, files):
    told = json.loads(files[1].read_text(encoding="utf-8"))
    assert told == json.loads(json.dumps(facts(shown)))
    assert [told[name] for name in ("seed", "duration_s", "fps")] == [2, 4.0, shown.fps]
    assert [told["width_px"], told["height_px"]] == [shown.width_px, shown.height_px]
    for scene, described in zip(shown.scenes, told["scenes"], strict=True):
        assert [one["name"]["en"] for one in described["things"]] == [one.look.name.en for one in scene.things]
        assert [one["verb"] for one in described["events"]] == [event.verb.value for event in scene.events]
        for event, one in zip(scene.events, described["events"], strict=True):
            assert one["thing"]["zh"] == scene.things[event.thing].look.name.zh
            assert (one["start_s"], one["end_s"]) == (event.start_s, event.end_s)


def test_the_facts_answer_every_question_of_the_film_in_both_languages(shown, files):
    told = json.loads(files[1].read_text(encoding="utf-8"))["questions"]
    asked = questions(shown, random.Random(shown.seed))
    assert [one["family"] for one in told] == [question.family.value for question in asked]
    for question, one in zip(asked, told, strict=True):
        assert one["answer"] == question.answer._asdict()
        assert set(one["question"]) == {"en", "zh"} == set(Language)
        assert [wrong["en"] for wrong in one["wrong"]] == [wrong.en for wrong in question.wrong]


def test_chinese_is_written_as_it_is_read(files):
    assert "描述" in files[1].read_text(encoding="utf-8")


def test_drawing_twice_gives_the_same_files(shown, files, tmp_path):
    write_film(shown, tmp_path / "again.mp4")
    assert (tmp_path / "again.mp4").read_bytes() == files[0].read_bytes()


@pytest.mark.parametrize(("seed", "duration_s"), [(3, 2.5), (4, 17.31), (5, 37.4)])
def test_a_file_of_the_frames_a_sampler_takes_gives_it_those_of_the_whole_film(tmp_path, seed, duration_s):
    film, sampler = make_film(seed, duration_s=duration_s), FrameSampler()
    write_film(film, tmp_path / "seen.mp4", sampler=sampler)
    seen = VideoSource(tmp_path / "seen.mp4")
    read, length_s = read_frames(seen, sampler, size_px=64), film.num_frames / film.fps
    wanted = np.floor(sampler.wanted_times(length_s) * film.fps + 1e-6) / film.fps
    np.testing.assert_allclose(read.times_s, wanted, atol=1e-6)
    assert seen.open().duration_s == pytest.approx(length_s)
    assert seen.open().num_frames <= len(wanted) + 2


def test_a_place_that_cannot_be_written_is_one_clear_error(shown, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "taken" / "facts.json").mkdir(parents=True)
    for folder in ("file", "file/x", "taken"):
        with pytest.raises(OptionError, match=r"cannot be written .*; name another folder"):
            draw(shown, tmp_path / folder)
    assert not list(tmp_path.rglob("*.mp4"))
