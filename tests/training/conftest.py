"""What the training tests share: small stages, and a folder with a tiny network to start from."""

from dataclasses import replace

import pytest

from kangaroo.playground.rounds import Mixture
from kangaroo.training.curriculum import Drawn, Part, Patchify, Stage
from kangaroo.video.sampler import FrameSampler


@pytest.fixture(scope="session")
def stage():
    """Two films of 16 frames, or more stills, in a row; folds frames as the `tiny` network does."""
    return Stage(
        name="small",
        image_size_px=56,
        sampler=FrameSampler(),
        patchify=Patchify.ON,
        rates=tuple((part, 1e-3) for part in Part),
        context_tokens=512,
        rows=2,
        samples=12,
        data=(Drawn(least_s=3.0, most_s=15.0, rounds=Mixture(num_rounds=2, describe_share=0.0)),),
    )


@pytest.fixture(scope="session")
def start_folder(one_thread, tiny_tokenizer, tmp_path_factory):
    """A model to start from: two layers a side, at random."""
    import torch

    from kangaroo.dialogue.processor import KangarooProcessor
    from kangaroo.model.modeling import KangarooForConditionalGeneration
    from kangaroo.model.presets import tiny
    from kangaroo.training.export import export

    config = tiny(vocab_size=len(tiny_tokenizer))
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("start") / "model"
    export(KangarooForConditionalGeneration(config), KangarooProcessor.for_model(config, tiny_tokenizer), folder)
    return folder


@pytest.fixture
def tiny_network(start_folder):
    from kangaroo.training.start import from_folder

    return from_folder(start_folder)[0]


@pytest.fixture(scope="session")
def several(stage):
    """Three conversations about each film."""
    return replace(stage, data=(replace(stage.data[0], conversations=3),), context_tokens=2048)
