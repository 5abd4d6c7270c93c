"""What the system gives this process. Imports nothing heavy."""

import os
from pathlib import Path


def num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache_folder(part: str) -> Path:
    """Return where a part of the project keeps what can be had again: `kangaroo/PART` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kangaroo" / part


def memory_bytes() -> tuple[int, int]:
    """Return the memory of this machine, or what its container allows, and what of it is free."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = total
    if (told := Path("/proc/meminfo")).exists():
        values = dict(line.split(":") for line in told.read_text().splitlines())
        free = int(values["MemAvailable"].split()[0]) * 1024
    limit, used = (Path(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit.exists() and limit.read_text().strip().isdecimal():
        total = min(total, int(limit.read_text()))
        free = min(free, total - int(used.read_text()))
    return total, max(0, free)
