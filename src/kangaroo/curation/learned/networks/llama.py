"""A small Llama out of a GGUF file, as transformers' own classes.

Axes: channel (of queries or keys: head by head, in each the two halves that one rotation turns), width.
"""

from collections.abc import Iterator
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from kangaroo.curation.learned.gguf import Gguf
from kangaroo.errors import ModelError
from kangaroo.model.pretrained import without_progress_bar

_CONTROL = 3  # the type of tokens that are never a part of a text
_OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_INNER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def load_llama(file: Gguf) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Return the model, in float32 on the CPU, and its tokenizer.

    Raises:
        ModelError: The file holds something else.
    """
    try:
        config, tokenizer = _config(file), _tokenizer(file.about)
        weights = dict(_weights(file, config))
    except (KeyError, ValueError) as error:
        raise ModelError(f"the file is no Llama that is known here: {error!r}") from None
    with without_progress_bar():
        model = LlamaForCausalLM.from_pretrained(None, config=config, state_dict=weights, dtype=torch.float32)
    return model.eval(), tokenizer


def _weights(file: Gguf, config: LlamaConfig) -> Iterator[tuple[str, Tensor]]:
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for name, read in file.tensors.items():
        *block, last, _ = name.split(".")
        weight = torch.from_numpy(read())
        named = f"model.layers.{block[1]}.{_INNER[last]}" if block else _OUTER[last]
        yield f"{named}.weight", _unturned(weight, heads[last]) if last in heads else weight


def _config(file: Gguf) -> LlamaConfig:
    about = file.about
    if about["general.architecture"] != "llama" or about["tokenizer.ggml.pre"] != "smollm":
        found = f"{about['general.architecture']} with {about['tokenizer.ggml.pre']}'s words"
        raise ModelError(f"the file holds a {found}; known is a llama with smollm's")
    return LlamaConfig(
        vocab_size=len(about["tokenizer.ggml.tokens"]),
        hidden_size=about["llama.embedding_length"],
        intermediate_size=about["llama.feed_forward_length"],
        num_hidden_layers=about["llama.block_count"],
        num_attention_heads=about["llama.attention.head_count"],
        num_key_value_heads=about["llama.attention.head_count_kv"],
        max_position_embeddings=about["llama.context_length"],
        rms_norm_eps=about["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": about["llama.rope.freq_base"]},
        tie_word_embeddings="output.weight" not in file.tensors,
        bos_token_id=about["tokenizer.ggml.bos_token_id"],
        eos_token_id=about["tokenizer.ggml.eos_token_id"],
        pad_token_id=None,
    )


def _tokenizer(about: Any) -> PreTrainedTokenizerFast:
    words = about["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ")) for pair in about["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({word: id for id, word in enumerate(words)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = zip(words, about["tokenizer.ggml.token_type"], strict=True)
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word, kind in kinds if kind == _CONTROL])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=words[about["tokenizer.ggml.eos_token_id"]],
        chat_template=about["tokenizer.chat_template"],
    )


def _unturned(weight: Float[Tensor, "channel width"], heads: int) -> Float[Tensor, "channel width"]:
    """Put the two halves that rotate together one behind the other; llama.cpp keeps them side by side."""
    return rearrange(weight, "(head place half) width -> (head half place) width", head=heads, half=2)
