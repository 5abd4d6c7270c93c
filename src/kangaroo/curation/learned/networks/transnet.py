"""TransNet V2 (Souček and Lokoč, arXiv 2008.04838): sees in 100 small frames where one shot ends and another begins.

The forward pass alone, with batch normalisation folded into the convolutions before it. In memory frames come first
and channels last, so that the spatial and the temporal convolution of a branch read the same tensor without a copy.
Axes: frame, row, column, channel; out (channels of a result), near (the 101 frames around one).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from einops import rearrange, reduce
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

SIZE_PX = (27, 48)
WINDOW = 100
_REACHES = (1, 2, 4, 8)  # frames ahead and back
_AROUND = 50  # frames on each side that one is compared with
_EPS = 1e-3  # of batch normalisation


class _Branch(NamedTuple):
    """A spatial convolution and a temporal one that looks so many frames ahead and back."""

    spatial: Tensor
    temporal: Tensor
    bias: Tensor
    reach: int

    def __call__(self, x: Float[Tensor, "frame channel row column"]) -> Float[Tensor, "frame out row column"]:
        wide = rearrange(F.conv2d(x, self.spatial, padding=1), "frame out row column -> 1 out frame (row column)")
        seen = F.conv2d(wide, self.temporal, self.bias, padding=(self.reach, 0), dilation=(self.reach, 1))
        return rearrange(seen, "1 out frame (row column) -> frame out row column", row=x.shape[2])


class TransNet:
    """Tells of each frame whether the shot ends in it, and whether it belongs to a change of shot.

    >>> ends, changing = TransNet.load(find_weights(CUTS))(frames)
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._stacks = [
            [_branches(weights, f"SDDCNN.{stack}.DDCNN.{block}.") for block in (0, 1)] for stack in range(3)
        ]
        self._weights = weights

    @classmethod
    def load(cls, path: Path) -> "TransNet":
        """Read the published weights."""
        return cls(torch.load(path, map_location="cpu", weights_only=True))

    @torch.inference_mode()
    def __call__(
        self, frames: UInt8[Tensor, "frame 27 48 3"]
    ) -> tuple[Float[Tensor, " frame"], Float[Tensor, " frame"]]:
        """Return two probabilities of each frame: a shot ends in it; it belongs to a change of shot.

        The network was made for 100 frames at once, and is sure of the middle half of them.
        """
        x = rearrange(frames.float() / 255, "frame row column channel -> frame channel row column")
        means = []
        for first, second in self._stacks:
            x = F.relu(torch.cat([branch(x) for branch in first], dim=1))
            x = F.avg_pool2d(F.relu(torch.cat([branch(x) for branch in second], dim=1)) + x, 2)
            means.append(reduce(x, "frame channel row column -> frame channel", "mean"))
        projected = F.normalize(self._linear("frame_sim_layer.projection", torch.cat(means, dim=1)), dim=1)
        parts = (
            F.relu(self._linear("color_hist_layer.fc", _alike(_colours(frames)))),
            F.relu(self._linear("frame_sim_layer.fc", _alike(projected))),
            rearrange(x, "frame channel row column -> frame (row column channel)"),
        )
        x = F.relu(self._linear("fc1", torch.cat(parts, dim=1)))
        ends, changing = (self._linear(name, x) for name in ("cls_layer1", "cls_layer2"))
        return ends[:, 0].sigmoid(), changing[:, 0].sigmoid()

    def _linear(self, name: str, x: Float[Tensor, "frame channel"]) -> Float[Tensor, "frame out"]:
        return F.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])


def _branches(weights: Mapping[str, Tensor], name: str) -> list[_Branch]:
    scale, mean, variance = (weights[f"{name}bn.{one}"] for one in ("weight", "running_mean", "running_var"))
    scale = scale / (variance + _EPS).sqrt()
    bias = weights[f"{name}bn.bias"] - mean * scale
    branches = []
    for reach, own_scale, own_bias in zip(_REACHES, scale.chunk(4), bias.chunk(4), strict=True):
        spatial, temporal = (weights[f"{name}Conv3D_{reach}.layers.{layer}.weight"] for layer in (0, 1))
        scaled = temporal[..., 0] * own_scale[:, None, None, None]
        branches.append(_Branch(_channels_last(spatial[:, :, 0]), _channels_last(scaled), own_bias, reach))
    return branches


def _channels_last(weight: Tensor) -> Tensor:
    return weight.contiguous(memory_format=torch.channels_last)


def _colours(frames: UInt8[Tensor, "frame 27 48 3"]) -> Float[Tensor, "frame 512"]:
    """How many pixels have each of 512 colours, as a vector of length 1."""
    red, green, blue = (frames.long() >> 5).unbind(dim=-1)
    colours = rearrange(red << 6 | green << 3 | blue, "frame row column -> frame (row column)")
    counts = torch.zeros(len(frames), 512).scatter_add_(1, colours, torch.ones(colours.shape))
    return F.normalize(counts, dim=1)


def _alike(vectors: Float[Tensor, "frame channel"]) -> Float[Tensor, "frame near"]:
    """How like each frame is to the 50 before it, itself and the 50 after it; 0 where there is none."""
    padded = F.pad(vectors @ vectors.T, (_AROUND, _AROUND))
    return torch.stack([row[at : at + 2 * _AROUND + 1] for at, row in enumerate(padded)])
