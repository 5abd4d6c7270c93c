"""joey behind vLLM, the same joey in this process, and films for both."""

import importlib.util
from pathlib import Path

import pytest
import torch
from served import STARTS_WITHIN_S, serving

import kangaroo
from kangaroo.chat.load import find_folder
from kangaroo.playground.draw import write_film
from kangaroo.playground.script import make_film


def pytest_collection_modifyitems(items):
    missing = importlib.util.find_spec("vllm") is None
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.vllm)
            item.add_marker(pytest.mark.timeout(STARTS_WITHIN_S + 300))
            if missing:
                item.add_marker(pytest.mark.skip(reason="vllm is not installed here; make test-vllm installs it"))


@pytest.fixture(scope="session")
def draw(tmp_path_factory):
    """Write the film of a seed and a length, once, and return its path."""
    folder = tmp_path_factory.mktemp("films")

    def _draw(seed, seconds):
        path = folder / f"{seed}-{seconds:g}.mp4"
        if not path.exists():
            write_film(make_film(seed, duration_s=float(seconds)), path)
        return path

    return _draw


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(find_folder("joey"), tmp_path_factory.mktemp("server"), "--trust-request-mm-kwargs") as server:
        yield server


@pytest.fixture(scope="session")
def joey():
    return kangaroo.load("joey", device="cpu", dtype=torch.float32)
