"""On a GPU, or in Triton's interpreter, few kernels read prompts and single tokens, as the plain layers do."""

import pytest
import torch
from torch import nn
from transformers.cache_utils import DynamicCache
from transformers.models.llama.modeling_llama import LlamaConfig, LlamaModel, LlamaRotaryEmbedding

from kangaroo.chat.cache import GrowingCache
from kangaroo.model.fast_llama import FastLlama, fast_llama
from kangaroo.model.int8 import Int8Linear

pytestmark = pytest.mark.kernels
ON_GPU = torch.cuda.is_available()
DEVICE = "cuda" if ON_GPU else "cpu"
DTYPES = [torch.float16, torch.bfloat16] if ON_GPU else [torch.float16, torch.float32]
# the interpreter takes a millisecond where a GPU takes none
CASES = [(4, 2, 64, 3), (8, 8, 32, 1), (6, 2, 16, 2), *([(32, 8, 128, 5)] if ON_GPU else [])]
MANY = 300 if ON_GPU else 20


def llama(heads, groups, width, *, dtype, **changes):
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=heads * width,
        intermediate_size=3 * heads * width,
        num_hidden_layers=2,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        head_dim=width,
        rope_theta=500_000.0,
        **changes,
    )
    torch.manual_seed(0)
    model = LlamaModel(config).eval().to(DEVICE, dtype)
    # as loading leaves them; in half precision angles would be wrong a thousand tokens on
    model.rotary_emb = LlamaRotaryEmbedding(config).to(DEVICE)
    return model


def cache_of(model, slots, room):
    """Buffers of noise as `Slots` lays them: positions outside of heads."""
    config = model.config
    shape = slots, room, config.num_key_value_heads, config.head_dim
    return [
        tuple(torch.randn(shape, device=DEVICE).to(model.dtype).transpose(1, 2) for _ in "kv") for _ in model.layers
    ]


def exactly(model):
    """The model in float32."""
    copied = LlamaModel(model.config).eval().to(DEVICE)
    copied.load_state_dict(model.state_dict())
    return copied


def close(found, expected, dtype):
    """About as far as the plain layers in this precision are from float32."""
    off = (found.float() - expected).abs()
    assert off.mean() < {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}[dtype]
    assert off.max() < {torch.float32: 1e-4, torch.float16: 3e-2, torch.bfloat16: 3e-1}[dtype]


def plainly(model, embeds, cache, lengths):
    """Each row alone, by the plain layers in float32."""
    exact, states = exactly(model), []
    for row, length in enumerate(lengths):
        known = [tuple(each[row : row + 1, :, :length].float().contiguous() for each in layer) for layer in cache]
        own = {"past_key_values": DynamicCache(known), "position_ids": torch.tensor([[length]], device=DEVICE)}
        states.append(exact(inputs_embeds=embeds[row : row + 1, None].float(), **own).last_hidden_state[0, 0])
    return torch.stack(states)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("heads", "groups", "width", "rows"), CASES)
@torch.inference_mode()
def test_states_are_those_of_the_plain_layers(heads, groups, width, rows, dtype):
    model = llama(heads, groups, width, dtype=dtype)
    lengths = [0, 1, 700, 63, 64][:rows]
    cache = cache_of(model, rows + 1, 768)
    embeds = torch.randn(rows, model.config.hidden_size, device=DEVICE).to(dtype)
    expected = plainly(model, embeds, cache, lengths)
    positions = torch.tensor(lengths, device=DEVICE)
    found = FastLlama(model).read_on(embeds, cache, positions, (positions + 1).int())
    close(found, expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("heads", "groups", "width", "rows"), CASES)
@torch.inference_mode()
def test_a_prompt_and_what_follows_it_are_read_as_by_the_plain_layers(heads, groups, width, rows, dtype):
    model = llama(heads, groups, width, dtype=dtype)
    exact, fast = exactly(model), FastLlama(model)
    ours, theirs = GrowingCache(), DynamicCache()
    # a prompt, a short question behind it, a long one, one token
    for tokens in (MANY * rows, 5, 70, 1):
        embeds = torch.randn(tokens, model.config.hidden_size, device=DEVICE).to(dtype)
        found = fast.read(embeds, ours)
        expected = exact(inputs_embeds=embeds[None].float(), past_key_values=theirs, use_cache=True).last_hidden_state
        close(found, expected[:, -1], dtype)
        for layer, other in zip(ours.layers, theirs.layers, strict=True):
            assert layer.keys.shape == other.keys.shape
            close(layer.keys, other.keys, dtype)
            close(layer.values, other.values, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", [1, 16, 17])
@torch.inference_mode()
def test_weights_in_eight_bits_are_read_as_by_the_plain_layers(tokens, dtype):
    model = llama(4, 2, 64, dtype=dtype)
    in_eight_bits(model)
    embeds = torch.randn(tokens, model.config.hidden_size, device=DEVICE).to(dtype)
    expected = model(inputs_embeds=embeds[None], past_key_values=DynamicCache(), use_cache=True).last_hidden_state
    close(FastLlama(model).read(embeds, GrowingCache()), expected[:, -1].float(), dtype)
    again = model(inputs_embeds=embeds[None], past_key_values=DynamicCache(), use_cache=True).last_hidden_state
    assert torch.equal(again, expected), "the modules hold other weights than before"


def in_eight_bits(model):
    for layer in model.layers:
        for part in (layer.self_attn, layer.mlp):
            for name, child in list(part.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(part, name, Int8Linear(child))


@pytest.mark.gpu
def test_it_suits_what_it_can_read_and_nothing_else():
    assert fast_llama(llama(4, 2, 64, dtype=torch.bfloat16))
    assert not fast_llama(llama(4, 2, 64, dtype=torch.float32))
    assert not fast_llama(llama(4, 2, 48, dtype=torch.bfloat16))
    assert not fast_llama(llama(4, 2, 64, dtype=torch.bfloat16, attention_bias=True))
    assert not fast_llama(llama(4, 2, 64, dtype=torch.bfloat16, hidden_act="gelu"))
    replaced = llama(4, 2, 64, dtype=torch.bfloat16)
    replaced.layers[0].mlp.down_proj = type("Adapted", (nn.Linear,), {})(768, 256, bias=False)
    assert not fast_llama(replaced)
    smaller = llama(4, 2, 64, dtype=torch.bfloat16)
    in_eight_bits(smaller)
    assert fast_llama(smaller)


def test_weights_that_are_moved_stay_the_modules_own():
    model = llama(4, 2, 64, dtype=torch.float16)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    FastLlama(model)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
