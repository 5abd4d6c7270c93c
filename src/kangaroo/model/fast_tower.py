"""The vision tower on a GPU with ten kernels a block, and an MLP whose width a GPU's matrix units can take.

The same weights and the same features as the plain blocks give, to rounding. EVA-02's MLP is 2,730 wide, which is no
multiple of 8: products with it reach a third of the rate of those of 2,736. So it is padded with zeros, which its norm
does not count. Projections that read the same states are one product. The modules keep views of what was moved.
Axes: frame, token (of a frame), row (tokens of all frames on end), head, vision, inner (with its padding).
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from kangaroo.model.gpu import can_be_read, runs_kernels, there
from kangaroo.model.laid import end_to_end, with_columns
from kangaroo.model.packed import attend_fastest
from kangaroo.model.vision import KangarooVisionTower, VisionBlock

_MULTIPLE = 16  # of the MLP's width


def fast_tower(tower: KangarooVisionTower) -> "FastTower | None":
    """Return what sees as the tower sees, faster; None where the tower, or where it is, does not suit."""
    alike = all(type(one) is nn.Linear for one in tower.blocks.modules() if hasattr(one, "in_features"))
    return FastTower(tower) if alike and can_be_read(tower) and runs_kernels(tower.cls_token) else None


class _Joined(NamedTuple):
    """A block, and its weights and biases as products take them."""

    block: VisionBlock
    entering: Float[Tensor, "three_visions vision"]
    entering_bias: Float[Tensor, " three_visions"]
    widening: Float[Tensor, "two_inners vision"]
    widening_bias: Float[Tensor, " two_inners"]
    norm: Float[Tensor, " inner"]
    norm_bias: Float[Tensor, " inner"]
    narrowing: Float[Tensor, "vision inner"]


class FastTower:
    """Turns frames into features.

    >>> features = FastTower(tower)(pixels)

    Args:
        tower: One that `fast_tower` takes; its projections' weights are moved.
    """

    def __init__(self, tower: KangarooVisionTower) -> None:
        self._tower = tower
        blocks: Any = tower.blocks[: tower.config.num_feature_blocks]
        self._blocks = [_joined(block) for block in blocks]

    @there
    @torch.no_grad()
    def __call__(self, pixel_values: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame token vision"]:
        """Return what the tower returns.

        Raises:
            PromptError: As the tower.
        """
        from kangaroo.model.tower_kernels import add_layer_norm, gate_norm, turn_pairs

        begun, cosines, sines = self._tower.begin(pixel_values)
        num_frames, tokens, _ = begun.shape
        hidden = begun.reshape(num_frames * tokens, -1)
        delta = None
        for one in self._blocks:
            attention, mlp = one.block.attn, one.block.mlp
            normed = add_layer_norm(hidden, delta, one.block.norm1)
            states = F.linear(normed, one.entering, one.entering_bias)
            turn_pairs(states, cosines, sines)
            gathered = _gathered(states, num_frames, attention.num_heads)
            normed = add_layer_norm(gathered, None, attention.inner_attn_ln)
            delta = F.linear(normed, attention.proj.weight, attention.proj.bias)
            normed = add_layer_norm(hidden, delta, one.block.norm2)
            opened = gate_norm(
                F.linear(normed, one.widening, one.widening_bias),
                one.norm,
                one.norm_bias,
                width=mlp.w1.out_features,
                eps=mlp.ffn_ln.eps,
            )
            delta = F.linear(opened, one.narrowing, mlp.w3.bias)
        assert delta is not None, "a tower has a block"
        features = hidden.add_(delta).reshape(begun.shape)
        return self._tower.norm(features) if self._tower.config.final_norm else features


def _gathered(
    states: Float[Tensor, "row three_visions"], num_frames: int, num_heads: int
) -> Float[Tensor, "row vision"]:
    """Return what each token gathers from the others of its frame."""
    rows = len(states)
    split = states.view(num_frames, rows // num_frames, 3, num_heads, -1)
    gathered = attend_fastest(*split.permute(2, 0, 3, 1, 4))
    return gathered.transpose(1, 2).reshape(rows, -1)


@torch.no_grad()
def _joined(block: VisionBlock) -> _Joined:
    attention, mlp = block.attn, block.mlp
    width, inner = mlp.w3.weight.shape
    room = -inner % _MULTIPLE
    return _Joined(
        block=block,
        entering=end_to_end([part.weight for part in (attention.q_proj, attention.k_proj, attention.v_proj)]),
        # between them keys, which have none
        entering_bias=end_to_end([attention.q_bias, attention.v_bias], room=width)[: 3 * width],
        widening=end_to_end([mlp.w1.weight, mlp.w2.weight], room=room),
        widening_bias=end_to_end([mlp.w1.bias, mlp.w2.bias], room=room),
        norm=end_to_end([mlp.ffn_ln.weight], room=room),
        norm_bias=end_to_end([mlp.ffn_ln.bias], room=room),
        narrowing=with_columns(mlp.w3.weight, room),
    )
