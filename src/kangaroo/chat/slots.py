"""Keys and values of a running batch: one slot a row, and attention that reads of each slot what is filled.

Rows lie in the first slots without gaps, so that leaving moves the last one; they differ in length and nothing pads
them. On a GPU in half precision one kernel serves all rows, told their lengths by a tensor; elsewhere rows attend one
after the other. Room is made when a row joins, for all that it may come to say: no step moves a buffer.
Axes: slot, row (a slot in use), head, group (of heads that share keys), position, width (of a head).
"""

from itertools import count
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from kangaroo.chat.cache import GrowingCache
from kangaroo.model.modeling import KangarooForConditionalGeneration

# what transformers calls this attention
SLOTS = "kangaroo_slots"
_CHUNK = 256  # positions; also what paged kernels like for a page
_BUFFERS = count()  # of all slots: two never have the same number
_KERNEL_DTYPES = (torch.float16, torch.bfloat16)


def allow_slots(model: KangarooForConditionalGeneration) -> None:
    """Let the model's language model go on in `Slots`; everything else it reads as before. Nothing of it is saved."""
    ALL_ATTENTION_FUNCTIONS.register(SLOTS, slot_attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(SLOTS, sdpa_mask)
    model.model.language_model.set_attn_implementation(SLOTS)


class Slots:
    """The cache of a running batch.

    >>> slots = Slots()
    >>> slots.put(cache, room=len(prompt) + max_new_tokens)
    >>> states = language_model(inputs_embeds=embeds, past_key_values=slots, **slots.inputs()).last_hidden_state
    >>> slots.advance()

    Attributes:
        lengths: How many positions of each row are filled.
        layers: Keys and values of each layer.
        positions: Where each row's next token stands, on the device.
        seen: How many positions it attends to.
        buffers: A number that no other buffers have or had, here or in other slots: while it stays, what is in layers,
            positions and seen stays where it is.
    """

    positions: Int[Tensor, " row"]
    seen: Int[Tensor, " row"]

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.layers: list[tuple[Tensor, Tensor]] = []
        self.buffers = self._settled = next(_BUFFERS)
        self._positions, self._seen = torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.int32)

    def put(self, cache: GrowingCache, *, room: int) -> None:
        """Add a row: what `cache` holds, with room for so many positions in all.

        The cache is emptied layer by layer, so that there is never room for two.

        Raises:
            torch.OutOfMemoryError: There is no memory for it; the other rows are as they were.
        """
        room = -(-room // _CHUNK) * _CHUNK
        row, length = len(self.lengths), cache.get_seq_length()
        given = [(layer.keys, layer.values) for layer in reversed(cache.layers)]
        cache.layers.clear()
        try:
            for number in range(len(given)):
                own = given.pop()
                if number == len(self.layers):
                    self.layers.append((_buffer(own[0], 1, room), _buffer(own[1], 1, room)))
                    self.buffers = next(_BUFFERS)
                # a row that did not fit may have left some layers larger than others
                slots, before = self.layers[number][0].shape[0], self.layers[number][0].shape[2]
                if row == slots or room > before:
                    self._grow(number, slots=slots + 1 + slots // 8 if row == slots else slots, room=max(room, before))
                for buffer, states in zip(self.layers[number], own, strict=True):
                    buffer[row, :, :length] = states[0]
            self.lengths.append(length)
        finally:
            self._settle()

    def take(self, row: int) -> GrowingCache:
        """Return what a row holds, which is to be dropped then.

        It is the row's own memory, where that serves no other and is not much larger; else a copy.
        """
        cache, length = GrowingCache(), self.lengths[row]
        for layer in self.layers:
            slots, _, room, _ = layer[0].shape
            is_own = slots == 1 and room <= length + length // 4 + _CHUNK
            own = (each[row : row + 1, :, :length] for each in layer)
            cache.add_layer(*(each if is_own else each.clone() for each in own))
        return cache

    def drop(self, row: int) -> None:
        """Forget a row; the last one takes its place. With the last row all memory goes."""
        length = self.lengths.pop()
        if row < len(self.lengths):
            for layer in self.layers:
                for buffer in layer:
                    buffer[row, :, :length] = buffer[len(self.lengths), :, :length]
            self.lengths[row] = length
        if not self.lengths:
            self.layers = []
        self._settle()

    def inputs(self) -> dict[str, Any]:
        """Return a language model's keyword arguments, beside one new token of each row: `[row, 1, width]`."""
        return {
            # transformers hands a mask of four axes on as it is, and asks for none itself
            "attention_mask": rearrange(self.seen, "row -> row 1 1 1"),
            "position_ids": rearrange(self.positions, "row -> row 1"),
            "past_key_values": self,
            "slots": self,
            "use_cache": True,
        }

    def advance(self) -> None:
        """The new tokens have been read by all layers."""
        self.lengths = [length + 1 for length in self.lengths]
        self.positions += 1
        self.seen += 1

    def update(
        self,
        keys: Float[Tensor, "row group 1 width"],
        values: Float[Tensor, "row group 1 width"],
        layer: int,
    ) -> tuple[Float[Tensor, "slot group position width"], Float[Tensor, "slot group position width"]]:
        """Write the new tokens' states, and return the layer's buffers."""
        for buffer, states in zip(self.layers[layer], (keys, values), strict=True):
            if _in_one_kernel(states):
                buffer.transpose(1, 2)[self._places, self.positions] = states[:, :, 0]
            else:
                for row, length in enumerate(self.lengths):
                    buffer[row, :, length] = states[row, :, 0]
        return self.layers[layer]

    def attend(
        self,
        query: Float[Tensor, "row head 1 width"],
        keys: Float[Tensor, "slot group position width"],
        values: Float[Tensor, "slot group position width"],
        *,
        scaling: float | None,
    ) -> Float[Tensor, "row 1 head width"]:
        """Return what the new token of each row gathers from its row."""
        if _in_one_kernel(query):
            # torch.nn.attention.varlen names seqused_k from torch 2.12 on; the operator beneath has it in 2.11 too
            gathered = torch.ops.aten._flash_attention_forward(
                rearrange(query, "row head 1 width -> row head width"),
                *(
                    rearrange(each, "slot group position width -> (slot position) group width")
                    for each in (keys, values)
                ),
                self._ends,
                self._starts[keys.shape[2]],
                1,
                max(self.lengths) + 1,
                0.0,
                False,
                False,
                scale=scaling,
                seqused_k=self.seen,
            )[0]
            return rearrange(gathered, "row head width -> row 1 head width")
        rows, heads, _, width = query.shape
        # heads that share keys stand in for positions: no keys are repeated
        folded = query.reshape(rows, keys.shape[1], -1, width)
        own = [
            F.scaled_dot_product_attention(
                folded[row : row + 1],
                keys[row : row + 1, :, : length + 1],
                values[row : row + 1, :, : length + 1],
                scale=scaling,
            )
            for row, length in enumerate(self.lengths)
        ]
        return (torch.cat(own) if rows > 1 else own[0]).reshape(rows, 1, heads, width)

    def _grow(self, number: int, *, slots: int, room: int) -> None:
        grown = []
        for buffer in self.layers[number]:
            larger = _buffer(buffer, slots, room)
            for row, length in enumerate(self.lengths):
                larger[row, :, :length] = buffer[row, :, :length]
            grown.append(larger)
        self.layers[number] = grown[0], grown[1]
        self.buffers = next(_BUFFERS)

    def _settle(self) -> None:
        """Tell the device who is there."""
        if self._settled != self.buffers:
            self._settled = self.buffers
            keys, _ = self.layers[0]
            self._positions = torch.zeros(len(keys), dtype=torch.long, device=keys.device)
            self._seen = torch.zeros(len(keys), dtype=torch.int32, device=keys.device)
        rows, device = len(self.lengths), self._positions.device
        self.positions, self.seen = self._positions[:rows], self._seen[:rows]
        self.positions.copy_(torch.tensor(self.lengths))
        self.seen.copy_(self.positions + 1)
        self._places = torch.arange(rows, device=device)
        self._ends = torch.arange(rows + 1, dtype=torch.int32, device=device)
        self._starts = {keys.shape[2]: self._ends * keys.shape[2] for keys, _ in self.layers}


def slot_attention(
    module: nn.Module,
    query: Float[Tensor, "row head position width"],
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    slots: Slots | None = None,
    **kwargs: Any,
) -> tuple[Float[Tensor, "row position head width"], None]:
    """Return what each token gathers; without slots as transformers' SDPA does."""
    if slots is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    return slots.attend(query, key, value, scaling=scaling), None


def _in_one_kernel(states: Tensor) -> bool:
    return states.is_cuda and states.dtype in _KERNEL_DTYPES


def _buffer(like: Tensor, slots: int, room: int) -> Float[Tensor, "slot group position width"]:
    groups, width = like.shape[1], like.shape[3]
    if _in_one_kernel(like):
        # slots on end are one long row for the kernel, heads inside
        return like.new_empty(slots, room, groups, width).transpose(1, 2)
    return like.new_empty(slots, groups, room, width)
