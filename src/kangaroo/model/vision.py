"""See frames: the EVA-02 vision tower, with learned positions and rotary positions at any square size.

Parameters keep EVA's names, so that published weights fit. No table is stored: rotary angles are computed from the
grid, and learned positions are resized when the grid is not the configured one.
Axes: frame, height, width, row, column, token (the class token, then patches row by row), head, vision.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from kangaroo.errors import PromptError
from kangaroo.model.configuration import KangarooVisionConfig
from kangaroo.model.pretrained import KangarooPreTrainedModel


class KangarooVisionTower(KangarooPreTrainedModel):
    """Turn frames into features, each frame on its own.

    >>> KangarooVisionTower(KangarooVisionConfig())(torch.zeros(1, 3, 448, 448)).shape
    torch.Size([1, 1025, 1024])
    """

    config_class = KangarooVisionConfig
    base_model_prefix = "vision_tower"
    main_input_name = "pixel_values"
    input_modalities = ("video",)

    def __init__(self, config: KangarooVisionConfig) -> None:
        super().__init__(config)
        side = config.image_size // config.patch_size
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + side * side, config.hidden_size))
        self.patch_embed = PatchEmbedding(config)
        self.blocks = nn.ModuleList([VisionBlock(config) for _ in range(config.num_hidden_layers)])
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_init()

    def init_own_weights(self) -> None:
        """Initialise the class token and the position table as EVA does."""
        init.trunc_normal_(self.cls_token, std=self.config.initializer_range)
        init.trunc_normal_(self.pos_embed, std=self.config.initializer_range)

    def forward(self, pixel_values: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame token vision"]:
        """Return the features of the configured layer, the class token first.

        Raises:
            PromptError: As `begin`.
        """
        hidden, cosine, sine = self.begin(pixel_values)
        for block in islice(self.blocks, self.config.num_feature_blocks):
            hidden = block(hidden, cosine, sine)
        return self.norm(hidden) if self.config.final_norm else hidden

    def begin(
        self, pixel_values: Float[Tensor, "frame 3 height width"]
    ) -> tuple[Float[Tensor, "frame token vision"], Float[Tensor, "token pair"], Float[Tensor, "token pair"]]:
        """Return what the first block reads: features, and cosines and sines of the angles by which tokens turn.

        Raises:
            PromptError: The frames are not square, or their side is no multiple of the patch.
        """
        height, width = pixel_values.shape[-2:]
        patch = self.config.patch_size
        if height != width or height % patch:
            raise PromptError(f"frames are {height}x{width} px; give squares whose side is a multiple of {patch}")
        side = height // patch
        patches = self.patch_embed(pixel_values)
        class_token = self.cls_token.to(patches.dtype).expand(len(patches), -1, -1)
        positions = resize_positions(self.pos_embed, side=side).to(patches.dtype)
        hidden = torch.cat([class_token, patches], dim=1) + positions
        angles = rotary_angles(
            side,
            head_width=self.config.hidden_size // self.config.num_attention_heads,
            theta=self.config.rope_theta,
            pretrained_grid=self.config.pretrained_grid,
            device=hidden.device,
        )
        return hidden, angles.cos(), angles.sin()

    def set_image_size(self, image_size_px: int) -> None:
        """Resize the learned positions for good, as when training moves from 224 to 448 px."""
        side = image_size_px // self.config.patch_size
        resized = resize_positions(self.pos_embed.detach(), side=side)
        self.pos_embed = nn.Parameter(resized.to(self.pos_embed.dtype), requires_grad=self.pos_embed.requires_grad)
        self.config.image_size = image_size_px


class PatchEmbedding(nn.Module):
    """Cut each frame into squares and project each to one row of features."""

    def __init__(self, config: KangarooVisionConfig) -> None:
        super().__init__()
        patch = config.patch_size
        self.proj = nn.Conv2d(config.num_channels, config.hidden_size, kernel_size=patch, stride=patch)

    def forward(self, pixel_values: Float[Tensor, "frame channel height width"]) -> Float[Tensor, "frame patch vision"]:
        """Return one row per patch, row by row of the grid, in the weights' precision."""
        weight = self.proj.weight.flatten(1)
        side = self.proj.kernel_size[0]
        # as one product: patches do not overlap, and a GPU's convolution takes nine times as long
        squares = rearrange(
            pixel_values.to(weight.dtype),
            "frame channel (row down) (column along) -> frame (row column) (channel down along)",
            down=side,
            along=side,
        )
        room = -weight.shape[1] % 8  # a patch is 588 numbers, which a GPU's matrix units do not divide
        return F.linear(F.pad(squares, (0, room)), F.pad(weight, (0, room)), self.proj.bias)


class VisionBlock(GradientCheckpointingLayer):
    """Attention, then a gated MLP; each normalised before and added after."""

    def __init__(self, config: KangarooVisionConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attn = VisionAttention(config)
        self.norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = VisionMLP(config)

    def forward(
        self,
        hidden: Float[Tensor, "frame token vision"],
        cosine: Float[Tensor, "token pair"],
        sine: Float[Tensor, "token pair"],
    ) -> Float[Tensor, "frame token vision"]:
        """Return the features one block deeper."""
        hidden = hidden + self.attn(self.norm1(hidden), cosine, sine)
        return hidden + self.mlp(self.norm2(hidden))


class VisionAttention(nn.Module):
    """Attention within a frame: rotary positions, biases on queries and values alone, a LayerNorm before the end."""

    is_causal = False

    def __init__(self, config: KangarooVisionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.config = config
        self.num_heads = config.num_attention_heads
        self.scaling = (width // self.num_heads) ** -0.5
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.inner_attn_ln = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.proj = nn.Linear(width, width)

    def init_own_weights(self) -> None:
        """Start without bias."""
        init.zeros_(self.q_bias)
        init.zeros_(self.v_bias)

    def forward(
        self,
        hidden: Float[Tensor, "frame token vision"],
        cosine: Float[Tensor, "token pair"],
        sine: Float[Tensor, "token pair"],
    ) -> Float[Tensor, "frame token vision"]:
        """Return what each token gathers from the others of its frame."""
        heads = "frame token (head width) -> frame head token width"
        query = rearrange(self.q_proj(hidden) + self.q_bias, heads, head=self.num_heads)
        key = rearrange(self.k_proj(hidden), heads, head=self.num_heads)
        value = rearrange(self.v_proj(hidden) + self.v_bias, heads, head=self.num_heads)
        attend: Callable[..., Any] = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention
        )
        gathered, _ = attend(
            self,
            rotate(query, cosine, sine).to(value.dtype),
            rotate(key, cosine, sine).to(value.dtype),
            value,
            None,
            scaling=self.scaling,
            dropout=0.0,
        )
        return self.proj(self.inner_attn_ln(rearrange(gathered, "frame token head width -> frame token (head width)")))


class VisionMLP(nn.Module):
    """SwiGLU with a LayerNorm on its inner width."""

    def __init__(self, config: KangarooVisionConfig) -> None:
        super().__init__()
        self.w1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.w2 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.ffn_ln = nn.LayerNorm(config.intermediate_size, eps=config.layer_norm_eps)
        self.w3 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden: Float[Tensor, "frame token vision"]) -> Float[Tensor, "frame token vision"]:
        """Return each token's features, transformed on their own."""
        return self.w3(self.ffn_ln(F.silu(self.w1(hidden)) * self.w2(hidden)))


def eager_attention(
    _module: nn.Module,
    query: Float[Tensor, "frame head token width"],
    key: Float[Tensor, "frame head token width"],
    value: Float[Tensor, "frame head token width"],
    _attention_mask: None,
    *,
    scaling: float,
    **_kwargs: Any,
) -> tuple[Float[Tensor, "frame token head width"], Float[Tensor, "frame head token token"]]:
    """Attend step by step, for readers and for tools that want the weights: transformers' `eager`."""
    scores = torch.einsum("fhqw,fhkw->fhqk", query, key) * scaling
    weights = scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype)
    return torch.einsum("fhqk,fhkw->fqhw", weights, value), weights


def rotary_angles(
    side: int, *, head_width: int, theta: float, pretrained_grid: int, device: torch.device
) -> Float[Tensor, "token pair"]:
    """Return by how much each pair of a head's entries turns at each token, in radians; 0 for the class token.

    Half of the pairs follow the row, half the column. Whatever the side, positions run from 0 to
    `pretrained_grid`, because a finer grid shows the same picture (EVA's `intp_freq`).
    """
    exponent = torch.arange(0, head_width // 2, 2, device=device, dtype=torch.float32) / (head_width // 2)
    position = torch.arange(side, device=device, dtype=torch.float32) / side * pretrained_grid
    along = torch.outer(position, theta**-exponent)
    by_row = repeat(along, "row pair -> (row column) pair", column=side)
    by_column = repeat(along, "column pair -> (row column) pair", row=side)
    return F.pad(torch.cat([by_row, by_column], dim=-1), (0, 0, 1, 0))


def rotate(
    heads: Float[Tensor, "frame head token width"],
    cosine: Float[Tensor, "token pair"],
    sine: Float[Tensor, "token pair"],
) -> Float[Tensor, "frame head token width"]:
    """Turn each adjacent pair of entries by its token's angle, in float32."""
    even, odd = rearrange(heads, "frame head token (pair two) -> two frame head token pair", two=2)
    turned = torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], dim=-1)
    return rearrange(turned, "frame head token pair two -> frame head token (pair two)")


def resize_positions(table: Float[Tensor, "1 position vision"], *, side: int) -> Float[Tensor, "1 resized vision"]:
    """Return the learned positions for a grid of this side: bicubic, the class token's entry as it is."""
    learned_side = round((table.shape[1] - 1) ** 0.5)
    if side == learned_side:
        return table
    class_entry, patches = table.float().split([1, learned_side**2], dim=1)
    grid = rearrange(patches, "one (row column) vision -> one vision row column", row=learned_side)
    resized = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
    return torch.cat([class_entry, rearrange(resized, "one vision row column -> one (row column) vision")], dim=1)
