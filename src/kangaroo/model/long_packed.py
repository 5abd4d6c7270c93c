"""Attention over packed rows whose conversations are long: the chip's dense kernel, conversation by conversation.

The kernel that reads all conversations at once does so at half the rate of the dense one (cuDNN's on Hopper), which
has to plan for every length it meets. So conversations are padded to few lengths. A compiled layer takes the whole as
one operator. Axes: token (of the rows laid end to end), head, group (heads that share keys), width (of a head).
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

# conversations are padded to a multiple: two in a hundred of the longest rows at most, and few plans
_MULTIPLE = 512
# the mean length from which the 8B's conversations are worth it, and the width of its queries
LONG_TOKENS, _LONG_WIDTH = 2048, 4096


def are_long(boundaries: Int[Tensor, " boundary"], *, width: int) -> bool:
    """Say whether conversations are so long that each is worth kernels of its own.

    What they save grows with the square of the length and with the width; what it costs to launch them does not.

    Args:
        boundaries: Where conversations begin, and where the last ends, on the CPU.
        width: Of a token's queries, all heads together.
    """
    mean = int(boundaries[-1]) / (len(boundaries) - 1)
    return mean**2 * width >= LONG_TOKENS**2 * _LONG_WIDTH


@torch.library.custom_op("kangaroo::attend_long", mutates_args=())
def attend_long(query: Tensor, key: Tensor, value: Tensor, boundaries: Tensor, scaling: float) -> tuple[Tensor, Tensor]:
    """Return what each token gathers from its conversation up to itself, and the logarithms of the softmax's sums.

    Args:
        query: `[token, head, width]`, half precision on a GPU.
        key: `[token, group, width]`.
        value: `[token, group, width]`.
        boundaries: Where conversations begin, and where the last ends, on the CPU.
        scaling: Of the products.
    """
    gathered = torch.empty_like(query)
    normalisers = query.new_empty(query.shape[1], len(query), dtype=torch.float32)
    for tokens in _conversations(boundaries):
        length = tokens.stop - tokens.start
        dense = [_dense(each[tokens]) for each in (query, key, value)]
        if query.is_cuda:
            found, sums = torch.ops.aten._scaled_dot_product_cudnn_attention(
                *dense, None, True, is_causal=True, scale=scaling
            )[:2]
            sums = rearrange(sums, "1 head token 1 -> head token")
        else:
            found, sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                *dense, is_causal=True, scale=scaling
            )
            sums = rearrange(sums, "1 head token -> head token")
        gathered[tokens] = _rows(found, length)
        normalisers[:, tokens] = sums[:, :length]
    return gathered, normalisers


@attend_long.register_fake
def _(query: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(query), query.new_empty(query.shape[1], query.shape[0], dtype=torch.float32)


@torch.library.custom_op("kangaroo::attend_long_backward", mutates_args=())
def _backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    boundaries: Tensor,
    gathered: Tensor,
    normalisers: Tensor,
    scaling: float,
) -> tuple[Tensor, Tensor, Tensor]:
    grads = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
    for tokens in _conversations(boundaries):
        length = tokens.stop - tokens.start
        # what was padded has no gradient and gives none, whatever its softmax
        dense = [_dense(each[tokens]) for each in (grad, query, key, value, gathered)]
        sums = F.pad(normalisers[:, tokens], (0, -length % _MULTIPLE))
        if query.is_cuda:
            unused = torch.zeros((), dtype=torch.int64, device=query.device)  # random state, of dropout alone
            longest = dense[0].shape[2]
            found = torch.ops.aten._scaled_dot_product_cudnn_attention_backward(
                *dense,
                rearrange(sums, "head token -> 1 head token 1"),
                unused,
                unused,
                None,
                None,
                None,
                longest,
                longest,
                0.0,
                True,
                scale=scaling,
            )
        else:
            found = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                *dense, rearrange(sums, "head token -> 1 head token"), 0.0, True, scale=scaling
            )
        for whole, part in zip(grads, found, strict=True):
            whole[tokens] = _rows(part, length)
    return grads


@_backward.register_fake
def _(_: Tensor, query: Tensor, key: Tensor, value: Tensor, *__: Any) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.scaling = inputs
    ctx.save_for_backward(*tensors, *output)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    return *_backward(grad, *ctx.saved_tensors, ctx.scaling), None, None


attend_long.register_autograd(_differentiate, setup_context=_keep)


def _conversations(boundaries: Tensor) -> Iterator[slice]:
    for start, stop in pairwise(boundaries.tolist()):
        yield slice(start, stop)


def _dense(tokens: Float[Tensor, "token head width"]) -> Float[Tensor, "1 head padded width"]:
    padded = F.pad(tokens, (0, 0, 0, 0, 0, -len(tokens) % _MULTIPLE))
    return rearrange(padded, "token head width -> 1 head token width")


def _rows(dense: Float[Tensor, "1 head padded width"], length: int) -> Float[Tensor, "token head width"]:
    return rearrange(dense, "1 head token width -> token head width")[:length]
