"""Attention over packed rows: each conversation sees itself alone, and what came before.

transformers would write a mask of [position, position] for rows whose positions restart. Here the rows are laid end
to end and attention runs conversation by conversation: on a GPU in one kernel for all of them, elsewhere one after
the other, so no memory and no work grows with the square of the row.
Axes: row, position (in a row), head, width (of a head), token (of the rows laid end to end).
"""

from inspect import signature
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.varlen import varlen_attn
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from kangaroo.model.modeling import KangarooForConditionalGeneration

# what transformers calls this attention
PACKED = "kangaroo_packed"
# torch 2.11 takes fewer heads for keys than for queries unasked; later ones want to be told
_GROUPED: dict[str, Any] = {"enable_gqa": True} if "enable_gqa" in signature(varlen_attn).parameters else {}
_KERNEL_DTYPES = (torch.float16, torch.bfloat16)


def allow_packed_rows(model: KangarooForConditionalGeneration) -> None:
    """Let the model's language model read packed rows (`packed_inputs`); everything else it reads as before.

    Call it once before training. Nothing of it is saved with the model.
    """
    ALL_ATTENTION_FUNCTIONS.register(PACKED, packed_attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(PACKED, sdpa_mask)
    model.model.language_model.set_attn_implementation(PACKED)


def packed_inputs(
    boundaries: Int[Tensor, " boundary"], position_ids: Int[Tensor, "row position"], *, longest: int
) -> dict[str, Any]:
    """Return the keyword arguments of a language model that `allow_packed_rows` has seen, beside what it reads.

    Args:
        boundaries: Where conversations begin in the rows laid end to end, and where the last ends; int32, on the
            model's device. No conversation goes over a row's end.
        position_ids: Begin anew with each conversation.
        longest: Tokens of the longest conversation: known here, so that no GPU is asked for it.
    """
    return {
        # transformers hands a mask of four axes to attention as it is; ours is where conversations meet
        "attention_mask": rearrange(boundaries, "boundary -> 1 1 1 boundary"),
        "position_ids": position_ids,
        "max_length_q": longest,
        "use_cache": False,
    }


def packed_attention(
    module: nn.Module,
    query: Float[Tensor, "row head position width"],
    key: Float[Tensor, "row group key width"],
    value: Float[Tensor, "row group key width"],
    attention_mask: Tensor | None,
    scaling: float | None = None,
    max_length_q: int | None = None,
    **kwargs: Any,
) -> tuple[Float[Tensor, "row position head width"], None]:
    """Return what each token gathers; with a mask that is none of `packed_inputs`, as transformers' SDPA does."""
    if max_length_q is None or attention_mask is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    assert not (module.training and kwargs.get("dropout")), "packed rows are read without dropout"
    boundaries = rearrange(attention_mask, "1 1 1 boundary -> boundary")
    rows = query.shape[0]
    # rotation may have widened queries and keys under autocast; values keep the dtype that was asked for
    query, key, value = (
        rearrange(each, "row head position width -> (row position) head width").to(value.dtype)
        for each in (query, key, value)
    )
    if query.is_cuda and value.dtype in _KERNEL_DTYPES:
        gathered: Any = varlen_attn(
            query,
            key,
            value,
            boundaries,
            boundaries,
            max_length_q,
            max_length_q,
            scale=scaling,
            window_size=(-1, 0),
            **_GROUPED,
        )
    else:
        gathered = one_by_one(query, key, value, boundaries, scaling=scaling)
    return rearrange(gathered, "(row position) head width -> row position head width", row=rows), None


def one_by_one(
    query: Float[Tensor, "token head width"],
    key: Float[Tensor, "token group width"],
    value: Float[Tensor, "token group width"],
    boundaries: Int[Tensor, " boundary"],
    *,
    scaling: float | None,
) -> Float[Tensor, "token head width"]:
    """Return what each token gathers from those of its conversation, by plain causal SDPA on each."""
    lengths = boundaries.diff().tolist()
    conversations = zip(query.split(lengths), key.split(lengths), value.split(lengths), strict=True)
    return torch.cat([_causal(*one, scaling=scaling) for one in conversations])


def _causal(query: Tensor, key: Tensor, value: Tensor, *, scaling: float | None) -> Tensor:
    query, key, value = (rearrange(each, "token head width -> 1 head token width") for each in (query, key, value))
    grouped = key.shape[1] != query.shape[1]
    gathered = F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=grouped)
    return rearrange(gathered, "1 head token width -> token head width")
