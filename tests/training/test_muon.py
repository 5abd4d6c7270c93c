import copy

import pytest
import torch
from torch import nn

from kangaroo.training.muon import Muon, orthogonalised

SHAPES = ((24, 24), (24, 24), (48, 16), (16, 48), (8, 8))


def parameters(*, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in SHAPES]


def test_many_steps_equal_those_of_torchs_own_muon():
    ours = parameters()
    theirs = copy.deepcopy(ours)
    one = Muon(ours, lr=0.02, weight_decay=0.05)
    other = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    generator = torch.Generator().manual_seed(1)
    for step in range(6):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        for optimizer in (one, other):
            optimizer.param_groups[0]["lr"] = 0.02 / (step + 1)
            optimizer.step()
        for a, b in zip(ours, theirs, strict=True):
            # both orthogonalise in bfloat16, where the order of a sum shows
            torch.testing.assert_close(a, b, rtol=0, atol=2e-4)


def test_a_matrix_without_a_gradient_stays():
    weights = parameters()
    before = copy.deepcopy(weights)
    weights[0].grad = torch.ones_like(weights[0])
    Muon(weights, lr=0.1).step()
    assert not torch.equal(weights[0], before[0])
    for weight, old in zip(weights[1:], before[1:], strict=True):
        assert torch.equal(weight, old)


@pytest.mark.parametrize("shape", [(3, 32, 32), (2, 64, 16), (2, 16, 64)])
def test_updates_are_nearly_orthogonal(shape):
    update = orthogonalised(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    assert update.shape == shape
    values = torch.linalg.svdvals(update.float())
    assert values.median() == pytest.approx(1, abs=0.2)
    assert values.max() < 1.3


def test_a_step_is_as_large_as_one_of_adamw():
    weight = nn.Parameter(torch.zeros(64, 32))
    weight.grad = 1e-5 * torch.randn(64, 32, generator=torch.Generator().manual_seed(0))
    Muon([weight], lr=1.0, weight_decay=0.0).step()
    # the rounds leave singular values somewhere about 1
    assert weight.detach().square().mean().sqrt().item() == pytest.approx(0.2, rel=0.2)


def test_saved_momentum_goes_on():
    ours = parameters()
    optimizer = Muon(ours, lr=0.01)
    for weight in ours:
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    loaded = copy.deepcopy(ours)
    other = Muon(loaded, lr=0.01)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, two in zip(ours, loaded, strict=True):
        one.grad = two.grad = torch.eye(*one.shape)
    optimizer.step()
    other.step()
    for one, two in zip(ours, loaded, strict=True):
        assert torch.equal(one, two)
