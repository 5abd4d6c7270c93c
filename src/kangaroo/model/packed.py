"""Attention over packed rows: each conversation sees itself alone, and what came before.

transformers would write a mask of [position, position] for rows whose positions restart. Here the rows are laid end
to end and attention runs conversation by conversation: on a GPU in one kernel for all of them, or one for each where
they are long (`long_packed`), elsewhere one after the other, so no memory and no work grows with the square of the row.
Ranks that share rows hold a slice of each: queries stay where they are, keys and values come from all ranks.
Axes: row, position (in a row), head, width (of a head), token (of the rows laid end to end), key (that a slice's
queries attend to), boundary (between conversations).
"""

from inspect import signature
from itertools import accumulate, pairwise
from threading import Lock
from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.varlen import varlen_attn
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from kangaroo.model.long_packed import attend_long
from kangaroo.model.modeling import KangarooForConditionalGeneration

# what transformers calls this attention
PACKED = "kangaroo_packed"
# torch 2.11 takes fewer heads for keys than for queries unasked; later ones want to be told
_GROUPED: dict[str, Any] = {"enable_gqa": True} if "enable_gqa" in signature(varlen_attn).parameters else {}
HALVES = (torch.float16, torch.bfloat16)
# kinds of attention on a GPU, for long prompts and for frames
_FASTEST_FIRST = [
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]
_CHOOSING = Lock()  # the order is the process's


def attend_fastest(
    queries: Float[Tensor, "row head token width"],
    keys: Float[Tensor, "row group position width"],
    values: Float[Tensor, "row group position width"],
    **options: Any,
) -> Float[Tensor, "row head token width"]:
    """Return what torch's SDPA returns, by the kind of attention that is fastest for long sequences on a GPU."""
    with _CHOOSING, sdpa_kernel(_FASTEST_FIRST, set_priority=True):
        return F.scaled_dot_product_attention(queries, keys, values, **options)


def allow_packed_rows(model: KangarooForConditionalGeneration) -> None:
    """Let the model's language model read packed rows (`packed_inputs`); everything else it reads as before.

    Call it once before training. Nothing of it is saved with the model.
    """
    ALL_ATTENTION_FUNCTIONS.register(PACKED, packed_attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(PACKED, sdpa_mask)
    model.model.language_model.set_attn_implementation(PACKED)


class ContextGroup(NamedTuple):
    """Ranks that share rows, each holding an equal slice of every row's positions.

    Attributes:
        name: Of their process group.
        rank: This one's place among them; it holds the slice of that number.
        size: How many they are.
    """

    name: str
    rank: int
    size: int


class SharedKeys(NamedTuple):
    """The keys that the queries of a slice attend to.

    Attributes:
        places: Where they are in the slices of all ranks laid end to end.
        boundaries: Where each conversation's begin among them, and where the last ends; int32. Its last key is its
            last query in the slice.
        longest: The most that one conversation has.
        context: The ranks that hold them.
    """

    places: Int[Tensor, " key"]
    boundaries: Int[Tensor, " boundary"]
    longest: int
    context: ContextGroup


class Slice(NamedTuple):
    """What attention must know about a rank's slice of the rows, on the CPU: see `packed_inputs`."""

    boundaries: Int[Tensor, " boundary"]
    longest: int
    keys: SharedKeys


def cut(boundaries: Int[Tensor, " boundary"], *, num_rows: int, num_positions: int, context: ContextGroup) -> Slice:
    """Return the conversations, or parts of them, that fall in this rank's slice, and the keys that they need.

    Args:
        boundaries: Where conversations begin in the whole rows laid end to end, and where the last ends.
        num_rows: How many rows there are.
        num_positions: Length of a whole row; the ranks divide it.
        context: Who shares the rows.
    """
    length = num_positions // context.size
    queries, keys, places = [0], [0], []
    for begin, end in pairwise(boundaries.tolist()):
        row, position = divmod(begin, num_positions)
        start = context.rank * length
        first, last = max(position, start), min(position + end - begin, start + length)
        if first >= last:
            continue
        queries.append(last - first)
        keys.append(last - position)
        seen = torch.arange(position, last)
        # slices come rank by rank, and in each row by row
        places.append((seen // length * num_rows + row) * length + seen % length)
    return Slice(
        boundaries=torch.tensor([*accumulate(queries)], dtype=torch.int32),
        longest=max(queries),
        keys=SharedKeys(
            places=torch.cat(places),
            boundaries=torch.tensor([*accumulate(keys)], dtype=torch.int32),
            longest=max(keys),
            context=context,
        ),
    )


def packed_inputs(
    boundaries: Int[Tensor, " boundary"],
    position_ids: Int[Tensor, "row position"],
    *,
    longest: int,
    here: Int[Tensor, " boundary"] | None = None,
    keys: SharedKeys | None = None,
) -> dict[str, Any]:
    """Return the keyword arguments of a language model that `allow_packed_rows` has seen, beside what it reads.

    Args:
        boundaries: Where conversations begin in the rows laid end to end, and where the last ends; int32, on the
            model's device. No conversation goes over a row's end.
        position_ids: Begin anew with each conversation.
        longest: Tokens of the longest conversation: known here, so that no GPU is asked for it.
        here: The boundaries again, on the CPU, where each conversation is to have kernels of its own (`are_long`).
        keys: Where the rows are slices of longer ones, what `cut` says of keys, on the model's device.
    """
    return {
        # transformers hands a mask of four axes to attention as it is; ours is where conversations meet
        "attention_mask": rearrange(boundaries, "boundary -> 1 1 1 boundary"),
        "position_ids": position_ids,
        "max_length_q": longest,
        "long_conversations": here,
        "shared_keys": keys,
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
    long_conversations: Int[Tensor, " boundary"] | None = None,
    shared_keys: SharedKeys | None = None,
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
    key_boundaries, longest_key = boundaries, max_length_q
    if shared_keys is not None:
        key_boundaries, longest_key = shared_keys.boundaries, shared_keys.longest
        together = gather(torch.cat([key, value], dim=-1), shared_keys.context)
        key, value = together.index_select(0, shared_keys.places).chunk(2, dim=-1)
    if long_conversations is not None and _has_kernel(query):
        gathered: Any = attend_long(query, key, value, long_conversations, scaling or query.shape[-1] ** -0.5)[0]
    else:
        gathered = attend_each(
            query, key, value, boundaries, key_boundaries, max_length_q, longest_key, scaling=scaling
        )
    return rearrange(gathered, "(row position) head width -> row position head width", row=rows), None


def attend_each(
    query: Float[Tensor, "token head width"],
    key: Float[Tensor, "key group width"],
    value: Float[Tensor, "key group width"],
    boundaries: Int[Tensor, " boundary"],
    key_boundaries: Int[Tensor, " boundary"],
    longest: int,
    longest_key: int,
    *,
    scaling: float | None,
) -> Float[Tensor, "token head width"]:
    """Return what each token gathers from those of its conversation up to itself: on a GPU by one kernel for all.

    A conversation may have more keys than queries: its last query sees all of them, the one before all but one.
    """
    if not _has_kernel(query):
        return one_by_one(query, key, value, boundaries, key_boundaries, scaling=scaling)
    # its causal window ends with queries and keys (FlashAttention 2.1 and later)
    ends = {"window_size": (-1, 0), **_GROUPED}
    gathered: Any = varlen_attn(
        query, key, value, boundaries, key_boundaries, longest, longest_key, scale=scaling, **ends
    )
    return gathered


def _has_kernel(query: Tensor) -> bool:
    return query.is_cuda and query.dtype in HALVES


def one_by_one(
    query: Float[Tensor, "token head width"],
    key: Float[Tensor, "key group width"],
    value: Float[Tensor, "key group width"],
    boundaries: Int[Tensor, " boundary"],
    key_boundaries: Int[Tensor, " boundary"],
    *,
    scaling: float | None,
) -> Float[Tensor, "token head width"]:
    """Return what `attend_each` returns, by plain causal SDPA on each conversation."""
    queries, keys = boundaries.diff().tolist(), key_boundaries.diff().tolist()
    conversations = zip(query.split(queries), key.split(keys), value.split(keys), strict=True)
    return torch.cat([_causal(*one, scaling=scaling) for one in conversations])


def _causal(query: Tensor, key: Tensor, value: Tensor, *, scaling: float | None) -> Tensor:
    num_queries, num_keys = len(query), len(key)
    mask = None
    if num_queries != num_keys:
        mask = query.new_ones(num_queries, num_keys, dtype=torch.bool).tril(num_keys - num_queries)
    query, key, value = (rearrange(each, "token head width -> 1 head token width") for each in (query, key, value))
    gathered = F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        is_causal=mask is None,
        scale=scaling,
        enable_gqa=key.shape[1] != query.shape[1],
    )
    return rearrange(gathered, "1 head token width -> token head width")


def gather(local: Float[Tensor, "local ..."], context: ContextGroup) -> Float[Tensor, "whole ..."]:
    """Return the tensors of all ranks of the group on end; each rank gets back the sum of the gradients of its own.

    All ranks call it, with tensors of one shape.
    """
    gathered: Tensor = _Gather.apply(local, context.name, context.size)  # type: ignore[no-untyped-call]
    return gathered


class _Gather(torch.autograd.Function):
    # torch renamed its own autograd-aware gathering between 2.11 and 2.13; the operators beneath kept their names
    @staticmethod
    def forward(ctx: Any, local: Tensor, group: str, size: int) -> Tensor:
        ctx.group, ctx.size = group, size
        operators = torch.ops._c10d_functional
        gathered: Tensor = operators.wait_tensor(operators.all_gather_into_tensor(local.contiguous(), size, group))
        return gathered

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        operators = torch.ops._c10d_functional
        summed = operators.reduce_scatter_tensor(grad.contiguous(), "sum", ctx.size, ctx.group)
        return operators.wait_tensor(summed), None, None
