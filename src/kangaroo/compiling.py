"""Compilation for batches whose number of items changes from call to call."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function compiled for any length of its positional tensors' first axes, and for each of the others'.

    A kernel divides its index by the lengths of all axes but the first. Where those are numbers unknown to it, it
    spends most of its time on that. Tensors given by name may have any lengths.
    """
    inner = torch.compile(function, dynamic=True)

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        for one in args:
            if isinstance(one, Tensor):
                torch._dynamo.mark_static(one, list(range(1, one.dim())))
        return inner(*args, **kwargs)

    return run
