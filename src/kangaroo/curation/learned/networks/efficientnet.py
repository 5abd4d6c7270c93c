"""EfficientNet-lite0 (Tan and Le, arXiv 1905.11946, for phones): tells ImageNet's 1000 classes apart.

Unlike its namesake it neither squeezes nor excites, and clips at 6. The forward pass alone, batch normalisation folded
into the convolutions. Kernels and widths are read off the weights; only the strides are not in them.
Axes: picture, row, column, channel; out, low, narrow (channels and sides of a result); label.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from einops import rearrange, reduce
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

SIDE_PX = 224
_NUM_BLOCKS = 16
_HALVES = (1, 3, 5, 11)  # the blocks that halve both sides
_EPS = 1e-3  # of batch normalisation
_MIDDLE, _REACH = 127.0, 128.0  # the lite networks were trained on colours from -1 to 1


class EfficientNet:
    """Says how sure it is of each of ImageNet's classes.

    >>> EfficientNet.load(find_weights(OBJECTS))(pictures)
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        names = [name.removesuffix(".running_mean") for name in weights if name.endswith(".running_mean")]
        self._folded = {norm: _fold(weights, norm) for norm in names}
        self._weights = weights

    @classmethod
    def load(cls, path: Path) -> "EfficientNet":
        """Read the published weights."""
        return cls(torch.load(path, map_location="cpu", weights_only=True))

    @torch.inference_mode()
    def __call__(self, pictures: UInt8[Tensor, "picture 224 224 3"]) -> Float[Tensor, "picture 1000"]:
        """Return the probability of each class."""
        x = rearrange((pictures - _MIDDLE) / _REACH, "picture row column channel -> picture channel row column")
        x = F.relu6(self._convolved("_bn0", x, stride=2))
        for number in range(_NUM_BLOCKS):
            x = self._block(f"_blocks.{number}.", x, stride=2 if number in _HALVES else 1)
        x = reduce(F.relu6(self._convolved("_bn1", x)), "picture channel row column -> picture channel", "mean")
        return F.linear(x, self._weights["_fc.weight"], self._weights["_fc.bias"]).softmax(dim=1)

    def _block(
        self, name: str, x: Float[Tensor, "picture channel row column"], *, stride: int
    ) -> Float[Tensor, "picture out low narrow"]:
        wide = F.relu6(self._convolved(f"{name}_bn0", x)) if f"{name}_bn0" in self._folded else x
        seen = F.relu6(self._convolved(f"{name}_bn1", wide, stride=stride))
        y = self._convolved(f"{name}_bn2", seen)
        return x + y if x.shape == y.shape else y

    def _convolved(
        self, norm: str, x: Float[Tensor, "picture channel row column"], *, stride: int = 1
    ) -> Float[Tensor, "picture out low narrow"]:
        """Convolve and normalise; as TensorFlow pads, more below and right where the two sides differ."""
        weight, bias = self._folded[norm]
        ends = [_padding(side, weight.shape[-1], stride) for side in (x.shape[3], x.shape[2])]
        padded = F.pad(x, [*ends[0], *ends[1]])
        return F.conv2d(padded, weight, bias, stride=stride, groups=x.shape[1] // weight.shape[1])


_CONVOLUTIONS = {"_bn0": "_expand_conv", "_bn1": "_depthwise_conv", "_bn2": "_project_conv"}  # of a block
_OUTER = {"_bn0": "_conv_stem", "_bn1": "_conv_head"}


def _fold(weights: Mapping[str, Tensor], norm: str) -> tuple[Tensor, Tensor]:
    block, dot, last = norm.rpartition(".")
    convolution = weights[f"{block}{dot}{(_CONVOLUTIONS if block else _OUTER)[last]}.weight"]
    scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + _EPS).sqrt()
    return convolution * scale[:, None, None, None], weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale


def _padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    missing = max(0, (-(-side // stride) - 1) * stride + kernel - side)
    return missing // 2, missing - missing // 2
