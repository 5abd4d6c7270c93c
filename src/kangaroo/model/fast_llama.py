"""A Llama on a GPU with ten kernels a layer instead of some forty: for a whole prompt, for what follows, for one token.

The same weights and the same numbers as the plain layers give, to rounding. Projections that read the same states are
one product: their weights are laid end to end, and the modules keep theirs as views.
Axes: row, slot, token (of one row), head, group (of heads that share keys), position, width (of a head).
"""

import logging
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers.cache_utils import Cache
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaModel

_DTYPES = (torch.float16, torch.bfloat16)
_FEW_TOKENS = 64  # each of so few reads the keys by itself, as rows do
_TOKENS_AT_ONCE = 8192  # are widened, for memory's sake
# for long prompts the fastest first
_BACKENDS = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]

_log = logging.getLogger(__name__)
Attend = Callable[[int, Tensor], Tensor]


def fast_llama(llama: LlamaModel) -> "FastLlama | None":
    """Return a language model's fast reader; None where it does not suit, or where Triton cannot compile."""
    if not suits(llama):
        return None
    from kangaroo.model.kernels import gate

    try:
        gate(llama.norm.weight.new_zeros(1, 32))
    except Exception as error:  # Triton's own, a compiler's, the system's
        _log.warning("Triton cannot compile here (%s); plain layers are used, which are slower", error)
        return None
    return FastLlama(llama)


def suits(llama: LlamaModel) -> bool:
    """Whether a language model, where it is, can be read so."""
    config, weight = llama.config, llama.norm.weight
    width = config.head_dim
    return (
        weight.is_cuda
        and weight.dtype in _DTYPES
        and find_spec("triton") is not None
        and width & (width - 1) == 0
        and config.hidden_act == "silu"
        and all(type(each) is nn.Linear and each.bias is None for each in llama.layers.modules() if _is_product(each))
    )


def _is_product(module: nn.Module) -> bool:
    return hasattr(module, "in_features")


class FastLlama:
    """Reads prompts, and one more token of each of several rows.

    >>> last = FastLlama(llama).read(embeds, cache)

    Args:
        llama: One that `suits`; its projections' weights are moved.
    """

    def __init__(self, llama: LlamaModel) -> None:
        self._llama = llama
        self._layers = [(layer, *_joined(layer)) for layer in llama.layers]

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
            return _gathered(queries, keys, values, seen, before=before)

        hidden, delta = self._through_layers(embeds, attend)
        return self._normed(hidden[-1:], delta[-1:])

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
        from kangaroo.model import kernels

        scale, turns = self._llama.config.head_dim**-0.5, self._turns(positions)

        def attend(number: int, states: Tensor) -> Tensor:
            keys, values = cache[number]
            queries = kernels.turn_and_write(states, *turns, positions, keys, values)
            return kernels.attend(queries, keys, values, seen, scale=scale)

        return self._normed(*self._through_layers(embeds, attend))

    def _through_layers(self, embeds: Float[Tensor, "token hidden"], attend: Attend) -> tuple[Tensor, Tensor]:
        """Return the states, and what the last layer adds to them."""
        from kangaroo.model.kernels import add_norm, gate

        eps = self._llama.config.rms_norm_eps
        hidden, delta = embeds.clone(), torch.zeros_like(embeds)
        for number, (layer, entering, widening) in enumerate(self._layers):
            normed = add_norm(hidden, delta, layer.input_layernorm.weight, eps=eps)
            delta = F.linear(attend(number, F.linear(normed, entering)), layer.self_attn.o_proj.weight)
            normed = add_norm(hidden, delta, layer.post_attention_layernorm.weight, eps=eps)
            parts = [
                F.linear(gate(F.linear(part, widening)), layer.mlp.down_proj.weight)
                for part in normed.split(_TOKENS_AT_ONCE)
            ]
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
    *,
    before: int,
) -> Float[Tensor, "token states"]:
    """Return what the tokens gather, each from the positions up to its own; they are the last of these."""
    from kangaroo.model.kernels import attend

    tokens, _, width = queries.shape
    if before == 0:
        with sdpa_kernel(_BACKENDS, set_priority=True):
            gathered = F.scaled_dot_product_attention(
                queries.transpose(0, 1)[None], keys, values, is_causal=True, enable_gqa=True
            )
        return gathered[0].transpose(0, 1).reshape(tokens, -1)
    if tokens <= _FEW_TOKENS:
        shape = tokens, -1, -1, -1
        return attend(queries, keys.expand(shape), values.expand(shape), seen, scale=width**-0.5)
    ends = [torch.tensor([0, count], dtype=torch.int32, device=seen.device) for count in (tokens, keys.shape[2])]
    # causal of unequal lengths: the last query sees all
    flat = (each[0].transpose(0, 1) for each in (keys, values))
    gathered = torch.ops.aten._flash_attention_forward(
        queries, *flat, *ends, tokens, keys.shape[2], 0.0, True, False, scale=width**-0.5
    )[0]
    return gathered.reshape(tokens, -1)


@torch.no_grad()
def _joined(layer: LlamaDecoderLayer) -> tuple[Float[Tensor, "outs hidden"], Float[Tensor, "wide hidden"]]:
    """Return the weights of a layer's products that read the same states, end to end; the modules keep views."""
    attention, mlp = layer.self_attn, layer.mlp
    return (
        _end_to_end(attention.q_proj, attention.k_proj, attention.v_proj),
        _end_to_end(mlp.gate_proj, mlp.up_proj),
    )


def _end_to_end(*parts: nn.Linear) -> Float[Tensor, "outs hidden"]:
    joined = torch.cat([part.weight for part in parts])
    for part, own in zip(parts, joined.split([part.out_features for part in parts]), strict=True):
        part.weight.data = own
    return joined
