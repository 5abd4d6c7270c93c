"""Numbers on their way to the training device, which does not stop for them: from memory that it can read by itself.

From ordinary memory anything above a few pages is copied only once the device has done all that it was told before.
"""

import torch
from torch import Tensor


def pinned(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a CPU tensor in memory that a GPU reads by itself; as it is where `device` is no GPU."""
    return tensor.pin_memory() if device.type == "cuda" else tensor


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a CPU tensor on the device, without waiting for it."""
    return pinned(tensor, device).to(device, non_blocking=True)
