"""One token after another on a GPU at full size: ours beside transformers', and beside reading the bytes.

    python benchmarks/decode_speed.py [--context 22000] [--tokens 64] [--rows 1 8] [--peers] [--device cuda] [--tiny]

The language model of the 8B, random weights in bfloat16, reads on after a context of random keys and values. Ours is
what a session does: logits, the likeliest word, its way back to the host. The plain path is the same without
recorded steps. `--peers` times transformers too: a dynamic cache as it comes, and a static one compiled
(`reduce-overhead`), which takes a minute. The floor is what reading weights, keys and values once takes at the rate
of a copy on this machine, measured here. `--tiny` runs all of it at a size that a CPU can do.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from transformers import LlamaForCausalLM
from transformers.cache_utils import DynamicCache, StaticCache

from kangaroo.chat.cache import GrowingCache
from kangaroo.chat.generate import Reader
from kangaroo.chat.slots import Slots, allow_slots
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import kangaroo_8b, tiny


def seconds(step: Callable[[], object], times: int, device: torch.device) -> float:
    """Return the median of the steps' seconds, each with its way back to the host."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def bytes_per_s(device: torch.device) -> float:
    """Return how many bytes a second a copy reads and writes."""
    size = (2 << 30) if device.type == "cuda" else (64 << 20)
    one = torch.empty(size, dtype=torch.uint8, device=device)
    other = torch.empty_like(one)
    other.copy_(one)
    return 2 * size / seconds(lambda: other.copy_(one), 10, device)


def network(*, is_tiny: bool, device: torch.device) -> KangarooForConditionalGeneration:
    """Return the 8B with small random weights; its vision tower stays away."""
    config = tiny(vocab_size=512) if is_tiny else kangaroo_8b()
    config.vision_config.num_hidden_layers = 1
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    with torch.device(device):
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            model = KangarooForConditionalGeneration(config).eval()
        finally:
            torch.set_default_dtype(before)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0, 0.02) if weight.ndim > 1 else weight.fill_(1.0)
    return model


def known(model: KangarooForConditionalGeneration, context: int) -> list[tuple[Tensor, Tensor]]:
    """Return random keys and values of each layer."""
    text, like = model.config.text_config, model.lm_head.weight
    shape = 1, text.num_key_value_heads, context, text.head_dim
    return [
        (torch.randn_like(like.new_empty(shape)), torch.randn_like(like.new_empty(shape)))
        for _ in range(text.num_hidden_layers)
    ]


@torch.inference_mode()
def ours(
    model: KangarooForConditionalGeneration,
    *,
    rows: int,
    context: int,
    tokens: int,
    is_plain: bool,
    device: torch.device,
) -> tuple[float, float]:
    """Return seconds a step, and those of the first two, which compile and record."""
    reader, slots = Reader(model), Slots()
    if is_plain:
        reader.__dict__["_replay"] = None
    for _ in range(rows):
        cache = GrowingCache()
        for keys, values in known(model, context):
            cache.add_layer(keys, values)
        slots.put(cache, room=context + tokens + 8)
        del cache
    ids = [11] * rows

    def step() -> None:
        ids[:] = reader.read_on(ids, slots).argmax(dim=-1).tolist()

    began = time.perf_counter()
    step()
    step()
    warm_s = time.perf_counter() - began
    return seconds(step, tokens, device), warm_s


@torch.inference_mode()
def theirs(
    model: KangarooForConditionalGeneration, *, context: int, tokens: int, is_static: bool, device: torch.device
) -> tuple[float, float]:
    """Return the same of transformers' own Llama, one row, over the same weights."""
    config = model.config.text_config
    with torch.device("meta"):
        llama = LlamaForCausalLM(config).eval()
    llama.model, llama.lm_head = model.model.language_model, model.lm_head
    before = llama.model.config._attn_implementation
    llama.model.set_attn_implementation("sdpa")
    place = torch.tensor([context], device=device)
    ids = torch.tensor([[11]], device=device)
    if is_static:
        cache = StaticCache(config=config, max_cache_len=context + tokens + 8)
        for number, (keys, values) in enumerate(known(model, context)):
            cache.update(keys, values, number, {"cache_position": torch.arange(context, device=device)})
        forward = torch.compile(llama.forward, mode="reduce-overhead", fullgraph=True)
    else:
        cache, forward = DynamicCache(known(model, context)), llama.forward

    def step() -> None:
        nonlocal ids
        logits = forward(
            input_ids=ids, past_key_values=cache, position_ids=place[None], cache_position=place, use_cache=True
        ).logits
        ids = logits[:, -1:].argmax(dim=-1).clone()
        place.add_(1)
        ids.tolist()

    began = time.perf_counter()
    for _ in range(3):
        step()
    warm_s = time.perf_counter() - began
    result = seconds(step, tokens, device)
    llama.model.set_attn_implementation(before)
    return result, warm_s


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--context", type=int, default=22_000)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rows", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--peers", action="store_true", help="time transformers too")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    device = torch.device(options.device)
    model = network(is_tiny=options.tiny, device=device)
    allow_slots(model)
    rate = bytes_per_s(device)
    weights = sum(each.nbytes for each in (*model.model.language_model.layers.parameters(), model.lm_head.weight))
    cached = sum(keys.nbytes + values.nbytes for keys, values in known(model, options.context))
    print(
        f"a copy moves {rate / 1e12:.2f} TB/s; weights {weights / 1e9:.2f} GB, "
        f"a row's keys and values {cached / 1e9:.2f} GB"
    )

    def row(name: str, rows: int, found: tuple[float, float]) -> None:
        step_s, warm_s = found
        floor_s = (weights + rows * cached) / rate
        print(
            f"{name:24} {rows:2} rows  {step_s * 1e3:8.2f} ms a step  {rows / step_s:8.1f} tokens/s  "
            f"{floor_s / step_s:6.1%} of the floor's rate  warm-up {warm_s:6.1f} s",
            flush=True,
        )

    common = {"context": options.context, "tokens": options.tokens, "device": device}
    for rows in options.rows:
        row("ours", rows, ours(model, rows=rows, is_plain=False, **common))
    row("ours, plain", 1, ours(model, rows=1, is_plain=True, **common))
    if options.peers:
        row("transformers, dynamic", 1, theirs(model, is_static=False, **common))
        row("transformers, compiled", 1, theirs(model, is_static=True, **common))
    if device.type == "cuda":
        print(f"peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


if __name__ == "__main__":
    main()
