"""What the playground's tests share: one renderer."""

import pytest


@pytest.fixture(scope="session")
def renderer(one_thread):
    from kangaroo.playground.render import Renderer

    return Renderer("cpu")
