"""Each test on one thread: the network is so small that more only wait for each other."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

# make_golden.py runs as a script too, so what it shares with tests is imported by plain name
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def one_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(before if request.node.get_closest_marker("slow") else 1)
    yield
    torch.set_num_threads(before)
