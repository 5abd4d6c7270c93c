"""Store what timm's EVA-02 computes, so that machines without timm can check our tower against it.

Run where timm is installed: `PYTHONPATH=src python tests/model/make_golden.py OUT_DIR`. It writes
`eva02_golden.safetensors` (under 1 MB), float32, computed on the CPU, and prints how far our tower is from timm's
there and, if there is a GPU, in bfloat16. No seeds: weights and pixels are hashed from names (`eva_reference.py`).
"""

import sys
from pathlib import Path

import timm
import torch
from eva_reference import (
    FULL,
    GOLDEN,
    SMALL,
    STRIDE,
    copy_from_timm,
    fill,
    our_tower,
    pixels,
    relative,
    timm_tower,
)
from safetensors.torch import save_file
from torch import Tensor, nn


@torch.inference_mode()
def main(out_dir: Path) -> None:
    """Compute, compare, store."""
    out_dir.mkdir(parents=True, exist_ok=True)
    torch.backends.cuda.matmul.allow_tf32 = False
    tensors: dict[str, Tensor] = {}

    small = timm_tower(SMALL)
    fill(small)
    tensors |= {f"small.weights.{name}": weight for name, weight in small.named_parameters()}
    tensors["small.features"] = blocks_only(small, pixels(SMALL, num_frames=2))
    tensors["small.normed"] = small.forward_features(pixels(SMALL, num_frames=2))

    # the published model by its own name, at 448 px
    full = timm.create_model("eva02_large_patch14_clip_336", pretrained=False, img_size=448, num_classes=0).eval()
    fill(full)
    frame = pixels(FULL, num_frames=1)
    features = blocks_only(full, frame)
    tensors["full.features"] = features[:, ::STRIDE]
    tensors["full.mean"] = features.mean(dim=-1)
    tensors["full.std"] = features.std(dim=-1)
    tensors["full.normed"] = full.norm(features)[:, ::STRIDE]

    path = out_dir / GOLDEN
    versions = {"timm": timm.__version__, "torch": torch.__version__, "model": "eva02_large_patch14_clip_336 at 448 px"}
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path, metadata=versions)
    print(f"wrote {path}, {path.stat().st_size:,} bytes, {versions}")

    ours = our_tower(FULL)
    copy_from_timm(ours, dict(full.named_parameters()))
    print(f"float32, cpu: ours differs from timm by {relative(ours(frame), features):.2e} of the features' size")
    if torch.cuda.is_available():
        compare_in_bfloat16(ours, full, frame, features)


def compare_in_bfloat16(ours: nn.Module, full: nn.Module, frame: Tensor, features: Tensor) -> None:
    """Print both towers' distance from float32 in bfloat16 on the GPU: ours must not be larger."""
    frame = frame.to("cuda", torch.bfloat16)
    rows = {
        "timm": blocks_only(full.to("cuda", torch.bfloat16), frame),
        "ours": ours.to("cuda", torch.bfloat16)(frame),
    }
    for name, row in rows.items():
        print(f"bfloat16, {torch.cuda.get_device_name()}: {name} is {relative(row, features):.2e} from float32")


def blocks_only(tower: nn.Module, frames: Tensor) -> Tensor:
    """Return the last block's tokens, class token first, without the final norm."""
    hidden, angles = tower._pos_embed(tower.patch_embed(frames))
    for block in tower.blocks:
        hidden = block(tower.norm_pre(hidden) if block is tower.blocks[0] else hidden, rope=angles)
    return hidden


if __name__ == "__main__":
    main(Path(sys.argv[1]))
