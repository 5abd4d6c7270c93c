"""Our tower equals timm's own model on the same weights. Runs where timm is installed."""

import pytest
import torch
from eva_reference import FULL, SMALL, copy_from_timm, fill, our_tower, pixels, relative, timm_tower

from kangaroo.model.configuration import KangarooVisionConfig

timm = pytest.importorskip("timm")
pytestmark = pytest.mark.timm


@torch.inference_mode()
def difference(config: KangarooVisionConfig, theirs: torch.nn.Module, dtype: torch.dtype, device: str) -> float:
    """Return how far ours is from timm, normed features, over the features' root mean square."""
    ours = our_tower(config).to(device, dtype)
    copy_from_timm(ours, dict(theirs.named_parameters()))
    frames = pixels(config, num_frames=1).to(device, dtype)
    return relative(ours.norm(ours(frames)), theirs.forward_features(frames))


def test_small_tower_equals_timm() -> None:
    theirs = timm_tower(SMALL)
    fill(theirs)
    assert difference(SMALL, theirs, torch.float32, "cpu") < 1e-5


@pytest.mark.slow
def test_published_tower_equals_timm_at_448_px() -> None:
    theirs = timm.create_model("eva02_large_patch14_clip_336", pretrained=False, img_size=448, num_classes=0).eval()
    fill(theirs)
    assert difference(FULL, theirs, torch.float32, "cpu") < 1e-5
    if torch.cuda.is_available():
        theirs = theirs.to("cuda", torch.bfloat16)
        assert difference(FULL, theirs, torch.bfloat16, "cuda") < 0.05
