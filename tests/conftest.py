"""Fixtures that several parts share: one thread, and a tokenizer and a processor small enough to make in every run."""

import os

import hypothesis
import pytest

from tiny_texts import TEXTS

# a busy machine is no fault of what is tested
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


# nothing of a run is kept for the next one
os.environ["KANGAROO_FILMS"] = ""


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Sums in one order, whatever the machine; and workers that share its cores do not wait for one another."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_tokenizer():
    """A trained tokenizer of a few hundred ids."""
    from kangaroo.dialogue.tokenizer import train_tokenizer

    return train_tokenizer(TEXTS * 4, vocab_size=512)


@pytest.fixture(scope="session")
def tiny_processor(tiny_tokenizer):
    """The processor of the `tiny` preset: films of 56 px, four placeholders for each pair of frames."""
    from kangaroo.dialogue.processor import KangarooProcessor
    from kangaroo.model.presets import tiny

    return KangarooProcessor.for_model(tiny(vocab_size=len(tiny_tokenizer)), tiny_tokenizer)
