"""The pages that benchmarks/ writes: every film and answer of the gallery, every cell of the table."""

import importlib.util
from pathlib import Path

import pytest
from PIL import Image

from kangaroo.chat.answerer import Sampling
from kangaroo.evaluation.judge import judge
from kangaroo.evaluation.playground import Part
from kangaroo.playground.questions import Family
from kangaroo.playground.script import Split, make_film
from kangaroo.playground.vocabulary import Language

ROOT = Path(__file__).parents[2]


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def gallery():
    return script("gallery")


def test_a_gallery_shows_both_talks_with_the_truth_and_marks_what_is_wrong(
    gallery, quick_answerer, tmp_path, monkeypatch
):
    monkeypatch.setattr(gallery, "LONGEST", Sampling(max_new_tokens=4))
    gallery.write_gallery(quick_answerer, (1,), tmp_path)
    page = (tmp_path / "gallery.md").read_text(encoding="utf-8")
    film = make_film(1, split=Split.TEST, duration_s=5.0)
    assert "## Seed 1: 5 s" in page
    for language in Language:
        for item in gallery.asked_about(film, language):
            assert f"| {item.question} |" in page
            assert f"| {item.expected} |" in page
    assert "**wrong**" in page  # random weights know nothing
    with Image.open(tmp_path / "pictures" / "gallery" / "01.jpg") as picture:
        assert picture.width == gallery.FRAMES * (gallery.WIDTH_PX + gallery.GAP_PX) - gallery.GAP_PX


def test_talks_are_drawn_from_the_seed_and_who_tells_the_truth_is_right(gallery):
    for seed in gallery.SEEDS[::4]:
        film = make_film(seed, split=Split.TEST, duration_s=float(gallery.SECONDS_A_SEED * seed))
        for language in Language:
            asked = list(gallery.asked_about(film, language))
            assert asked == list(gallery.asked_about(film, language))
            assert asked[0].family is Family.DESCRIBE
            assert len({item.family for item in asked}) == len(asked)
            assert all(judge(item, item.expected).right for item in asked)


def test_the_gallery_in_the_docs_is_whole_and_small(gallery):
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert page.count("## Seed ") == len(gallery.SEEDS) == 12
    assert all(f"(pictures/gallery/{seed:02d}.jpg)" in page for seed in gallery.SEEDS)
    assert sum(path.stat().st_size for path in (ROOT / "docs" / "pictures").rglob("*.*")) < 1_500_000


def test_the_table_counts_right_answers_by_family_language_and_frames():
    shown = {"part": Part.LETTERED, "family": "what", "language": "en", "film": 0}
    lines = [
        {**shown, "num_frames": 64, "score": 1.0},
        {**shown, "num_frames": 64, "score": 0.0, "film": 1},
        {**shown, "num_frames": 16, "score": 1.0, "language": "zh"},
        {**shown, "num_frames": 0, "score": 0.0, "part": Part.NO_FILM},
    ]
    head, _, *rows = script("playground_table").table(lines)
    assert head == "| family | | 16 frames | 64 frames | all | 95 % | without the film |"
    assert len(rows) == 10 * 2 + 3
    english, chinese, both = rows[0], rows[1], rows[-1]
    assert english.startswith("| what | English |  | 1/2 | 1/2 | ")
    assert english.endswith(" | 0/1 |")
    assert chinese.startswith("| what | Chinese | 1/1 |  | 1/1 | ")
    assert both.startswith("| **all** | **both** | 1/1 | 1/2 | 2/3 | ")
