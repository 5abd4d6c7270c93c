"""Records in WebDataset's tar shards: `name.json` and its media `name.mp4`, `name.1.png`, ... stand together.

A shard is read in its order once, for the places of its samples; nothing is ever unpacked to disk.
"""

import tarfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kangaroo.data.layout import MAX_RECORD_BYTES, loads
from kangaroo.data.record import DataError, Medium, Record
from kangaroo.data.sources import OpenedFile, Place, RecordSource, check_number
from kangaroo.video.source import VideoSource

MAX_MEDIUM_BYTES = 2 << 30  # a film is held in memory whole, here and in the process that decodes it
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_CHUNK_BYTES = 1 << 20
_MAX_HEADER_BYTES = 1 << 20  # names and attributes of one member


class Shard(OpenedFile, RecordSource):
    """The records of one shard.

    >>> Shard(Path("films/00000.tar")).read(0)

    Raises:
        DataError: The shard is missing, compressed, cut off or damaged.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with self.opened() as file:
            if file.read(6).startswith(_COMPRESSED):
                raise DataError(f"{path}: compressed shards cannot be read at any position; unpack it")
            file.seek(0)
            try:
                starts = _sample_starts(file)
            except (tarfile.TarError, ValueError) as error:
                raise DataError(f"{path}: the shard is cut off or damaged ({error})") from None
        self._starts = np.array(starts, dtype=np.int64)  # the last is the end

    def __len__(self) -> int:
        return len(self._starts) - 1

    def place(self, number: int) -> Place:
        """Say where a record stands."""
        return Place(file=str(self.path), member=key_of(next(self._members(number)).name))

    def read(self, number: int) -> Record:
        """Return a record."""
        try:
            members = self._sample(number)
            key = key_of(next(iter(members)))
            text = members.get(f"{key}.json")
            if text is None:
                raise DataError(f"the sample has no {key}.json but {', '.join(members)}; members must stand together")
            record = loads(self._bytes(text, most=MAX_RECORD_BYTES + 1))
            for medium in record.media:
                _member(members, medium.path)
        except DataError as error:
            raise DataError(f"{self.place(number)}: {error}") from None
        return record

    def find(self, number: int, medium: Medium) -> VideoSource:
        """Return a medium of a record, its bytes read."""
        try:
            data = self._bytes(_member(self._sample(number), medium.path))
        except DataError as error:
            raise DataError(f"{self.place(number)}: {error}") from None
        return VideoSource(data, label=f"{self.path}:{medium.path}")

    def files(self) -> tuple[Path, ...]:
        """Return the file."""
        return (self.path,)

    def _sample(self, number: int) -> dict[str, tarfile.TarInfo]:
        """Return the members of a sample by name, all of them fit to be read."""
        members: dict[str, tarfile.TarInfo] = {}
        for member in self._members(number):
            _check_member(member)
            if member.name in members:
                raise DataError(f"{member.name} stands twice in its sample; give each sample a key of its own")
            members[member.name] = member
        return members

    def _members(self, number: int) -> Iterator[tarfile.TarInfo]:
        check_number(number, len(self))
        with self.opened() as file:
            file.seek(int(self._starts[number]))
            with _tar(file) as shard:
                for member in shard:
                    if member.offset >= self._starts[number + 1]:
                        return
                    if not member.isdir():
                        yield member

    def _bytes(self, member: tarfile.TarInfo, *, most: int | None = None) -> bytes:
        with self.opened() as file:
            file.seek(member.offset_data)
            return file.read(member.size if most is None else min(member.size, most))


def key_of(name: str) -> str:
    """Return what the members of one sample share: the name up to the first dot behind the last slash."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.partition(".")[0]


def _sample_starts(file: BinaryIO) -> list[int]:
    """Return where each sample begins, and where the last ends."""
    starts, before = [], None
    with _tar(file) as shard:
        for member in shard:
            if shard.offset <= member.offset:
                raise ValueError(f"the member at byte {member.offset:,} claims a size below 0")
            key = key_of(member.name)
            if not member.isdir() and key != before:
                starts.append(member.offset)
                before = key
            vars(shard)["members"] = []  # it would remember every member
        end = shard.offset
    # tarfile takes damage for the end; a whole shard ends with a block of zeros, and nothing but zeros follows
    file.seek(end)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise ValueError(f"what stands at byte {end:,} is neither a member nor the shard's end")
    if any(chunk.strip(b"\0") for chunk in iter(lambda: file.read(_CHUNK_BYTES), b"")):
        raise ValueError(f"more follows the zeros at byte {end:,}: a hole, or shards joined with cat, to be kept apart")
    assert all(first < second for first, second in pairwise(starts)), "members stand in order"
    return [*starts, end]


class _Headers:
    """What tarfile reads of a file: headers alone, whose sizes it takes for true."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header claims {size:,} bytes")
        return self._file.read(size)


def _tar(file: BinaryIO) -> tarfile.TarFile:
    headers: Any = _Headers(file)  # tarfile needs no more of a file
    return tarfile.open(fileobj=headers, mode="r:")


def _check_member(member: tarfile.TarInfo) -> None:
    name = member.name
    if not member.isreg() or member.issparse():
        raise DataError(f"{name} is a link or a special file; put the file itself into the shard")
    if name.startswith("/") or ".." in name.split("/"):
        raise DataError(f"the member {name!r:.120} leads out of the shard; rename it")
    if member.size > MAX_MEDIUM_BYTES:
        raise DataError(f"{name} has {member.size:,} bytes, more than {MAX_MEDIUM_BYTES:,}; cut clips from it")


def _member(members: dict[str, tarfile.TarInfo], name: str) -> tarfile.TarInfo:
    if name not in members:
        raise DataError(f"{name} is missing from its sample, which holds {', '.join(members)}")
    return members[name]
