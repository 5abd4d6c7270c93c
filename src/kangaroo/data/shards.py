"""Records in WebDataset's tar shards: `name.json` and its media `name.mp4`, `name.1.png`, ... stand together.

A shard is read in its order once, for the places of its samples; nothing is ever unpacked to disk.
"""

import tarfile
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kangaroo.data.layout import MAX_RECORD_BYTES, loads
from kangaroo.data.record import DataError, Medium, Record
from kangaroo.data.sources import OpenedFile, Place, RecordSource, check_number
from kangaroo.video.source import VideoSource

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


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
        return Place(file=str(self.path), member=key_of(next(iter(self._members(number)))))

    def read(self, number: int) -> Record:
        """Return a record."""
        members = self._members(number)
        key = key_of(next(iter(members)))
        try:
            for name, member in members.items():
                _check_member(name, member)
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
            data = self._bytes(_member(self._members(number), medium.path))
        except DataError as error:
            raise DataError(f"{self.place(number)}: {error}") from None
        return VideoSource(data, label=f"{self.path}:{medium.path}")

    def files(self) -> tuple[Path, ...]:
        """Return the file."""
        return (self.path,)

    def _members(self, number: int) -> dict[str, tarfile.TarInfo]:
        check_number(number, len(self))
        members: dict[str, tarfile.TarInfo] = {}
        with self.opened() as file:
            file.seek(int(self._starts[number]))
            with tarfile.open(fileobj=file, mode="r:") as shard:
                for member in shard:
                    if member.offset >= self._starts[number + 1]:
                        break
                    if not member.isdir():
                        members[member.name] = member
        return members

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
    with tarfile.open(fileobj=file, mode="r:") as shard:
        for member in shard:
            key = key_of(member.name)
            if not member.isdir() and key != before:
                starts.append(member.offset)
                before = key
            vars(shard)["members"] = []  # it would remember every member
        end = shard.offset
    # tarfile takes damage for the end; a whole shard ends with a block of zeros
    file.seek(end)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise ValueError(f"what stands at byte {end:,} is neither a member nor the shard's end")
    assert all(first < second for first, second in pairwise(starts)), "members stand in order"
    return [*starts, end]


def _check_member(name: str, member: tarfile.TarInfo) -> None:
    if not member.isreg() or member.issparse():
        raise DataError(f"{name} is a link or a special file; put the file itself into the shard")
    if name.startswith("/") or ".." in name.split("/"):
        raise DataError(f"the member {name!r:.120} leads out of the shard; rename it")


def _member(members: dict[str, tarfile.TarInfo], name: str) -> tarfile.TarInfo:
    if name not in members:
        raise DataError(f"{name} is missing from its sample, which holds {', '.join(members)}")
    _check_member(name, members[name])
    return members[name]
