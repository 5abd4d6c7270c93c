"""A frame's time becomes sines and cosines by the printed formula or the usual one."""

from math import cos, sin

import pytest
import torch

from kangaroo.model.temporal import temporal_embedding


def entry(time_s: float, i: int, width: int, exponent: str, theta: float) -> float:
    power = i / width if exponent == "per_entry" else 2 * (i // 2) / width
    angle = time_s / theta**power
    return sin(angle) if i % 2 == 0 else cos(angle)


@pytest.mark.parametrize("exponent", ["per_entry", "paired"])
@pytest.mark.parametrize("theta", [10000.0, 500.0])
def test_each_entry_follows_the_formula(exponent: str, theta: float) -> None:
    times = [0.0, 0.25, 7.5, 92.3, 3600.0]
    found = temporal_embedding(torch.tensor(times), width=16, exponent=exponent, theta=theta)
    expected = torch.tensor([[entry(t, i, 16, exponent, theta) for i in range(16)] for t in times])
    torch.testing.assert_close(found, expected, atol=5e-4, rtol=0)


def test_embedding_stays_in_float32() -> None:
    embedding = temporal_embedding(torch.tensor([92.3], dtype=torch.float64), width=8, exponent="paired", theta=1e4)
    assert embedding.dtype == torch.float32
