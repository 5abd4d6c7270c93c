"""What the system gives this process. Imports nothing heavy."""

import os
from pathlib import Path


def num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache_folder(part: str) -> Path:
    """Return where a part of the project keeps what can be had again: `kangaroo/PART` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kangaroo" / part
