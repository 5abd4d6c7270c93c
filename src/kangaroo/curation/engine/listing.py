"""Find the videos and images that a recipe names: files, folders, globs, and .txt lists of such."""

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from kangaroo.errors import OptionError

# fmt: off
ENDINGS = frozenset([
    "mp4", "m4v", "mov", "mkv", "webm", "avi", "flv", "ts", "m2ts", "mts", "mpg", "mpeg", "vob", "ogv",
    "ogg", "3gp", "3g2", "wmv", "asf", "mxf", "gif", "apng", "nut", "ivf", "h264", "hevc", "av1", "dv",
    "jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "avif", "heic", "jxl", "jp2",
])
# fmt: on
_LIST = ".txt"


def find_videos(places: Iterable[str], *, outside: Path) -> Iterator[Path]:
    """Return the files that places name, absolute, as they are found: one that two places name comes twice.

    A folder is searched through for endings of videos and images; a file that is named itself is taken as it is.

    Args:
        places: Files, folders, globs, and lists of such.
        outside: A folder whose files are left out: what a run writes is none of what it reads.

    Raises:
        OptionError: A place is missing, a glob finds nothing, or a folder holds no video.
    """
    found: list[Iterator[Path]] = []
    for place in places:
        own = (path for path in _of(place, inside=None) if not path.is_relative_to(outside.absolute()))
        first = next(own, None)
        if first is None:
            raise OptionError(f"videos: {place!r} holds no video or image")
        found += [iter([first]), own]
    return chain.from_iterable(found)


def subject_of(path: Path) -> str | None:
    """Return what names a file's present state: a hash of path, size and time of change; None where it is gone."""
    try:
        state = path.stat()
    except OSError:
        return None
    return hashlib.sha256(f"{path}\0{state.st_size}\0{state.st_mtime_ns}".encode(errors="surrogateescape")).hexdigest()[
        :32
    ]


def _under(folder: Path) -> Iterator[Path]:
    """Yield what lies under a folder without holding its names."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _under(Path(entry.path))
            else:
                yield Path(entry.path)


def _of(place: str, *, inside: Path | None) -> Iterator[Path]:
    path = Path(place).expanduser()
    if path.is_dir():
        yield from (file for file in _under(path.absolute()) if file.suffix.lower()[1:] in ENDINGS and file.is_file())
    elif path.suffix.lower() == _LIST and path.is_file():
        if inside is not None:
            raise OptionError(f"videos: {inside} names the list {place!r}; a list names videos, folders or globs")
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                yield from _of(line.strip(), inside=path)
    elif path.is_file():
        yield path.absolute()
    elif any(mark in place for mark in "*?["):
        yield from (Path(file).absolute() for file in glob.iglob(str(path), recursive=True) if Path(file).is_file())
    else:
        raise OptionError(f"videos: {place!r} is missing" + (f" (named by {inside})" if inside else ""))
