"""What the training tests share: small stages, and a folder with a tiny network to start from."""

import pytest

from kangaroo.training.curriculum import Stage


@pytest.fixture(scope="session")
def stage():
    return Stage(
        name="small",
        image_size_px=56,
        frames=((1, 0.4), (16, 0.6)),
        batch_frames=32,
        max_films=2,
        conversations=1,
        steps=6,
        learning_rate=(2e-3, 1e-3),
    )


@pytest.fixture
def tiny_network(tiny_tokenizer):
    from kangaroo.training.start import at_random

    return at_random("tiny", tiny_tokenizer, seed=0)[0]


@pytest.fixture(scope="session")
def start_folder(one_thread, tiny_tokenizer, tmp_path_factory):
    from kangaroo.training.run import export
    from kangaroo.training.start import at_random

    folder = tmp_path_factory.mktemp("start")
    export(*at_random("tiny", tiny_tokenizer, seed=0), folder)
    return folder
