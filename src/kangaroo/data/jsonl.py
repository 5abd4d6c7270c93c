"""Records as JSON Lines, one a line, with media in the folder of the file or below it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from kangaroo.data.layout import MAX_RECORD_BYTES, loads
from kangaroo.data.record import DataError, Medium, Record
from kangaroo.data.sources import OpenedFile, Place, RecordSource, check_number
from kangaroo.video.source import VideoSource

_CHUNK_BYTES = 1 << 20
_NEWLINE = ord("\n")


class JsonLines(OpenedFile, RecordSource):
    """The records of one file.

    >>> JsonLines(Path("films/records.jsonl")).read(0)

    Raises:
        DataError: The file is missing or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._folder = path.resolve().parent
        with self.opened() as file:
            chunks = iter(lambda: file.read(_CHUNK_BYTES), b"")
            ends_at = np.concatenate([*_newlines(chunks), np.array([self._size], dtype=np.int64)])
        starts = np.concatenate([np.zeros(1, dtype=np.int64), ends_at[:-1] + 1])
        written = np.flatnonzero(ends_at > starts)  # empty lines hold no record
        self._starts, self._ends, self._lines = starts[written], ends_at[written], written + 1

    def __len__(self) -> int:
        return len(self._lines)

    def place(self, number: int) -> Place:
        """Say where a record stands."""
        check_number(number, len(self))
        return Place(file=str(self.path), line=int(self._lines[number]))

    def read(self, number: int) -> Record:
        """Return a record."""
        place = self.place(number)
        with self.opened() as file:
            file.seek(int(self._starts[number]))
            # one byte more than is allowed shows that there is more, and a line of gigabytes is not read
            text = file.read(min(int(self._ends[number] - self._starts[number]), MAX_RECORD_BYTES + 1))
        try:
            return loads(text)
        except DataError as error:
            raise DataError(f"{place}: {error}") from None

    def find(self, number: int, medium: Medium) -> VideoSource:
        """Return a medium of a record."""
        try:
            return VideoSource(find_beside(self._folder, medium.path))
        except DataError as error:
            raise DataError(f"{self.place(number)}: {error}") from None

    def files(self) -> tuple[Path, ...]:
        """Return the file."""
        return (self.path,)


def find_beside(folder: Path, name: str) -> Path:
    """Return the path of a medium in a folder, which no symbolic link may lead out of.

    Raises:
        DataError: It is missing, no file, or lies elsewhere.
    """
    path = folder / name
    try:
        real = path.resolve()
        is_file, exists = real.is_file(), real.exists()
    except OSError as error:
        raise DataError(f"{name} cannot be looked at ({error.strerror})") from None
    if not real.is_relative_to(folder.resolve()):
        raise DataError(f"{name} is a link that leads out of the records' folder; put the file itself there")
    if not is_file:
        raise DataError(f"{name} is a folder, not a film or image" if exists else f"{name} is missing")
    return path


def _newlines(chunks: Iterable[bytes]) -> Iterator[np.ndarray]:
    done = 0
    for chunk in chunks:
        yield np.flatnonzero(np.frombuffer(chunk, dtype=np.uint8) == _NEWLINE) + done
        done += len(chunk)
