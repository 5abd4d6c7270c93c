"""Fold neighbouring frames and patches into one, so that a minute of film fits in context.

The published system folds 2 frames, 2 rows and 2 columns by a depthwise 3-D convolution whose stride is its kernel.
As windows never overlap, it is a weighted sum of eight shifted copies, which is how it is computed: the library's
depthwise 3-D convolutions are slow to train with on GPUs.
Axes: group (of frames), frame (within the group), row, column, vision (the encoder's width).
"""

from itertools import product
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from transformers import initialization as init


class Patchify(nn.Module):
    """Fold groups of frames.

    >>> Patchify(1024, kernel=(2, 2, 2))(torch.zeros(8, 2, 32, 32, 1024)).shape
    torch.Size([8, 16, 16, 1024])
    """

    def __init__(
        self,
        width: int,
        *,
        kernel: tuple[int, int, int],
        kind: Literal["depthwise", "dense", "average", "none"] = "depthwise",
        bias: bool = True,
        norm: Literal["none", "layer_norm"] = "none",
    ) -> None:
        super().__init__()
        self.kind = kind
        self.kernel = kernel
        if kind in ("depthwise", "dense"):
            groups = width if kind == "depthwise" else 1
            self.conv = nn.Conv3d(width, width, kernel_size=kernel, stride=kernel, groups=groups, bias=bias)
        self.norm = nn.LayerNorm(width) if norm == "layer_norm" else nn.Identity()

    def init_own_weights(self) -> None:
        """Start as PyTorch starts a convolution: transformers' 0.02 would all but silence eight inputs a channel."""
        if self.kind in ("depthwise", "dense"):
            init.kaiming_uniform_(self.conv.weight, a=5**0.5)

    def forward(
        self, features: Float[Tensor, "group frame row column vision"]
    ) -> Float[Tensor, "group folded_row folded_column vision"]:
        """Return one grid per group; a row or column that the kernel does not fill is repeated."""
        features = _fill(_fill(features, axis=2, multiple=self.kernel[1]), axis=3, multiple=self.kernel[2])
        windows = rearrange(
            features,
            "group frame (row tall) (column wide) vision -> group row column frame tall wide vision",
            tall=self.kernel[1],
            wide=self.kernel[2],
        )
        return self.norm(self._fold(windows))

    def _fold(
        self, windows: Float[Tensor, "group row column frame tall wide vision"]
    ) -> Float[Tensor, "group row column vision"]:
        if self.kind == "none":
            return windows[:, :, :, 0, 0, 0]
        if self.kind == "average":
            return windows.mean(dim=(3, 4, 5))
        if self.kind == "dense":
            flat = rearrange(
                windows, "group row column frame tall wide vision -> group row column (vision frame tall wide)"
            )
            return nn.functional.linear(flat, self.conv.weight.flatten(start_dim=1), self.conv.bias)
        weight = rearrange(self.conv.weight.float(), "vision 1 frame tall wide -> frame tall wide vision")
        folded = weight.new_zeros(()) if self.conv.bias is None else self.conv.bias.float()
        for frame, row, column in product(*map(range, self.kernel)):
            folded = folded + windows[:, :, :, frame, row, column] * weight[frame, row, column]
        return folded.to(self.conv.weight.dtype)


def _fill(features: Tensor, *, axis: int, multiple: int) -> Tensor:
    missing = -features.shape[axis] % multiple
    if missing == 0:
        return features
    last = features.narrow(axis, features.shape[axis] - 1, 1)
    return torch.cat([features] + [last] * missing, dim=axis)
