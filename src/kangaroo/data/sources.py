"""Where records are read from: one interface over files of JSON Lines, shards, and folders of both.

A source is indexed once, without reading what the records say; from then on any record is read by its number.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from kangaroo.data.record import DataError, Medium, Record
from kangaroo.video.source import VideoSource


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a record stands: a line of a file, or a sample of a shard."""

    file: str
    line: int | None = None
    member: str | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.member) if part is not None)


class RecordSource(ABC):
    """Records by number, in an order that never changes. Safe to read from several threads and processes.

    >>> for number in range(1000, len(source)):
    ...     record = source.read(number)
    """

    @abstractmethod
    def __len__(self) -> int:
        """How many records there are, broken ones included."""

    @abstractmethod
    def place(self, number: int) -> Place:
        """Say where a record stands."""

    @abstractmethod
    def read(self, number: int) -> Record:
        """Return a record.

        Raises:
            DataError: It is broken; the message names its place.
        """

    @abstractmethod
    def find(self, number: int, medium: Medium) -> VideoSource:
        """Return a medium of a record, not yet opened.

        Raises:
            DataError: It is missing, or lies outside of where the record's media may lie.
        """

    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """Return the files that hold the records."""

    def records(self, start: int = 0) -> Iterator[Record]:
        """Yield the records from number `start` on."""
        return (self.read(number) for number in range(start, len(self)))


class OpenedFile:
    """What the sources of one file share: it must stay what it was when it was indexed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = self._stat_size()

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Lend the file, opened anew: a position shared with other processes would be no position."""
        if (size := self._stat_size()) != self._size:
            raise DataError(f"{self.path}: has {size:,} bytes but had {self._size:,} when it was indexed; start anew")
        with self.path.open("rb") as file:
            yield file

    def _stat_size(self) -> int:
        try:
            if not self.path.is_file():
                raise DataError(f"{self.path}: no such file of records")
            return self.path.stat().st_size
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror})") from None


class Chained(RecordSource):
    """Several sources, one after the other."""

    def __init__(self, sources: Sequence[RecordSource]) -> None:
        self._sources = tuple(sources)
        self._ends = list(accumulate(len(source) for source in sources))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def place(self, number: int) -> Place:
        """Say where a record stands."""
        source, inner = self._locate(number)
        return source.place(inner)

    def read(self, number: int) -> Record:
        """Return a record."""
        source, inner = self._locate(number)
        return source.read(inner)

    def find(self, number: int, medium: Medium) -> VideoSource:
        """Return a medium of a record."""
        source, inner = self._locate(number)
        return source.find(inner, medium)

    def files(self) -> tuple[Path, ...]:
        """Return the files that hold the records."""
        return tuple(path for source in self._sources for path in source.files())

    def _locate(self, number: int) -> tuple[RecordSource, int]:
        check_number(number, len(self))
        which = bisect_right(self._ends, number)
        return self._sources[which], number - (self._ends[which - 1] if which else 0)


def check_number(number: int, count: int) -> None:
    """Raise `IndexError` where there is no such record, which ends a plain iteration too."""
    if not 0 <= number < count:
        raise IndexError(f"there is no record {number}; there are {count}")


def open_source(path: Path) -> RecordSource:
    """Index a file of JSON Lines, a shard, or all of them in a folder and its folders, by name.

    Raises:
        DataError: It is missing, compressed, damaged, or holds no such file.
    """
    if not path.is_dir():
        return opener(path)(path)
    return Chained([opener(file)(file) for file in record_files(path)])


def record_files(folder: Path) -> list[Path]:
    """Return the files of records in a folder and its folders, by name; compressed ones are left for `opener`."""
    endings = (".jsonl", ".tar", ".jsonl.gz", ".tar.gz", ".tgz")
    found = [path for path in folder.rglob("*") if path.name.lower().endswith(endings) and path.is_file()]
    if not found:
        raise DataError(f"{folder}: holds no .jsonl and no .tar file; write records with kangaroo.data.write")
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def opener(path: Path) -> Callable[[Path], RecordSource]:
    """Return what opens a file of records, by its ending.

    Raises:
        DataError: It is of another kind.
    """
    from kangaroo.data.jsonl import JsonLines
    from kangaroo.data.shards import Shard

    name = path.name.lower()
    if name.endswith((".gz", ".tgz")):
        raise DataError(f"{path}: compressed files cannot be read at any position; unpack it with gunzip")
    if not name.endswith((".jsonl", ".tar")):
        raise DataError(f"{path}: is neither a .jsonl nor a .tar file, nor a folder of such")
    return Shard if name.endswith(".tar") else JsonLines
