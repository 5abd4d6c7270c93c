"""On a GPU, or in Triton's interpreter, frames are seen by fewer kernels, which say what the plain blocks say."""

import pytest
import torch
from torch import nn

from kangaroo.errors import PromptError
from kangaroo.model.configuration import KangarooVisionConfig
from kangaroo.model.fast_tower import FastTower, fast_tower
from kangaroo.model.vision import KangarooVisionTower

pytestmark = pytest.mark.kernels
ON_GPU = torch.cuda.is_available()
DEVICE = "cuda" if ON_GPU else "cpu"
DTYPES = [torch.float16, torch.bfloat16] if ON_GPU else [torch.float16, torch.float32]
FURTHEST = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 6e-2}  # of the largest feature


def tower(heads=4, head_width=16, inner=170, *, dtype, **changes):
    torch.manual_seed(0)
    config = KangarooVisionConfig(
        image_size=56,
        hidden_size=heads * head_width,
        intermediate_size=inner,
        num_hidden_layers=3,
        num_attention_heads=heads,
        **changes,
    )
    made = KangarooVisionTower(config).eval()
    for weight in made.parameters():
        nn.init.normal_(weight, 0.0 if weight.ndim > 1 else 0.5, 0.1)
    return made.to(DEVICE, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "changes", "side"),
    [
        ((4, 16, 170), {}, 56),
        ((3, 8, 36), {"final_norm": True, "feature_layer": -2}, 56),
        ((2, 64, 341), {"feature_layer": 0}, 84),
    ],
)
@torch.inference_mode()
def test_features_are_those_of_the_plain_blocks(shape, changes, side, dtype):
    plain, moved = (tower(*shape, dtype=dtype, **changes) for _ in range(2))
    pixels = torch.randn(3, 3, side, side, device=DEVICE).to(dtype)
    expected = plain.float()(pixels.float())
    found = FastTower(moved)(pixels)
    assert (found.float() - expected).abs().max() <= FURTHEST[dtype] * expected.abs().max()


def test_weights_that_are_moved_stay_the_modules_own():
    made = tower(dtype=torch.float16)
    before = {name: weight.clone() for name, weight in made.state_dict().items()}
    FastTower(made)
    after = made.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_frames_that_do_not_fit_are_refused_as_by_the_tower():
    with pytest.raises(PromptError, match="28x42"):
        FastTower(tower(dtype=torch.float16))(torch.zeros(1, 3, 28, 42, device=DEVICE))


@pytest.mark.gpu
def test_it_suits_half_precision_on_a_gpu():
    assert fast_tower(tower(dtype=torch.bfloat16))
    assert not fast_tower(tower(dtype=torch.float32))
    assert not fast_tower(tower(dtype=torch.bfloat16).cpu())
