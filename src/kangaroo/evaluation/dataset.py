"""A data set as its authors publish it: tables, films, and films in zip archives, which are taken out when wanted.

A record names its film; only names that were found below the folder are looked up, so no record leads elsewhere.
Nothing of a data set is run: tables are parquet, JSON, JSON Lines or TSV. Imports without torch.
"""

import csv
import hashlib
import io
import json
import os
import shutil
import threading
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

from kangaroo.errors import OptionError, VideoError

_FILMS = frozenset((".mp4", ".mkv", ".webm", ".avi", ".mov", ".gif", ".m4v", ".flv"))
_PICTURES = frozenset((".jpg", ".jpeg", ".png", ".webp"))
_SUBTITLES = frozenset((".srt", ".vtt"))
# what zipfile raises on damage; a RuntimeError is an unknown version or a password, a ValueError a name that is no text
_DAMAGED = (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, EOFError)


@dataclass(frozen=True)
class _Entry:
    """A file or folder of the data set; in a zip archive a member, or a folder's pictures, by their names there.

    `version` is another one for each archive, and once it changes.
    """

    path: PurePosixPath
    archive: Path | None = None
    version: str = ""
    member: str = ""
    pictures: tuple[str, ...] = ()


class Dataset:
    """A folder, and where its films are taken out of archives.

    >>> data = Dataset(Path("Video-MME"), source="https://huggingface.co/...", unpacked=Path("out/unpacked"))
    >>> data.rows("videomme/test-*.parquet"); data.file("data/fFjv93ACGo8")

    Args:
        root: What the authors publish.
        source: Where it comes from, for messages.
        unpacked: Made when the first film is taken out of an archive.
    """

    def __init__(self, root: Path, *, source: str, unpacked: Path) -> None:
        if not root.is_dir():
            raise OptionError(f"{root} is no folder; download {source} and give that folder as --data")
        self.root, self.source, self._unpacked = root, source, unpacked

    def rows(self, *patterns: str) -> list[dict[str, Any]]:
        """Return the records of the files that match the first pattern with any, in order of their names.

        What is no record stands as an empty one, so that it is told among those that cannot be asked.

        Raises:
            OptionError: No pattern matches a file, or one cannot be read.
        """
        for pattern in patterns:
            if found := sorted(self.root.glob(pattern)):
                return [row for path in found for row in self._read(path)]
        raise OptionError(f"{self.root} has no {' or '.join(patterns)}; the data come from {self.source}")

    def has(self, wanted: str) -> bool:
        """Whether `file` would find something by that name."""
        return self._find(wanted) is not None

    def file(self, wanted: str) -> Path:
        """Return a film, folder of pictures or subtitle file; its end of name may be left out.

        Where several have the name, it is that whose folders agree best with `wanted`.

        Raises:
            VideoError: It is missing, or its archive is damaged.
        """
        entry = self._find(wanted)
        if entry is None:
            raise VideoError(f"{wanted or 'a film without a name'} is missing in {self.root}")
        return self.root / entry.path if entry.archive is None else self._take_out(entry, entry.archive)

    def _find(self, wanted: str) -> _Entry | None:
        path = PurePosixPath(wanted)
        entries = self._index.get(path.name, [])
        return max(entries, key=lambda one: (_alike(one.path, path), one.archive is None), default=None)

    @cached_property
    def _index(self) -> dict[str, list[_Entry]]:
        """Every film, subtitle file and folder by name, with and without its ending."""
        index: dict[str, list[_Entry]] = defaultdict(list)
        for entry in self._entries():
            index[entry.path.name].append(entry)
            if entry.path.suffix.lower() in _FILMS:
                index[entry.path.stem].append(entry)
        return index

    def _entries(self) -> Iterator[_Entry]:
        for path in self._walk():
            relative = PurePosixPath(path.relative_to(self.root).as_posix())
            if path.suffix.lower() == ".zip" and path.is_file():
                yield from self._members(path, relative.parent)
            elif path.suffix.lower() in _FILMS | _SUBTITLES or path.is_dir():
                yield _Entry(relative)

    def _walk(self) -> Iterator[Path]:
        """Yield every file and folder, also behind links, but no folder's content twice: links may go in a circle."""
        seen: set[Path] = set()
        starts = [self.root]
        for start in starts:
            for folder, folders, files in os.walk(start):
                here = Path(folder)
                if here.resolve() in seen:
                    folders.clear()
                    continue
                seen.add(here.resolve())
                folders.sort()
                starts += [here / name for name in folders if (here / name).is_symlink()]
                yield from (here / name for name in sorted([*folders, *files]))

    def _members(self, archive: Path, folder: PurePosixPath) -> Iterator[_Entry]:
        try:
            with zipfile.ZipFile(archive) as opened:
                names = [name for name in opened.namelist() if not name.endswith("/")]
            state = archive.stat()
        except _DAMAGED as error:
            raise OptionError(f"{archive} cannot be opened ({error}); download it again from {self.source}") from None
        version = f"{archive.relative_to(self.root).as_posix()}\0{state.st_size}\0{state.st_mtime_ns}"
        pictures: dict[PurePosixPath, list[str]] = defaultdict(list)
        for name in names:
            path = folder / PurePosixPath(name)
            if path.suffix.lower() in _FILMS | _SUBTITLES:
                yield _Entry(path, archive, version, member=name)
            elif path.suffix.lower() in _PICTURES:
                pictures[path.parent].append(name)
        for parent, own in pictures.items():
            yield _Entry(parent, archive, version, pictures=tuple(own))

    def _take_out(self, entry: _Entry, archive: Path) -> Path:
        name = hashlib.sha256(os.fsencode(f"{entry.version}\0{entry.path}")).hexdigest()[:16]
        ending = entry.path.suffix.lower()
        target = self._unpacked / f"{name}{ending if ending in _FILMS else ''}"
        if target.exists():
            return target
        unfinished = target.with_name(f"{target.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            with zipfile.ZipFile(archive) as opened:
                self._unpacked.mkdir(parents=True, exist_ok=True)
                if entry.member:
                    _copy(opened, entry.member, unfinished)
                else:
                    unfinished.mkdir()
                    for picture in entry.pictures:
                        _copy(opened, picture, unfinished / PurePosixPath(picture).name)
            os.replace(unfinished, target)
        except _DAMAGED as error:
            if not target.exists():  # else another thread was sooner
                raise VideoError(f"{entry.path} cannot be taken out of {archive} ({error})") from None
        return target

    def _read(self, path: Path) -> list[dict[str, Any]]:
        try:
            if path.suffix == ".parquet":
                return _parquet(path)
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".tsv":
                return list(csv.DictReader(io.StringIO(text), dialect="excel-tab"))
            lines = [text] if path.suffix == ".json" else [line for line in text.split("\n") if line.strip()]
            read: list[Any] = [json.loads(line) for line in lines]
        except (OSError, ValueError, RecursionError, csv.Error) as error:
            raise OptionError(f"{path} cannot be read ({error}); download it again from {self.source}") from None
        rows = read[0] if path.suffix == ".json" and isinstance(read[0], list) else read
        return [row if isinstance(row, dict) else {} for row in rows]


def _alike(first: PurePosixPath, second: PurePosixPath) -> int:
    """Return how many folders two paths share, counted from their ends."""
    pairs = zip(first.parts[-2::-1], second.parts[-2::-1], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _copy(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    with archive.open(member) as read, target.open("wb") as written:
        shutil.copyfileobj(read, written)


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise OptionError("parquet needs pyarrow: pip install 'kangaroo-video[evaluate]'") from None
    try:
        return parquet.read_table(path).to_pylist()
    except ArrowException as error:
        raise ValueError(str(error).splitlines()[0]) from None
