"""Tell the language model when a frame was shown: sines and cosines of its time in seconds, without parameters.

Axes: frame, vision (the encoder's width).
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor


def temporal_embedding(
    times_s: Float[Tensor, " frame"], *, width: int, exponent: Literal["per_entry", "paired"], theta: float
) -> Float[Tensor, "frame vision"]:
    """Return each frame's vector in float32: entry i is the sine (i even) or cosine (i odd) of t / theta^e.

    The exponent e is i/d for each entry (`per_entry`, as a note on the paper prints the formula), or shared by a
    sine and the cosine after it (`paired`, as in "Attention is all you need").
    """
    entry = torch.arange(width, device=times_s.device)
    power = (entry if exponent == "per_entry" else entry - entry % 2) / width
    angle = torch.outer(times_s.float(), theta**-power)
    return torch.where(entry % 2 == 0, angle.sin(), angle.cos())
