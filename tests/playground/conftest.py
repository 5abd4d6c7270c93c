"""What the playground's tests share: one thread, and one renderer."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def renderer(one_thread):
    from kangaroo.playground.render import Renderer

    return Renderer("cpu")
