"""What stands between the matrix products of a block of the vision tower, as Triton kernels.

They say what the plain layers say, rounded once where those round several times. Imports Triton, which only GPU builds
of PyTorch bring. Axes: row (a token of a frame, frames on end), vision (its width), pair (of adjacent entries of a
head), inner (the MLP's width, with what pads it).
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor, nn


@triton.jit
@no_type_check
def _gained(normed, there, weight, bias, column):
    gain = tl.load(weight + column, mask=there, other=0.0).to(tl.float32)
    return normed * gain + tl.load(bias + column, mask=there, other=0.0).to(tl.float32)


@triton.jit
@no_type_check
def _add_layer_norm(hidden, delta, weight, bias, normed, width, eps, adds: tl.constexpr, block: tl.constexpr):
    place, column = tl.program_id(0).to(tl.int64) * width, tl.arange(0, block)
    inside = column < width
    total = tl.load(hidden + place + column, mask=inside, other=0.0)
    if adds:
        total += tl.load(delta + place + column, mask=inside, other=0.0)
        tl.store(hidden + place + column, total, mask=inside)
    exact = total.to(tl.float32)
    centred = tl.where(inside, exact - tl.sum(exact, axis=0) / width, 0.0)
    scale = tl.rsqrt(tl.sum(centred * centred, axis=0) / width + eps)
    result = _gained(centred * scale, inside, weight, bias, column)
    tl.store(normed + place + column, result.to(total.dtype), mask=inside)


def add_layer_norm(
    hidden: Float[Tensor, "row vision"], delta: Float[Tensor, "row vision"] | None, norm: nn.LayerNorm
) -> Float[Tensor, "row vision"]:
    """Add `delta`, where there is one, to `hidden` in place, and return that normed."""
    rows, width = hidden.shape
    normed = torch.empty_like(hidden)
    _add_layer_norm[(rows,)](
        hidden, hidden if delta is None else delta, norm.weight, norm.bias, normed, width, norm.eps,
        adds=delta is not None, block=triton.next_power_of_2(width),
    )  # fmt: skip
    return normed


@triton.jit
@no_type_check
def _turn_pairs(states, cosines, sines, tokens, stride, width, pairs: tl.constexpr, block: tl.constexpr):
    row, column = tl.program_id(0), tl.arange(0, block)
    inside = column < width
    # queries, and behind them keys
    own = states + row.to(tl.int64) * stride + tl.program_id(1) * width + column
    even, odd = tl.split(tl.reshape(tl.load(own, mask=inside, other=0.0), [block // 2, 2]))
    angle = (row % tokens) * pairs + tl.arange(0, block // 2) % pairs
    cosine, sine = tl.load(cosines + angle), tl.load(sines + angle)
    one, other = even.to(tl.float32), odd.to(tl.float32)
    turned = tl.join(one * cosine - other * sine, other * cosine + one * sine)
    tl.store(own, tl.reshape(turned, [block]).to(even.dtype), mask=inside)


def turn_pairs(
    states: Float[Tensor, "row three_visions"],
    cosines: Float[Tensor, "token pair"],
    sines: Float[Tensor, "token pair"],
) -> None:
    """Turn queries and keys in place by the angles of their tokens.

    Args:
        states: Queries, keys and values of each row on end.
        cosines: Of the angles, in float32; frames all have the same.
        sines: Likewise.
    """
    (tokens, pairs), stride = cosines.shape, states.stride(0)
    width = states.shape[1] // 3
    _turn_pairs[(len(states), 2)](
        states, cosines, sines, tokens, stride, width, pairs=pairs, block=triton.next_power_of_2(width)
    )


@triton.jit
@no_type_check
def _opened(states, row, column, there, padded):
    gate = tl.load(states + row * 2 * padded + column, mask=there, other=0.0).to(tl.float32)
    up = tl.load(states + (row * 2 + 1) * padded + column, mask=there, other=0.0).to(tl.float32)
    return gate * tl.sigmoid(gate) * up


@triton.jit
@no_type_check
def _gate_norm(states, weight, bias, gated, width, padded, eps, first: tl.constexpr, rest: tl.constexpr):
    # a row in two parts, as rows are no power of two: of 4,096 numbers a third would be read for nothing. Its end is
    # padding: zeros, which count for nothing
    row = tl.program_id(0).to(tl.int64)
    head, tail = tl.arange(0, first), first + tl.arange(0, rest)
    all_there, there = head < padded, tail < padded
    opened, opened_tail = _opened(states, row, head, all_there, padded), _opened(states, row, tail, there, padded)
    mean = (tl.sum(opened, axis=0) + tl.sum(opened_tail, axis=0)) / width
    centred, centred_tail = opened - mean, tl.where(tail < width, opened_tail - mean, 0.0)
    squares = tl.sum(centred * centred, axis=0) + tl.sum(centred_tail * centred_tail, axis=0)
    scale = tl.rsqrt(squares / width + eps)
    kind = gated.dtype.element_ty
    own = gated + row * padded
    tl.store(own + head, _gained(centred * scale, all_there, weight, bias, head).to(kind))
    tl.store(own + tail, _gained(centred_tail * scale, there, weight, bias, tail).to(kind), mask=there)


def gate_norm(
    states: Float[Tensor, "row two_inners"],
    weight: Float[Tensor, " inner"],
    bias: Float[Tensor, " inner"],
    *,
    width: int,
    eps: float,
) -> Float[Tensor, "row inner"]:
    """Return the second half of each row, opened by the SiLU of the first and normed; zeros where it was padded.

    Args:
        states: Padded with zeros, as are weight and bias.
        weight: Of the norm.
        bias: Likewise.
        width: What the norm counts; what lies behind is padding.
        eps: Of the norm.
    """
    rows, padded = len(states), states.shape[1] // 2
    gated = states.new_empty(rows, padded)
    first = 1 << (width.bit_length() - 1)
    rest = triton.next_power_of_2(max(1, padded - first))
    _gate_norm[(rows,)](states, weight, bias, gated, width, padded, eps, first=first, rest=rest)
    return gated
