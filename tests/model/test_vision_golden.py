"""Our tower computes what timm's EVA-02 computed on the same weights (stored by make_golden.py)."""

from pathlib import Path

import pytest
import torch
from eva_reference import FULL, GOLDEN, SMALL, STRIDE, copy_from_timm, fill, our_tower, pixels, relative
from safetensors.torch import load_file
from torch import Tensor


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    return load_file(Path(__file__).parent / GOLDEN)


@torch.inference_mode()
def test_small_tower_with_timm_weights_equals_timm(golden: dict[str, Tensor]) -> None:
    tower = our_tower(SMALL)
    prefix = "small.weights."
    copy_from_timm(tower, {name.removeprefix(prefix): golden[name] for name in golden if name.startswith(prefix)})
    features = tower(pixels(SMALL, num_frames=2))
    torch.testing.assert_close(features, golden["small.features"], atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(tower.norm(features), golden["small.normed"], atol=2e-5, rtol=1e-4)


@pytest.mark.slow
@torch.inference_mode()
def test_published_size_equals_timm_at_448_px(golden: dict[str, Tensor]) -> None:
    tower = our_tower(FULL)
    fill(tower)
    features = tower(pixels(FULL, num_frames=1))
    assert relative(features[:, ::STRIDE], golden["full.features"]) < 1e-5
    assert relative(features.mean(dim=-1), golden["full.mean"]) < 1e-4
    assert relative(features.std(dim=-1), golden["full.std"]) < 1e-5
    assert relative(tower.norm(features)[:, ::STRIDE], golden["full.normed"]) < 1e-5
