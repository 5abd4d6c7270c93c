"""What stands between the matrix products of a Llama layer that reads one token a row, as Triton kernels.

PyTorch would run some thirty small kernels there, each as long as its launch; these are five. They say what the plain
layers say, rounded once where those round several times. Imports Triton, which only GPU builds of PyTorch bring.
Axes: row, head, group (of heads that share keys), position, width (of a head), split (a share of the positions).
"""

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int, Int8
from torch import Tensor

_BLOCK = 64  # positions that are read at a time
_PROGRAMS = 256  # wanted at a time: about two for each of a large GPU's processors
_MOST_SPLITS = 64
# a matrix unit takes sixteen rows at a time; outputs and inputs of a program, and how many of its reads run ahead
MOST_ROWS, _OUTPUTS, _INPUTS, _STAGES = 16, 32, 256, 4


@triton.jit
@no_type_check
def _add_norm(hidden, delta, weight, normed, width, eps, block: tl.constexpr):
    row, column = tl.program_id(0).to(tl.int64), tl.arange(0, block)
    inside = column < width
    place = row * width + column
    total = tl.load(hidden + place, mask=inside, other=0.0) + tl.load(delta + place, mask=inside, other=0.0)
    tl.store(hidden + place, total, mask=inside)
    exact = total.to(tl.float32)
    scaled = (exact * tl.rsqrt(tl.sum(exact * exact, axis=0) / width + eps)).to(total.dtype)
    tl.store(normed + place, scaled * tl.load(weight + column, mask=inside, other=0.0), mask=inside)


def add_norm(
    hidden: Float[Tensor, "row hidden"],
    delta: Float[Tensor, "row hidden"],
    weight: Float[Tensor, " hidden"],
    *,
    eps: float,
) -> Float[Tensor, "row hidden"]:
    """Add `delta` to `hidden` in place, and return that normed by its root mean square."""
    rows, width = hidden.shape
    normed = torch.empty_like(hidden)
    _add_norm[(rows,)](hidden, delta, weight, normed, width, eps, block=triton.next_power_of_2(width))
    return normed


@triton.jit
@no_type_check
def _turn_and_write(
    states, cosines, sines, places, queries, keys, values, slot_stride, position_stride, group_stride,
    heads: tl.constexpr, groups: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    row, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    half = tl.arange(0, width // 2)
    own = states + (row * (heads + 2 * groups) + head) * width
    first, second = tl.load(own + half), tl.load(own + width // 2 + half)
    place = tl.load(places + row)
    if head < heads + groups:
        cosine, sine = tl.load(cosines + row * width // 2 + half), tl.load(sines + row * width // 2 + half)
        one, other = first.to(tl.float32), second.to(tl.float32)
        first = (one * cosine - other * sine).to(first.dtype)
        second = (other * cosine + one * sine).to(second.dtype)
    if head < heads:
        target = queries + (row * heads + head) * width
    elif head < heads + groups:
        target = keys + row * slot_stride + place * position_stride + (head - heads) * group_stride
    else:
        target = values + row * slot_stride + place * position_stride + (head - heads - groups) * group_stride
    tl.store(target + half, first)
    tl.store(target + width // 2 + half, second)


def turn_and_write(
    states: Float[Tensor, "row states"],
    cosines: Float[Tensor, "row half"],
    sines: Float[Tensor, "row half"],
    places: Int[Tensor, " row"],
    keys: Float[Tensor, "slot group position width"],
    values: Float[Tensor, "slot group position width"],
) -> Float[Tensor, "row head width"]:
    """Turn queries and keys by their angles, write keys and values into their slots, and return the queries.

    Args:
        states: Queries, keys and values of each row on end.
        cosines: Of the angles by which the rotary embedding turns each row, in float32.
        sines: Likewise.
        places: Where the row's keys and values are written in its slot.
        keys: Of all slots; both buffers lie alike.
        values: Likewise.
    """
    assert keys.stride() == values.stride(), "keys and values lie alike"
    groups, width = keys.shape[1], keys.shape[3]
    rows, heads = len(states), states.shape[1] // width - 2 * groups
    queries = states.new_empty(rows, heads, width)
    slot, group, position, _ = keys.stride()
    _turn_and_write[(rows, heads + 2 * groups)](
        states, cosines, sines, places, queries, keys, values, slot, position, group,
        heads=heads, groups=groups, width=width,
    )  # fmt: skip
    return queries


@triton.jit
@no_type_check
def _attend_split(
    queries, keys, values, seen, gathered, marks, slot_stride, position_stride, group_stride, scale,
    groups: tl.constexpr, shared: tl.constexpr, width: tl.constexpr, splits: tl.constexpr, block: tl.constexpr,
    padded: tl.constexpr,
):  # fmt: skip
    row, group, split = tl.program_id(0) // groups, tl.program_id(0) % groups, tl.program_id(1)
    length = tl.load(seen + row)
    share = tl.cdiv(tl.cdiv(length, splits), block) * block
    start, end = split * share, tl.minimum((split + 1) * share, length)
    # a product of matrices wants sixteen rows
    head, column, place = tl.arange(0, padded), tl.arange(0, width), tl.arange(0, block)
    own = (row * groups + group) * shared
    query = tl.load(queries + (own + head[:, None]) * width + column[None, :], mask=head[:, None] < shared, other=0.0)
    base = row.to(tl.int64) * slot_stride + group * group_stride
    highest = tl.full([padded], float("-inf"), tl.float32)
    total = tl.zeros([padded], tl.float32)
    result = tl.zeros([padded, width], tl.float32)
    for at in range(start, end, block):
        position = at + place
        inside = position < end
        where = base + position[:, None].to(tl.int64) * position_stride + column[None, :]
        key = tl.load(keys + where, mask=inside[:, None], other=0.0)
        score = tl.where(inside[None, :], tl.dot(query, tl.trans(key)) * scale, float("-inf"))
        higher = tl.maximum(highest, tl.max(score, axis=1))
        chance, kept = tl.exp2(score - higher[:, None]), tl.exp2(highest - higher)
        value = tl.load(values + where, mask=inside[:, None], other=0.0)
        result = result * kept[:, None] + tl.dot(chance.to(value.dtype), value)
        total = total * kept + tl.sum(chance, axis=1)
        highest = higher
    mine = (own + head) * splits + split
    tl.store(gathered + mine[:, None] * width + column[None, :], result, mask=head[:, None] < shared)
    tl.store(marks + mine * 2, highest, mask=head < shared)
    tl.store(marks + mine * 2 + 1, total, mask=head < shared)


@triton.jit
@no_type_check
def _join_splits(gathered, marks, joined, splits: tl.constexpr, width: tl.constexpr):
    head, split, column = tl.program_id(0), tl.arange(0, splits), tl.arange(0, width)
    mine = head * splits + split
    highest, total = tl.load(marks + mine * 2), tl.load(marks + mine * 2 + 1)
    weight = tl.exp2(highest - tl.max(highest, axis=0))
    result = tl.load(gathered + mine[:, None] * width + column[None, :])
    mean = tl.sum(result * weight[:, None], axis=0) / tl.sum(total * weight, axis=0)
    tl.store(joined + head * width + column, mean.to(joined.dtype.element_ty))


def attend(
    queries: Float[Tensor, "row head width"],
    keys: Float[Tensor, "slot group position width"],
    values: Float[Tensor, "slot group position width"],
    seen: Int[Tensor, " row"],
    *,
    scale: float,
) -> Float[Tensor, "row states"]:
    """Return what each head gathers from the first `seen` positions of its row's slot, heads on end.

    Positions are shared out over the GPU's processors, so that one long row keeps all of them busy. How many positions
    there are is read on the device: nothing but the number of rows is settled when the kernel is launched.
    """
    assert keys.stride() == values.stride(), "keys and values lie alike"
    rows, heads, width = queries.shape
    groups = keys.shape[1]
    splits = min(_MOST_SPLITS, triton.next_power_of_2(max(1, _PROGRAMS // (rows * groups))))
    gathered = queries.new_empty(rows * heads, splits, width, dtype=torch.float32)
    marks = queries.new_empty(rows * heads, splits, 2, dtype=torch.float32)
    joined = queries.new_empty(rows, heads * width)
    slot, group, position, _ = keys.stride()
    _attend_split[(rows * groups, splits)](
        queries, keys, values, seen, gathered, marks, slot, position, group, scale * _LOG2_E,
        groups=groups, shared=heads // groups, width=width, splits=splits, block=_BLOCK,
        padded=max(16, triton.next_power_of_2(heads // groups)),
    )  # fmt: skip
    _join_splits[(rows * heads,)](gathered, marks, joined, splits=splits, width=width)
    return joined


_LOG2_E: Any = 1.4426950408889634  # powers of two are cheaper than of e


@triton.jit
@no_type_check
def _gate(states, gated, width, block: tl.constexpr):
    row, column = tl.program_id(0), tl.program_id(1) * block + tl.arange(0, block)
    inside = column < width
    gate = tl.load(states + row * 2 * width + column, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(states + (row * 2 + 1) * width + column, mask=inside, other=0.0)
    opened = (gate * tl.sigmoid(gate)).to(up.dtype)
    tl.store(gated + row * width + column, opened * up, mask=inside)


def gate(states: Float[Tensor, "row both"]) -> Float[Tensor, "row inner"]:
    """Return the second half of each row, opened by the SiLU of the first."""
    rows, width = len(states), states.shape[1] // 2
    gated = states.new_empty(rows, width)
    _gate[(rows, triton.cdiv(width, 1024))](states, gated, width, block=1024)
    return gated


@triton.jit
@no_type_check
def _product_int8(
    values, weight, scale, product, rows, inputs, outputs,
    padded: tl.constexpr, block_out: tl.constexpr, block_in: tl.constexpr, stages: tl.constexpr,
):  # fmt: skip
    row, out = tl.arange(0, padded)[None, :], tl.program_id(0) * block_out + tl.arange(0, block_out)
    known_row, known_out = row < rows, out[:, None] < outputs
    total = tl.zeros([block_out, padded], tl.float32)
    # weights stand first: they come whole from memory and go as they come to the matrix units
    for at in tl.range(0, inputs, block_in, num_stages=stages):
        column = at + tl.arange(0, block_in)
        value = tl.load(values + row * inputs + column[:, None], mask=known_row & (column[:, None] < inputs), other=0.0)
        whole = tl.load(
            weight + out[:, None].to(tl.int64) * inputs + column[None, :],
            mask=known_out & (column[None, :] < inputs),
            other=0,
        )
        total += tl.dot(whole.to(value.dtype), value)
    factor = tl.load(scale + out, mask=out < outputs, other=0.0).to(tl.float32)
    place = product + row * outputs + out[:, None]
    tl.store(place, (total * factor[:, None]).to(scale.dtype.element_ty), mask=known_row & known_out)


def product_int8(
    values: Float[Tensor, "row input"], weight: Int8[Tensor, "output input"], scale: Float[Tensor, " output"]
) -> Float[Tensor, "row output"]:
    """Return the rows' products with weights in eight bits, each output times its scale; at most `MOST_ROWS` rows.

    The weights are read once, as they are: half the bytes that half precision would take.
    """
    assert len(values) <= MOST_ROWS, f"{len(values)} rows at once"
    (rows, inputs), outputs = values.shape, len(weight)
    product = values.new_empty(rows, outputs)
    _product_int8[(triton.cdiv(outputs, _OUTPUTS),)](
        values, weight, scale, product, rows, inputs, outputs,
        padded=MOST_ROWS, block_out=_OUTPUTS, block_in=_INPUTS, stages=_STAGES,
    )  # fmt: skip
    return product
