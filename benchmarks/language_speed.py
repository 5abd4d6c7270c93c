"""The language model on a GPU at full size: a prompt, a second question, one token after another; beside transformers.

    python benchmarks/language_speed.py [--context 22000] [--tokens 64] [--rows 1 8] [--peers] [--int8] [--tiny]

The language model of the 8B, random weights in bfloat16. Told are a whole prompt of random states; thirty tokens behind
it, up to the next word; and steps of one token after random keys and values, each with the likeliest word's way back to
the host. The plain path is transformers' own layers as they come, SDPA in them, which for the prompt is the peer.
`--peers` times transformers' steps too: with a static cache, compiled (`reduce-overhead`), which takes a minute. The
floor of a step is what reading weights, keys and values once takes at the rate of a copy, that of a prompt its products
at the rate of one large product; both are measured here. `--tiny` runs all of it at a size that a CPU can do.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from transformers import LlamaForCausalLM
from transformers.cache_utils import StaticCache

from kangaroo.chat.cache import GrowingCache
from kangaroo.chat.generate import Reader
from kangaroo.chat.slots import Slots, allow_slots
from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.fast_llama import fast_llama
from kangaroo.model.int8 import hold_in_int8
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import kangaroo_8b, tiny
from kangaroo.training.journal import matmul_rate


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


def at_random(config: KangarooConfig, device: torch.device) -> KangarooForConditionalGeneration:
    """Return a network of these sizes; on a GPU in bfloat16."""
    with torch.device(device):
        torch.set_default_dtype(torch.bfloat16 if device.type == "cuda" else torch.float32)
        try:
            return KangarooForConditionalGeneration(config).eval()
        finally:
            torch.set_default_dtype(torch.float32)


def network(*, is_tiny: bool, device: torch.device) -> KangarooForConditionalGeneration:
    """Return the 8B with small random weights; its vision tower stays away."""
    config = tiny(vocab_size=512) if is_tiny else kangaroo_8b()
    config.vision_config.num_hidden_layers = 1
    model = at_random(config, device)
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
    fast = None if is_plain else fast_llama(model.model.language_model)
    reader, slots = Reader(model, fast=fast), Slots()
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
def reading(
    model: KangarooForConditionalGeneration, *, context: int, more: int, is_plain: bool, device: torch.device
) -> tuple[float, float]:
    """Return seconds for a prompt, and for so many tokens behind it up to the next word."""
    reader, llama = Reader(model), model.model.language_model
    fast = None if is_plain else fast_llama(llama)
    text = model.config.text_config
    prompt, question = (
        torch.randn(count, text.hidden_size, device=device).to(model.lm_head.weight.dtype) for count in (context, more)
    )

    def read(embeds: Tensor, cache: GrowingCache) -> None:
        if fast is None:
            last = llama(inputs_embeds=embeds[None], past_key_values=cache, use_cache=True).last_hidden_state[:, -1]
        else:
            last = fast.read(embeds, cache)
        reader.logits(last).argmax(dim=-1).tolist()

    read(prompt, GrowingCache())
    first_s = seconds(lambda: read(prompt, GrowingCache()), 5, device)
    cache = GrowingCache()
    read(prompt, cache)

    def ask() -> None:
        cache.keep_first(context)
        read(question, cache)

    ask()
    return first_s, seconds(ask, 10, device)


@torch.inference_mode()
def theirs(
    model: KangarooForConditionalGeneration, *, context: int, tokens: int, device: torch.device
) -> tuple[float, float]:
    """Return seconds a step of transformers' own Llama over the same weights, one row, and those of its compilation."""
    config = model.config.text_config
    with torch.device("meta"):
        llama = LlamaForCausalLM(config).eval()
    llama.model, llama.lm_head = model.model.language_model, model.lm_head
    llama.model.set_attn_implementation("sdpa")
    place = torch.tensor([context], device=device)
    ids = torch.tensor([[11]], device=device)
    cache = StaticCache(config=config, max_cache_len=context + tokens + 8)
    for number, (keys, values) in enumerate(known(model, context)):
        cache.update(keys, values, number, {"cache_position": torch.arange(context, device=device)})
    forward = torch.compile(llama.forward, mode="reduce-overhead", fullgraph=True)

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
    return seconds(step, tokens, device), warm_s


def floor_of_prompt(model: KangarooForConditionalGeneration, context: int, device: torch.device) -> float:
    """Return the seconds of a prompt's products, attention's half square among them, at a large product's rate."""
    text = model.config.text_config
    layers = sum(
        weight.numel() for weight in model.model.language_model.layers.state_dict().values() if weight.ndim > 1
    )
    looks = 2 * text.num_hidden_layers * text.num_attention_heads * text.head_dim * context**2
    return (2 * layers * context + looks) / matmul_rate(device)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--context", type=int, default=22_000)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rows", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--peers", action="store_true", help="time transformers too")
    parser.add_argument("--int8", action="store_true", help="hold the language model in eight bits")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    device = torch.device(options.device)
    model = network(is_tiny=options.tiny, device=device)
    if options.int8:
        hold_in_int8(model, device)
    allow_slots(model)
    rate = bytes_per_s(device)
    weights = sum(
        each.nbytes for each in (*model.model.language_model.layers.state_dict().values(), model.lm_head.weight)
    )
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

    floor_s = floor_of_prompt(model, options.context, device)
    for name, is_plain in (("ours", False), ("plain", True)):
        first_s, second_s = reading(model, context=options.context, more=30, is_plain=is_plain, device=device)
        print(
            f"{name:24} prompt {first_s * 1e3:8.1f} ms  {floor_s / first_s:6.1%} of the floor's rate  "
            f"second question {second_s * 1e3:7.1f} ms",
            flush=True,
        )
    common = {"context": options.context, "tokens": options.tokens, "device": device}
    for rows in options.rows:
        row("ours", rows, ours(model, rows=rows, is_plain=False, **common))
    row("plain", 1, ours(model, rows=1, is_plain=True, **common))
    if options.peers:
        row("transformers, compiled", 1, theirs(model, **common))
    if device.type == "cuda":
        print(f"peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


if __name__ == "__main__":
    main()
