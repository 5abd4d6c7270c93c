"""Write a small Llama as the GGUF file that llama.cpp would: what readers are tried on."""

import struct

import numpy as np
import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import LlamaConfig, LlamaForCausalLM

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_PARTS = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def tiny_llama(seed=0):
    words = 3 + 256 + 2
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=words, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-5, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0}, bos_token_id=1, eos_token_id=2,
        initializer_range=0.3,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def write_gguf(path, about, tensors):
    """Write values by key and (kind, shape, bytes) by name."""
    described = b"".join(_text(key) + _value(value) for key, value in about.items())
    listed, content = b"", b""
    for name, (kind, shape, raw) in tensors.items():
        listed += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape[::-1], kind, len(content))
        content += raw + b"\0" * (-len(raw) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(about)) + described + listed
    path.write_bytes(head + b"\0" * (-len(head) % 32) + content)
    return path


def write_llama(path, model, **changes):
    config = model.config
    words = SPECIAL + sorted(ByteLevel.alphabet()) + ["Ġa", "Ġan"]
    about = {
        "general.architecture": "llama", "llama.block_count": config.num_hidden_layers,
        "llama.context_length": config.max_position_embeddings, "llama.embedding_length": config.hidden_size,
        "llama.feed_forward_length": config.intermediate_size, "llama.attention.head_count": config.num_attention_heads,
        "llama.attention.head_count_kv": config.num_key_value_heads, "llama.rope.freq_base": 100000.0,
        "llama.attention.layer_norm_rms_epsilon": config.rms_norm_eps, "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.tokens": words,
        "tokenizer.ggml.token_type": [3] * len(SPECIAL) + [1] * (len(words) - len(SPECIAL)),
        "tokenizer.ggml.merges": ["Ġ a", "Ġa n"], "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.chat_template": TEMPLATE,
    }  # fmt: skip
    tensors = dict(_tensors(model))
    return write_gguf(path, {key: value for key, value in (about | changes).items() if value is not None}, tensors)


def _tensors(model):
    heads = {"attn_q": model.config.num_attention_heads, "attn_k": model.config.num_key_value_heads}
    outer = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    for name, weight in model.state_dict().items():
        array = weight.numpy()
        if name.startswith("model.layers."):
            _, _, number, part = name.removesuffix(".weight").split(".", 3)
            if _PARTS[part] in heads:  # llama.cpp turns neighbours, transformers halves
                halves = array.reshape(heads[_PARTS[part]], 2, -1, array.shape[1])
                array = halves.swapaxes(1, 2).reshape(array.shape)
            stored = f"blk.{number}.{_PARTS[part]}.weight"
        elif name in outer:
            stored = outer[name]
        else:
            continue  # the head, whose weights are those of the embedding
        yield stored, (0, array.shape, np.ascontiguousarray(array, "<f4").tobytes())


def _text(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _value(value):
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, list):
        inner = (
            b"".join(_text(one) for one in value)
            if isinstance(value[0], str)
            else struct.pack(f"<{len(value)}i", *value)
        )
        return struct.pack("<IIQ", 9, 8 if isinstance(value[0], str) else 5, len(value)) + inner
    return struct.pack("<If", 6, value) if isinstance(value, float) else struct.pack("<II", 4, value)
