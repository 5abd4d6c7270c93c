"""What the system gives this process. Imports nothing heavy."""

import os
from pathlib import Path


def num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache_folder(part: str) -> Path:
    """Return where a part of the project keeps what can be had again: `kangaroo/PART` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kangaroo" / part


def memory_bytes() -> tuple[int, int] | None:
    """Return the memory of this machine, or what its container allows, and what of it is free; None if nothing says."""
    if not hasattr(os, "sysconf"):
        return None
    total = free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = _numbers(Path("/proc/meminfo")).get("MemAvailable:", free // 1024) * 1024
    limit, used = (Path(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit.exists() and limit.read_text().strip().isdecimal():
        # files that are kept in memory give way
        gives_way = sum(
            _numbers(used.with_name("memory.stat")).get(name, 0) for name in ("inactive_file", "active_file")
        )
        total = min(total, int(limit.read_text()))
        free = min(free, total - int(used.read_text()) + gives_way)
    return total, max(0, free)


def _numbers(path: Path) -> dict[str, int]:
    """Read lines of a name and a number."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {words[0]: int(words[1]) for line in lines if len(words := line.split()) > 1}
