"""Muon for many small matrices: all of one shape step together.

torch's own steps matrix by matrix, which for a network of joey's size spends longer on launching kernels than on
computing. Same mathematics, checked against torch's in the tests. Matrices that several GPUs share are gathered to be
made orthogonal, by every GPU for itself. Axes: matrix, row, column.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Replicate

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal, scaled so that AdamW's learning rates fit.

    Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon); the scale is that of Liu et al. 2025,
    arXiv 2502.16982, section 2.2.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        assert closure is None, "Muon takes no closure"
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    alike[weight.shape].append(weight)
            for weights in alike.values():
                self._step(weights, group["lr"], group["weight_decay"], group["momentum"])

    def _step(self, weights: list[Tensor], lr: float, weight_decay: float, momentum: float) -> None:
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        grads = [_local(weight.grad) for weight in weights if weight.grad is not None]
        buffers = [_local(self.state[weight]["momentum"]) for weight in weights]
        torch._foreach_lerp_(buffers, grads, 1 - momentum)
        ahead = torch._foreach_lerp(grads, buffers, momentum)
        whole = torch.stack([_gathered(one, weight) for one, weight in zip(ahead, weights, strict=True)])
        updates = orthogonalised(whole).to(whole.dtype).unbind()
        size = 0.2 * math.sqrt(max(whole.shape[-2:]))
        local = [_local(weight) for weight in weights]
        torch._foreach_mul_(local, 1 - lr * weight_decay)
        shares = [_share(update, weight) for update, weight in zip(updates, weights, strict=True)]
        torch._foreach_add_(local, shares, alpha=-lr * size)


def _local(tensor: Tensor) -> Tensor:
    """Return what this process holds of a tensor, in place."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _gathered(local: Tensor, like: Tensor) -> Tensor:
    """Return the whole of what is shared as `like` is."""
    if not isinstance(like, DTensor) or like.device_mesh.size() == 1:
        return local
    mesh, placements = like.device_mesh, like.placements
    shared = DTensor.from_local(local, mesh, placements, run_check=False, shape=like.shape, stride=like.stride())
    return shared.full_tensor()


def _share(whole: Tensor, like: Tensor) -> Tensor:
    """Return this process's share of what every process holds whole."""
    if not isinstance(like, DTensor) or like.device_mesh.size() == 1:
        return whole
    everywhere = [Replicate()] * like.device_mesh.ndim
    spread = DTensor.from_local(whole, like.device_mesh, everywhere, run_check=False)
    return spread.redistribute(placements=like.placements).to_local()


def orthogonalised(matrices: Float[Tensor, "matrix row column"]) -> Float[Tensor, "matrix row column"]:
    """Return the nearest orthogonal matrices, roughly and in bfloat16: five Newton-Schulz rounds."""
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = (matrices.mT if tall else matrices).bfloat16()
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
