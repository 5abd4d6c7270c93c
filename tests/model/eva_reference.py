"""Everything that our EVA-02 tower and timm's must share to be compared: names, weights, pixels.

Weights and pixels come from integer hashing, not from a random generator, so that any machine and any library
version makes the very same 304 million numbers.
"""

import re
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kangaroo.model.configuration import KangarooVisionConfig
from kangaroo.model.vision import KangarooVisionTower

# one small tower whose grid (6) is not the one its rotary positions stand for (4), and the published one at 448 px
SMALL = KangarooVisionConfig(
    image_size=84,
    hidden_size=48,
    intermediate_size=int(48 * 8 / 3),
    num_hidden_layers=3,
    num_attention_heads=3,
    pretrained_grid=4,
)
FULL = KangarooVisionConfig()

GOLDEN = "eva02_golden.safetensors"
# every 64th of 1,025 tokens is stored in full, and two statistics of each
STRIDE = 64

_NAMES = (
    (r"attn\.(q|v)_proj\.bias$", r"attn.\1_bias"),
    (r"attn\.norm\.", "attn.inner_attn_ln."),
    (r"mlp\.fc1_g\.", "mlp.w1."),
    (r"mlp\.fc1_x\.", "mlp.w2."),
    (r"mlp\.norm\.", "mlp.ffn_ln."),
    (r"mlp\.fc2\.", "mlp.w3."),
)


def our_name(timm_name: str) -> str:
    """Return what EVA and we call a parameter that timm calls `timm_name`."""
    for pattern, ours in _NAMES:
        timm_name = re.sub(pattern, ours, timm_name)
    return timm_name


def timm_tower(config: KangarooVisionConfig) -> Any:
    """Build timm's EVA-02 with the switches of `eva02_large_patch14_clip_336` and these sizes."""
    from timm.models.eva import Eva

    return Eva(
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dim=config.hidden_size,
        depth=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        mlp_ratio=4 * 2 / 3,
        qkv_fused=False,
        swiglu_mlp=True,
        scale_mlp=True,
        scale_attn_inner=True,
        use_rot_pos_emb=True,
        ref_feat_shape=(config.pretrained_grid, config.pretrained_grid),
        global_pool="token",
        num_classes=0,
    ).eval()


def our_tower(config: KangarooVisionConfig) -> KangarooVisionTower:
    """Build our tower with weights yet to be filled in."""
    with torch.device("meta"):
        tower = KangarooVisionTower(config)
    return tower.to_empty(device="cpu").eval()


def copy_from_timm(ours: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load timm's parameters under our names; a name that either side lacks is an error."""
    ours.load_state_dict({our_name(name): weight for name, weight in weights.items()}, strict=True)


@torch.no_grad()
def fill(tower: nn.Module) -> None:
    """Give each parameter of either tower the numbers that belong to its name (ours, for both)."""
    for timm_or_our_name, parameter in tower.named_parameters():
        name = our_name(timm_or_our_name)
        centre, spread = _scale(name, parameter)
        parameter.copy_(torch.from_numpy(centre + spread * uniform(name, tuple(parameter.shape))))


def pixels(config: KangarooVisionConfig, *, num_frames: int) -> Tensor:
    side = config.image_size
    return torch.from_numpy(2 * uniform("pixels", (num_frames, 3, side, side)))


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return float32 numbers between -1 and 1 that depend on the name and the place alone."""
    number = np.arange(np.prod(shape), dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(zlib.crc32(name.encode()))
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        number ^= number >> np.uint32(shift)
        number *= np.uint32(factor)
    number ^= number >> np.uint32(16)
    return (number.astype(np.float32) / np.float32(2**31) - np.float32(1)).reshape(shape)


def relative(found: Tensor, expected: Tensor) -> float:
    """Return the root mean square difference over the root mean square."""
    found, expected = found.double().cpu(), expected.double().cpu()
    return float((found - expected).square().mean().sqrt() / expected.square().mean().sqrt())


def _scale(name: str, parameter: Tensor) -> tuple[np.float32, np.float32]:
    """Centre and half-width: large enough that every part of the tower shows in its output."""
    if "norm" in name or "_ln" in name:
        return (np.float32(1), np.float32(0.2)) if name.endswith("weight") else (np.float32(0), np.float32(0.1))
    if parameter.ndim == 1:
        return np.float32(0), np.float32(0.1)
    if name in ("cls_token", "pos_embed"):
        return np.float32(0), np.float32(0.5)
    fan_in = parameter[0].numel()
    return np.float32(0), np.float32(1.5 / fan_in**0.5)
