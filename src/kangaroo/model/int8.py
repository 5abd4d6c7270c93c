"""Hold the language model's matrices in eight bits, for cards and memories half as large. Weights alone: the products
are taken in the precision of what they multiply, so nothing else changes.

Each output's weights share one scale. The tower, the projector, the words and the last layer stay as they are: together
they are a seventh of the published network and what accuracy hangs on most.
Axes: output, input (of one matrix).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int8
from torch import Tensor, nn

from kangaroo.model.modeling import KangarooForConditionalGeneration

_MOST = 127


class Int8Linear(nn.Module):
    """A linear layer whose matrix is whole numbers from -127 to 127, and a scale for each output.

    >>> Int8Linear(nn.Linear(64, 32))(torch.zeros(1, 64)).shape
    torch.Size([1, 32])
    """

    weight: Tensor
    scale: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach()
        # rounded first, so that the numbers fit the scale that is kept
        scale = (weight.abs().amax(dim=1, keepdim=True).float() / _MOST).clamp(min=1e-12).to(weight.dtype)
        whole = (weight.float() / scale.float()).round().clamp(-_MOST, _MOST)
        self.register_buffer("weight", whole.to(torch.int8))
        self.register_buffer("scale", scale[:, 0].clone())
        self.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach(), requires_grad=False)

    def forward(self, values: Float[Tensor, "... input"]) -> Float[Tensor, "... output"]:
        """Return the layer's output, in the precision of its input."""
        product = product_of(values, self.weight, self.scale)
        return product if self.bias is None else product + self.bias


def product_of(
    values: Float[Tensor, "... input"], weight: Int8[Tensor, "output input"], scale: Float[Tensor, " output"]
) -> Float[Tensor, "... output"]:
    """Return the product with a matrix of whole numbers, each output times its scale, in the values' precision."""
    whole, scale = weight.to(values.dtype), scale.to(values.dtype)
    if values.dtype == torch.float16:  # whose largest number a sum of whole numbers' products may pass
        return F.linear(values, whole * scale[:, None])
    return F.linear(values, whole).mul_(scale)


@torch.no_grad()
def hold_in_int8(network: KangarooForConditionalGeneration, device: torch.device) -> None:
    """Replace the matrices of the language model's layers, one by one on the device: it never holds them whole."""
    for layer in network.model.language_model.layers:
        for parent in list(layer.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(parent, name, Int8Linear(child.to(device)))
