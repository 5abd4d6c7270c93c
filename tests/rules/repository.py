"""The repository as the rules see it: its own files, whether or not they were committed yet."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "kangaroo"
_NOT_OURS = {".venv", "build", "dist", "htmlcov", "__pycache__"}


@cache
def own_files() -> tuple[Path, ...]:
    """Every file of the project. Outside a git checkout: all that is no build product."""
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
        paths = [ROOT / name for name in listed.split("\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if not _NOT_OURS & set(path.parts)]
    return tuple(path for path in paths if path.is_file())


def source_files() -> list[Path]:
    return sorted(path for path in own_files() if path.is_relative_to(SOURCE) and path.suffix == ".py")


def pages() -> list[Path]:
    """What a user reads and types from: the README and the guide."""
    return [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
