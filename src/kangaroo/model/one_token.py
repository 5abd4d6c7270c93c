"""One token of each row through a Llama on a GPU: ten kernels a layer instead of some forty.

The same weights and the same numbers as the plain layers give, to rounding. Projections that read the same states are
one product: their weights are laid end to end, and the modules keep theirs as views.
Axes: row, slot, group (of heads that share keys), position, width (of a head).
"""

from collections.abc import Sequence
from importlib.util import find_spec

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.llama.modeling_llama import LlamaModel

_DTYPES = (torch.float16, torch.bfloat16)


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


class OneToken:
    """Reads one more token of each row.

    >>> OneToken(llama)(embeds, cache, positions, seen)

    Args:
        llama: One that `suits`; its projections' weights are moved.
    """

    def __init__(self, llama: LlamaModel) -> None:
        self._llama = llama
        self._entering = [_end_to_end(*_entering(layer.self_attn)) for layer in llama.layers]
        self._widening = [_end_to_end(layer.mlp.gate_proj, layer.mlp.up_proj) for layer in llama.layers]

    def __call__(
        self,
        embeds: Float[Tensor, "row hidden"],
        cache: Sequence[tuple[Float[Tensor, "slot group position width"], Float[Tensor, "slot group position width"]]],
        positions: Int[Tensor, " row"],
        seen: Int[Tensor, " row"],
    ) -> Float[Tensor, "row hidden"]:
        """Return the last states, and write each layer's keys and values into the cache.

        Args:
            embeds: Of the tokens.
            cache: Keys and values of each layer; row r lies in slot r.
            positions: Where each token stands.
            seen: How many positions each token attends to, its own among them.
        """
        from kangaroo.model.kernels import add_norm, attend, gate, turn_and_write

        rotary, eps = self._llama.rotary_emb, self._llama.config.rms_norm_eps
        hidden, delta = embeds.clone(), torch.zeros_like(embeds)
        for layer, entering, widening, (keys, values) in zip(
            self._llama.layers, self._entering, self._widening, cache, strict=True
        ):
            normed = add_norm(hidden, delta, layer.input_layernorm.weight, eps=eps)
            queries = turn_and_write(
                F.linear(normed, entering),
                rotary.inv_freq,
                positions,
                keys,
                values,
                scale=rotary.attention_scaling,
            )
            gathered = attend(queries, keys, values, seen, scale=layer.self_attn.scaling)
            delta = F.linear(gathered, layer.self_attn.o_proj.weight)
            normed = add_norm(hidden, delta, layer.post_attention_layernorm.weight, eps=eps)
            delta = F.linear(gate(F.linear(normed, widening)), layer.mlp.down_proj.weight)
        return add_norm(hidden, delta, self._llama.norm.weight, eps=eps)


def _entering(attention: nn.Module) -> tuple[nn.Linear, ...]:
    return tuple(getattr(attention, f"{name}_proj") for name in "qkv")


@torch.no_grad()
def _end_to_end(*parts: nn.Linear) -> Float[Tensor, "outs ins"]:
    """Return the parts' weights as one; each part's own becomes a view of it."""
    joined = torch.cat([part.weight for part in parts])
    for part, own in zip(parts, joined.split([part.out_features for part in parts]), strict=True):
        part.weight.data = own
    return joined
