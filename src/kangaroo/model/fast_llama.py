"""A Llama on a GPU with ten kernels a layer instead of some forty: for a whole prompt, for what follows, for one token.

The same weights, in half precision or in eight bits, and the same numbers as the plain layers give, to rounding.
Projections that read the same states are one product: their weights are laid end to end, and the modules keep theirs as
views.
Axes: row, slot, token (of one row), head, group (of heads that share keys), position, width (of a head).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Int8
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.cache_utils import Cache
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaModel

from kangaroo.model.gpu import can_be_read, runs_kernels, there
from kangaroo.model.int8 import Int8Linear, product_of
from kangaroo.model.laid import end_to_end
from kangaroo.model.packed import attend_each, attend_fastest

_FEW_TOKENS = 64  # each of so few reads the keys by itself, as rows do
_TOKENS_AT_ONCE = 8192  # are widened, for memory's sake

Attend = Callable[[int, Tensor], Tensor]


def fast_llama(llama: LlamaModel) -> "FastLlama | None":
    """Return a language model's fast reader; None where the model, or where it is, does not suit."""
    config = llama.config
    width = config.head_dim
    suits = (
        width & (width - 1) == 0
        and config.hidden_act == "silu"
        and all(_are_alike(parts) for layer in llama.layers for parts in _products(layer))
    )
    return FastLlama(llama) if suits and can_be_read(llama) and runs_kernels(llama.norm.weight) else None


def _products(layer: LlamaDecoderLayer) -> tuple[list[nn.Module], ...]:
    """Return what multiplies, in the order in which a layer does; what reads the same states stands together."""
    attention, mlp = layer.self_attn, layer.mlp
    return (
        [attention.q_proj, attention.k_proj, attention.v_proj],
        [attention.o_proj],
        [mlp.gate_proj, mlp.up_proj],
        [mlp.down_proj],
    )


def _are_alike(parts: list[nn.Module]) -> bool:
    return any(all(type(part) is kind and part.bias is None for part in parts) for kind in (nn.Linear, Int8Linear))


class _Matrix(NamedTuple):
    """The weights of projections that read the same states, end to end, and their scales where they are in int8."""

    weight: Float[Tensor, "output input"] | Int8[Tensor, "output input"]
    scale: Float[Tensor, " output"] | None

    def __call__(self, values: Float[Tensor, "token input"]) -> Float[Tensor, "token output"]:
        from kangaroo.model.kernels import MOST_ROWS, product_int8

        if self.scale is None:
            return F.linear(values, self.weight)
        if len(values) <= MOST_ROWS:
            return product_int8(values, self.weight, self.scale)
        return product_of(values, self.weight, self.scale)


def _matrix(parts: list[nn.Module]) -> _Matrix:
    weight, scale = (
        end_to_end([getattr(part, name) for part in parts]) if hasattr(parts[0], name) else None
        for name in ("weight", "scale")
    )
    assert weight is not None
    return _Matrix(weight, scale)


class FastLlama:
    """Reads prompts, and one more token of each of several rows.

    >>> last = FastLlama(llama).read(embeds, cache)

    Args:
        llama: One that `fast_llama` takes; its projections' weights are moved.
    """

    def __init__(self, llama: LlamaModel) -> None:
        self._llama = llama
        self._layers = [(layer, *map(_matrix, _products(layer))) for layer in llama.layers]

    @there
    def read(self, embeds: Float[Tensor, "token hidden"], cache: Cache) -> Float[Tensor, "1 hidden"]:
        """Read tokens behind those that the cache holds, add them to it, and return the last one's state.

        Args:
            embeds: Of the tokens of one row.
            cache: Keys and values of one row.
        """
        from kangaroo.model.kernels import turn_and_write

        config = self._llama.config
        tokens, before = len(embeds), cache.get_seq_length()
        seen = torch.arange(before + 1, before + tokens + 1, dtype=torch.int32, device=embeds.device)
        places, turns = torch.arange(tokens, device=embeds.device), self._turns(seen - 1)
        last = len(self._layers) - 1
        # made once, as each waits for the device
        ends = [
            torch.tensor([0, count], dtype=torch.int32, device=embeds.device) for count in (tokens, before + tokens)
        ]

        def attend(number: int, states: Tensor) -> Tensor:
            shape = 1, config.num_key_value_heads, tokens, config.head_dim
            keys, values = states.new_empty(shape), states.new_empty(shape)
            queries = turn_and_write(
                states,
                *turns,
                places,
                # every token is a row whose slot is the only one
                keys.expand(tokens, -1, -1, -1),
                values.expand(tokens, -1, -1, -1),
            )
            keys, values = cache.update(keys, values, number)
            # of the last layer nobody wants but the last state
            own = slice(-1 if number == last else 0, None)
            return _gathered(queries[own], keys, values, seen[own], *ends)

        return self._normed(*self._through_layers(embeds, attend))

    @there
    def read_on(
        self,
        embeds: Float[Tensor, "row hidden"],
        cache: Sequence[tuple[Float[Tensor, "slot group position width"], Float[Tensor, "slot group position width"]]],
        positions: Int[Tensor, " row"],
        seen: Int[Tensor, " row"],
    ) -> Float[Tensor, "row hidden"]:
        """Read one more token of each row, write its keys and values into the cache, and return the last states.

        Nothing waits for the device, and nothing but the number of rows is settled by the host.

        Args:
            embeds: Of the tokens.
            cache: Keys and values of each layer; row r lies in slot r.
            positions: Where each token stands.
            seen: How many positions each token attends to, its own among them.
        """
        from kangaroo.model.kernels import attend as attend_slots
        from kangaroo.model.kernels import turn_and_write

        scale, turns = self._llama.config.head_dim**-0.5, self._turns(positions)

        def attend(number: int, states: Tensor) -> Tensor:
            keys, values = cache[number]
            queries = turn_and_write(states, *turns, positions, keys, values)
            return attend_slots(queries, keys, values, seen, scale=scale)

        return self._normed(*self._through_layers(embeds, attend))

    def _through_layers(self, embeds: Float[Tensor, "token hidden"], attend: Attend) -> tuple[Tensor, Tensor]:
        """Return the states, and what the last layer adds to them; only the last ones where it attended for these."""
        from kangaroo.model.kernels import add_norm, gate

        eps = self._llama.config.rms_norm_eps
        hidden, delta = embeds.clone(), torch.zeros_like(embeds)
        for number, (layer, entering, leaving, widening, narrowing) in enumerate(self._layers):
            normed = add_norm(hidden, delta, layer.input_layernorm.weight, eps=eps)
            delta = leaving(attend(number, entering(normed)))
            hidden = hidden[-len(delta) :]
            normed = add_norm(hidden, delta, layer.post_attention_layernorm.weight, eps=eps)
            parts = [narrowing(gate(widening(part))) for part in normed.split(_TOKENS_AT_ONCE)]
            delta = torch.cat(parts) if len(parts) > 1 else parts[0]
        return hidden, delta

    def _turns(self, positions: Int[Tensor, " row"]) -> tuple[Float[Tensor, "row half"], Float[Tensor, "row half"]]:
        """Return cosines and sines of the rotary embedding's angles."""
        rotary = self._llama.rotary_emb
        angles = positions[:, None].float() * rotary.inv_freq.float()
        return angles.cos() * rotary.attention_scaling, angles.sin() * rotary.attention_scaling

    def _normed(self, hidden: Tensor, delta: Tensor) -> Tensor:
        from kangaroo.model.kernels import add_norm

        return add_norm(hidden, delta, self._llama.norm.weight, eps=self._llama.config.rms_norm_eps)


def _gathered(
    queries: Float[Tensor, "token head width"],
    keys: Float[Tensor, "1 group position width"],
    values: Float[Tensor, "1 group position width"],
    seen: Int[Tensor, " token"],
    own_ends: Int[Tensor, " boundary"],
    ends: Int[Tensor, " boundary"],
) -> Float[Tensor, "token states"]:
    """Return what the tokens gather, each from the positions up to its own; they are the last of these."""
    from kangaroo.model.kernels import attend

    tokens, _, width = queries.shape
    if tokens == keys.shape[2]:
        gathered = attend_fastest(queries.transpose(0, 1)[None], keys, values, is_causal=True, enable_gqa=True)
        return gathered[0].transpose(0, 1).reshape(tokens, -1)
    if tokens <= _FEW_TOKENS:
        shape = tokens, -1, -1, -1
        return attend(queries, keys.expand(shape), values.expand(shape), seen, scale=width**-0.5)
    key, value = (each[0].transpose(0, 1) for each in (keys, values))
    gathered = attend_each(queries, key, value, own_ends, ends, tokens, len(key), scaling=width**-0.5)
    return gathered.reshape(tokens, -1)
