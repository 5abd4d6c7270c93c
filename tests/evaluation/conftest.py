"""A whole benchmark of two films or three, drawn once; and a large one, of which nothing is drawn."""

import pytest

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
