"""The vision tower on a GPU at full size: 160 frames of 448 px, ours beside timm's EVA-02.

    python benchmarks/vision_speed.py [--frames 160] [--chunks 8 16 32 160] [--peers] [--device cuda] [--tiny]

Random weights in bfloat16. Ours is told for several numbers of frames at a time, by few kernels and by plain blocks;
`--peers` times timm's too, as it comes and compiled (which takes a minute), 32 frames at a time. The floor is what the
operations take at the rate of one large product, measured here. `off` is how far features are from the plain ones, over
those.
`--tiny` runs all of it at a size that a CPU can do, the kernels where Triton can interpret them.
"""

import argparse
from collections.abc import Callable
from importlib.util import find_spec

import torch
from language_speed import seconds
from torch import Tensor, nn

from kangaroo.model.configuration import KangarooVisionConfig
from kangaroo.model.fast_tower import FastTower
from kangaroo.model.vision import KangarooVisionTower
from kangaroo.training.journal import matmul_rate

TINY = KangarooVisionConfig(
    image_size=84, hidden_size=64, intermediate_size=170, num_hidden_layers=2, num_attention_heads=4
)


def operations(tower: KangarooVisionTower) -> float:
    """Return what a frame takes: products of all tokens with all matrices, and of tokens with one another."""
    config = tower.config
    tokens = (config.image_size // config.patch_size) ** 2 + 1
    matrices = sum(part.weight.numel() for part in tower.blocks.modules() if isinstance(part, nn.Linear))
    words = matrices + tower.patch_embed.proj.weight.numel()
    return float(2 * words * tokens + 4 * config.num_hidden_layers * tokens**2 * config.hidden_size)


@torch.inference_mode()
def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=160)
    parser.add_argument("--chunks", type=int, nargs="+", default=[8, 16, 32, 160])
    parser.add_argument("--peers", action="store_true", help="time timm too")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    device = torch.device(options.device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    config = TINY if options.tiny else KangarooVisionConfig()
    tower = KangarooVisionTower(config).eval().to(device, dtype)
    side = config.image_size
    pixels = torch.randn(options.frames, 3, side, side, device=device).to(dtype)
    floor_s = operations(tower) * options.frames / matmul_rate(device)
    print(
        f"{options.frames} frames: {operations(tower) * options.frames / 1e12:.1f} TFLOP, floor {floor_s * 1e3:.1f} ms"
    )
    plain = tower(pixels[:8]).float()

    def off(found: Tensor) -> float:
        return float((found.float() - plain).square().mean().sqrt() / plain.square().mean().sqrt())

    def row(name: str, see: Callable[[Tensor], Tensor], chunk: int, *, is_ours: bool = True) -> None:
        def all_frames() -> None:
            for part in pixels.split(chunk):
                see(part)

        all_frames()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        taken_s = seconds(all_frames, 5, device)
        peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0
        told = f"off {off(see(pixels[:8])):.4f}" if is_ours else ""
        print(
            f"{name:16} {chunk:4} at a time {taken_s * 1e3:8.1f} ms  {floor_s / taken_s:6.1%} of the floor's rate  "
            f"peak {peak:5.1f} GiB  {told}",
            flush=True,
        )

    row("plain", tower, 32)
    if options.peers:
        import timm

        made = {"embed_dim": 64, "depth": 2, "num_heads": 4} if options.tiny else {}
        name = "eva02_large_patch14_clip_336"
        theirs = timm.create_model(name, pretrained=False, img_size=side, num_classes=0, **made)
        theirs = theirs.eval().to(device, dtype)
        row("timm", theirs.forward_features, 32, is_ours=False)
        if device.type == "cuda":
            row("timm, compiled", torch.compile(theirs.forward_features), 32, is_ours=False)
        del theirs
    if find_spec("triton"):
        fast = FastTower(tower)
        for chunk in options.chunks:
            row("ours", fast, chunk)


if __name__ == "__main__":
    main()
