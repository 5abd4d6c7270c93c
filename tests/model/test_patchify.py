"""Folding equals PyTorch's own convolutions and poolings, at any grid."""

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from kangaroo.model.patchify import Patchify

FIRST = "group frame row column vision -> group vision frame row column"
LAST = "group vision 1 row column -> group row column vision"


@pytest.fixture
def features() -> Tensor:
    return torch.randn(3, 2, 6, 4, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ["depthwise", "dense"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kernel", [(2, 2, 2), (2, 3, 1)])
def test_folding_equals_a_strided_convolution(features: Tensor, kind: str, bias: bool, kernel: tuple) -> None:
    patchify = Patchify(8, kernel=kernel, kind=kind, bias=bias)
    expected = rearrange(patchify.conv(rearrange(features, FIRST)), LAST)
    torch.testing.assert_close(patchify(features), expected)


def test_average_equals_average_pooling(features: Tensor) -> None:
    expected = rearrange(F.avg_pool3d(rearrange(features, FIRST), 2), LAST)
    torch.testing.assert_close(Patchify(8, kernel=(2, 2, 2), kind="average")(features), expected)


def test_none_keeps_every_patch(features: Tensor) -> None:
    single = features[:, :1]
    torch.testing.assert_close(Patchify(8, kernel=(1, 1, 1), kind="none")(single), single[:, 0])


def test_a_grid_that_the_kernel_does_not_divide_repeats_its_edge(features: Tensor) -> None:
    odd = features[:, :, :5, :3]
    filled = torch.cat([odd, odd[:, :, -1:]], dim=2)
    filled = torch.cat([filled, filled[:, :, :, -1:]], dim=3)
    patchify = Patchify(8, kernel=(2, 2, 2))
    torch.testing.assert_close(patchify(odd), patchify(filled))


def test_norm_follows_the_fold(features: Tensor) -> None:
    folded = Patchify(8, kernel=(2, 2, 2), norm="layer_norm")(features)
    torch.testing.assert_close(folded.mean(dim=-1), torch.zeros(3, 3, 2), atol=1e-5, rtol=0)


def test_half_precision_adds_up_in_float32(features: Tensor) -> None:
    patchify = Patchify(8, kernel=(2, 2, 2)).to(torch.bfloat16)
    exact = Patchify(8, kernel=(2, 2, 2))
    exact.load_state_dict({name: weight.float() for name, weight in patchify.state_dict().items()})
    coarse = features.to(torch.bfloat16)
    folded = patchify(coarse)
    assert folded.dtype == torch.bfloat16
    assert torch.equal(folded, exact(coarse.float()).to(torch.bfloat16))
