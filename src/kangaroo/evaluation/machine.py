"""What the machine is that a measurement was made on, and how fast it multiplies. Imports without torch."""

import platform
from time import perf_counter
from typing import Any

from kangaroo.system import num_cores


def describe_machine() -> dict[str, Any]:
    """Return the machine's kind, cores and versions, and its speed by `matmul_gflops`."""
    import torch
    import transformers

    from kangaroo import __version__

    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": num_cores(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "kangaroo": __version__,
        "cpu_matmul_gflops": round(matmul_gflops(side=1024, seconds=0.1), 1),
    }


def matmul_gflops(*, side: int = 2048, seconds: float = 0.5) -> float:
    """Multiply float32 matrices on the CPU for about so many seconds and return the best rate in GFLOP/s."""
    import torch

    left, right = torch.rand(side, side), torch.rand(side, side)
    ends, best = perf_counter() + seconds, float("inf")
    while perf_counter() < ends or best == float("inf"):
        began = perf_counter()
        left @ right
        best = min(best, perf_counter() - began)
    return 2 * side**3 / best / 1e9
