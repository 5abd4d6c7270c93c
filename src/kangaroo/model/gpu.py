"""What our kernels ask of a GPU and of the modules that they read in the place of."""

import logging
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from kangaroo.model.packed import HALVES

_log = logging.getLogger(__name__)


def runs_kernels(weight: Tensor) -> bool:
    """Whether kernels of ours can read this weight where it is: a GPU, half precision, a Triton that can compile."""
    if not weight.is_cuda or weight.dtype not in HALVES or find_spec("triton") is None:
        return False
    try:
        from kangaroo.model.kernels import gate

        with torch.cuda.device_of(weight):
            gate(weight.new_zeros(1, 32))
    except Exception as error:  # Triton's own, a compiler's, the system's
        _log.warning("Triton cannot compile here (%s); plain layers are used, which are slower", error)
        return False
    return True


def can_be_read(module: nn.Module) -> bool:
    """Whether a module's weights can be read past its own `forward`: alike, in one place, moved about by nothing."""
    first, *others = module.parameters()
    alike = all((other.device, other.dtype) == (first.device, first.dtype) for other in others)
    return alike and not any(hasattr(part, "_hf_hook") for part in module.modules())


def there(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method's first tensor say on which GPU its kernels are launched."""

    @wraps(function)
    def run(self: Any, first: Tensor, *others: Any, **named: Any) -> Any:
        with torch.cuda.device_of(first):
            return function(self, first, *others, **named)

    return run
