"""How fast the network trains, beside what a user would put together by hand, and over several GPUs.

    python benchmarks/train_speed.py slice            # 8 layers of the 8B, 22,000 packed tokens, one GPU
    torchrun --nproc-per-node 2 benchmarks/train_speed.py whole    # the 8B as stage 5 trains it
    torchrun --nproc-per-node 2 benchmarks/train_speed.py scale    # 16 layers: run with 1, 2 and 4

`slice` times the language model's training step (AdamW included) in this order: transformers' Llama with SDPA and
gradient checkpointing, then ours, both with float32 weights and bfloat16 products, then both all in bfloat16. One
token in ten is supervised. Utilisation counts operations that are performed, never recomputation, over the rate of an
8192^3 product of bfloat16 matrices measured in the same run. The peer performs the whole readout and is credited with
it. `--tiny` runs everything on a CPU in seconds, to see that it runs; `--profile` tells where a GPU's time goes.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import distributed
from torch.profiler import ProfilerActivity, profile
from transformers import LlamaForCausalLM

from kangaroo.data.packing import Packed, PackingState, Row, join
from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.packed import allow_packed_rows
from kangaroo.model.presets import kangaroo_8b, tiny
from kangaroo.training.curriculum import KANGAROO, Part, Stage
from kangaroo.training.estimate import Load, Operations
from kangaroo.training.journal import matmul_rate
from kangaroo.training.loss import Objective
from kangaroo.training.optimizers import freeze, make_optimizers, set_rates
from kangaroo.training.parallel import World, clip_gradients, compile_blocks, recompute, shard, start_world
from kangaroo.training.recipe import Recompute

GIB = 2**30
BEGUN = time.perf_counter()


def row_of(config: KangarooConfig, stage: Stage, *, tokens: int, frames: int) -> Row:
    """Return a row: one conversation of this many tokens with a film of this many frames, a tenth of it supervised."""
    rng = np.random.default_rng(0)
    ids = rng.integers(10, config.text_config.vocab_size, tokens)
    ids[ids == config.video_token_id] = 10
    visual = config.layout(image_size_px=stage.image_size_px).num_visual_tokens(frames) if frames else 0
    ids[1 : 1 + visual] = config.video_token_id
    supervised = np.arange(tokens - 1 - tokens // 10, tokens - 1)
    return Row(
        input_ids=ids,
        position_ids=np.arange(tokens),
        lengths=(tokens,),
        supervised=supervised,
        weights=np.ones(len(supervised), np.float32),
        placeholders=np.arange(1, 1 + visual),
        feature_rows=np.arange(visual),
        num_frames=(frames,) if frames else (),
        times_s=np.arange(frames, dtype=np.float32),
        num_tokens=tokens,
        media=(),
        numbers=(0,),
        state=PackingState(),
    )


def timed(
    step: Callable[[], Any], device: torch.device, *, warm: int, times: int, look: bool = False
) -> tuple[float, float]:
    """Return the median seconds of a step and the peak of its memory in GiB; `look` profiles one more step."""
    on_gpu = device.type == "cuda"
    seconds = []
    for number in range(warm + times):
        if number == warm and on_gpu:
            torch.cuda.reset_peak_memory_stats()
        if on_gpu:
            torch.cuda.synchronize()
        started = time.perf_counter()
        step()
        if on_gpu:
            torch.cuda.synchronize()
        tell(f"step {number}")
        if number >= warm:
            seconds.append(time.perf_counter() - started)
    with profiled(look):
        step()
    return float(np.median(seconds)), torch.cuda.max_memory_allocated() / GIB if on_gpu else 0.0


def free(device: torch.device) -> None:
    """Forget what the last candidate held."""
    gc.collect()
    torch._dynamo.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def peer_step(config: KangarooConfig, row: Row, device: torch.device, dtype: torch.dtype) -> tuple[Any, float]:
    """transformers' own Llama, as its documentation says to train it."""
    with device:
        torch.set_default_dtype(dtype)
        model = LlamaForCausalLM(config.text_config)
        torch.set_default_dtype(torch.float32)
    model.config._attn_implementation = "sdpa"
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=device.type == "cuda")
    ids = torch.from_numpy(row.input_ids)[None].to(device)
    labels = torch.full_like(ids, -100)
    labels[0, row.supervised + 1] = ids[0, row.supervised + 1]
    cast = torch.autocast(device.type, torch.bfloat16, enabled=dtype is torch.float32 and device.type == "cuda")

    def step() -> None:
        with cast:
            loss = model(input_ids=ids, labels=labels, use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, sum(weight.numel() for weight in model.parameters())


def our_objective(
    config: KangarooConfig, stage: Stage, world: World, *, dtype: torch.dtype, mode: Recompute
) -> Objective:
    """Return the network as `kangaroo train` makes it ready."""
    device = world.device
    on_gpu = device.type == "cuda"
    torch.manual_seed(0)
    with device:
        torch.set_default_dtype(dtype)
        model = KangarooForConditionalGeneration(config)
        torch.set_default_dtype(torch.float32)
    tell("network made")
    freeze(model, stage)
    allow_packed_rows(model)
    model.train()
    objective = Objective(model)
    recompute(model, mode)
    if on_gpu:
        compile_blocks(model)
    if dtype is torch.float32:
        shard(objective, world, compute_dtype=torch.bfloat16 if on_gpu else torch.float32)
    tell("sharded")
    return objective


def our_step(
    config: KangarooConfig, stage: Stage, row: Row, world: World, *, dtype: torch.dtype, mode: Recompute
) -> Callable[[], Any]:
    """Return our training step of one row."""
    objective = our_objective(config, stage, world, dtype=dtype, mode=mode)
    device = world.device
    optimizers = make_optimizers(objective.model, stage)
    set_rates(optimizers, 0.1)
    packed: Packed = join([row])
    side = stage.image_size_px
    pixels = torch.randn(sum(row.num_frames), 3, side, side, device=device)
    spoken = len(row.supervised) * world.size

    def step() -> None:
        (objective(pixels, packed) / spoken).backward()
        clip_gradients(objective, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

    return step


def tell(phase: str) -> None:
    """Say on stderr how far this process is: where several wait for one another, it shows who waits for whom."""
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    print(f"rank {rank}: {phase} at {time.perf_counter() - BEGUN:.1f} s", file=sys.stderr, flush=True)


def say(**figures: Any) -> None:
    """Print one line of JSON."""
    print(json.dumps({name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}))


def run_slice(
    config: KangarooConfig, stage: Stage, world: World, *, tokens: int, times: int, mode: Recompute, look: bool
) -> None:
    """Time the language model's step, theirs and ours."""
    device, rate = world.device, matmul_rate(world.device)
    stage = replace(stage, rates=((Part.LANGUAGE, 1e-5),))
    row = row_of(config, stage, tokens=tokens, frames=0)
    # without films the tower sees one blank frame for nothing: a small one
    small = replace(stage, image_size_px=config.vision_config.image_size)
    with torch.device("meta"):
        count = Operations(KangarooForConditionalGeneration(config), small)
    ours = count.of(Load.of([row]))
    theirs = count.of(replace(Load.of([row]), spoken=tokens))
    for dtype in (torch.float32, torch.bfloat16):
        step, num_weights = peer_step(config, row, device, dtype)
        seconds, gib = timed(step, device, warm=2, times=times, look=look)
        base = seconds
        states = {torch.float32: 16, torch.bfloat16: 8}[dtype] * num_weights / GIB
        say(
            who="transformers",
            weights=str(dtype),
            seconds=seconds,
            tokens_per_s=tokens / seconds,
            utilisation=theirs / seconds / rate,
            peak_gib=gib,
            beyond_states_gib=gib - states,
        )
        del step
        free(device)
        step = our_step(config, small, row, world, dtype=dtype, mode=mode)
        seconds, gib = timed(step, device, warm=3, times=times, look=look)
        say(
            who="kangaroo",
            weights=str(dtype),
            recompute=mode,
            seconds=seconds,
            tokens_per_s=tokens / seconds,
            utilisation=ours / seconds / rate,
            peak_gib=gib,
            beyond_states_gib=gib - states,
            times_peer=base / seconds,
        )
        del step
        free(device)
    say(matmul_tflops=rate / 1e12, device=device_name(device))


def run_stage(
    config: KangarooConfig,
    stage: Stage,
    world: World,
    *,
    tokens: int,
    frames: int,
    times: int,
    mode: Recompute,
    look: bool,
) -> None:
    """Time a step of a stage with one row on each GPU."""
    rate = matmul_rate(world.device) * world.size
    row = row_of(config, stage, tokens=tokens, frames=frames)
    with torch.device("meta"):
        operations = Operations(KangarooForConditionalGeneration(config), stage).of(Load.of([row])) * world.size
    step = our_step(config, stage, row, world, dtype=torch.float32, mode=mode)
    seconds, gib = timed(step, world.device, warm=2, times=times, look=look and world.rank == 0)
    if world.rank == 0:
        say(
            gpus=world.size,
            recompute=mode,
            layers=config.text_config.num_hidden_layers,
            frames=frames,
            seconds=seconds,
            tokens_per_s=tokens * world.size / seconds,
            utilisation=operations / seconds / rate,
            peak_gib=gib,
            matmul_tflops=rate / world.size / 1e12,
            device=device_name(world.device),
        )


@contextmanager
def profiled(wanted: bool) -> Iterator[None]:
    """Print where the time of what is run within goes, dearest kernels first."""
    if not wanted:
        yield
        return
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        yield
    print(found.key_averages().table(sort_by="self_cuda_time_total", row_limit=40, max_name_column_width=80))


def device_name(device: torch.device) -> str:
    """Return the card's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def main() -> None:
    """Read what is asked, and time it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["slice", "whole", "scale"])
    parser.add_argument("--layers", type=int, help="of the language model: 8 for slice, 32 for whole, 16 for scale")
    parser.add_argument("--recompute", type=Recompute, choices=list(Recompute), default=Recompute.SELECTIVE)
    parser.add_argument("--times", type=int, default=5, help="timed steps")
    parser.add_argument("--tiny", action="store_true", help="a network of two layers, on the CPU")
    parser.add_argument("--profile", action="store_true", help="tell where the time goes, kernel by kernel")
    asked = parser.parse_args()
    how = {"times": asked.times, "mode": asked.recompute, "look": asked.profile}
    stage = KANGAROO[4]
    config = kangaroo_8b()
    tokens, frames = 22_000, 160
    if asked.tiny:
        config, tokens, frames = tiny(), 600, 16
        stage = replace(stage, image_size_px=config.vision_config.image_size)
    else:
        config.text_config.num_hidden_layers = asked.layers or {"slice": 8, "whole": 32, "scale": 16}[asked.what]
    tell("imported")
    world = start_world("cpu" if asked.tiny else "cuda")
    tell("met")
    if asked.what == "slice":
        run_slice(config, stage, world, tokens=tokens, **how)
    else:
        run_stage(config, stage, world, tokens=tokens, frames=frames, **how)


if __name__ == "__main__":
    main()
