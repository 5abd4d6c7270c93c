"""A whole benchmark of two films or three, drawn once; and a large one, of which nothing is drawn."""

from dataclasses import replace

import pytest
from layouts import write

from kangaroo.evaluation.playground import make_playground


@pytest.fixture(scope="session")
def large():
    return make_playground(num_questions=2000)


@pytest.fixture(scope="session")
def films_folder(tmp_path_factory):
    """Where the small benchmark's films are drawn by whichever test comes first."""
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="session")
def tiny_answerer(one_thread, tmp_path_factory):
    """A model of random weights, of this process."""
    from kangaroo.chat.local import LocalAnswerer
    from kangaroo.training.recipe import Recipe
    from kangaroo.training.start import at_random

    model, processor = at_random(Recipe(out=tmp_path_factory.mktemp("tiny"), curriculum="tiny"))
    return LocalAnswerer(model.eval(), processor, name="tiny")


@pytest.fixture(scope="session")
def quick_answerer(one_thread, tiny_processor):
    """The same with the tokenizer of a few hundred ids, which is soon made."""
    import torch

    from kangaroo.chat.local import LocalAnswerer
    from kangaroo.model.modeling import KangarooForConditionalGeneration
    from kangaroo.model.presets import tiny

    torch.manual_seed(0)
    model = KangarooForConditionalGeneration(tiny(vocab_size=len(tiny_processor.tokenizer)))
    return LocalAnswerer(model.eval(), tiny_processor, name="tiny")


@pytest.fixture(scope="session")
def short_film(tmp_path_factory):
    from kangaroo.playground.draw import write_film
    from kangaroo.playground.script import make_film

    path = tmp_path_factory.mktemp("short") / "film.mp4"
    write_film(replace(make_film(7, duration_s=2.5), width_px=112, height_px=112), path)
    return path


@pytest.fixture(scope="session")
def published(tmp_path_factory, short_film):
    """Every data set, written once."""
    from kangaroo.evaluation.table import BENCHMARKS

    return {name: write(name, tmp_path_factory.mktemp(name), short_film) for name in BENCHMARKS}


@pytest.fixture(scope="session")
def machine():
    from kangaroo.evaluation.machine import describe_machine

    return describe_machine()


@pytest.fixture
def measured_once(machine, monkeypatch):
    """The machine's speed takes half a second to measure; once is enough for a hundred reports."""
    monkeypatch.setattr("kangaroo.evaluation.measure.describe_machine", lambda: machine)
