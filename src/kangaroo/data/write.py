"""Write records: as JSON Lines beside their media, or with their media into shards. A half-written file has no name."""

import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from uuid import uuid4

from kangaroo.data.jsonl import find_beside
from kangaroo.data.layout import MAX_RECORD_BYTES, dumps
from kangaroo.data.record import DataError, Medium, Record, Said
from kangaroo.data.shards import MAX_MEDIUM_BYTES
from kangaroo.errors import OptionError


def write_jsonl(records: Iterable[Record], path: Path) -> int:
    """Write records whose media already lie in the file's folder, and return how many there are.

    >>> write_jsonl(records, Path("films/records.jsonl"))

    Raises:
        DataError: A medium is missing, an id is used twice, or a record is too large to be read again.
    """
    count = 0
    with whole(path) as unfinished, unfinished.open("wb") as file:
        for record in _checked(records, path.parent):
            file.write(_line(record) + b"\n")
            count += 1
    return count


def write_shards(records: Iterable[Record], folder: Path, *, media: Path, shard_bytes: int = 1 << 30) -> list[Path]:
    """Write records and their media into `00000.tar`, `00001.tar`, ... and return these paths.

    >>> write_shards(JsonLines(path).records(), Path("shards"), media=path.parent)

    Args:
        records: What to write.
        folder: Made where it is missing; holds no shard yet.
        media: The folder that the records' paths count from.
        shard_bytes: A new shard begins where the last holds this much.

    Raises:
        DataError: A medium is missing, an id is used twice, or a record or medium is too large to be read again.
        OptionError: The folder holds shards already.
    """
    if shard_bytes < 1:
        raise OptionError(f"shard_bytes is {shard_bytes}; give 1 or more")
    if old := sorted(folder.glob("*.tar")):
        raise OptionError(f"{folder} holds {old[0].name} already, which would be read too; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    samples = enumerate(_checked(records, media))
    paths: list[Path] = []
    sample = next(samples, None)
    while sample is not None:
        paths.append(folder / f"{len(paths):05}.tar")
        with whole(paths[-1]) as unfinished, tarfile.open(unfinished, "w", format=tarfile.PAX_FORMAT) as shard:
            while sample is not None and shard.offset < shard_bytes:
                _add_sample(shard, *sample, media=media)
                sample = next(samples, None)
    return paths


def _add_sample(shard: tarfile.TarFile, number: int, record: Record, *, media: Path) -> None:
    key = f"{number:09}"
    names: dict[str, str] = {}
    for medium in record.media:
        names.setdefault(medium.path, f"{key}.{len(names)}{PurePosixPath(medium.path).suffix.lower()}")

    def moved(part: str | Medium) -> str | Medium:
        return part if isinstance(part, str) else replace(part, path=names[part.path])

    turns = tuple(Said(turn.role, tuple(map(moved, turn.parts))) for turn in record.turns)
    text = _line(replace(record, turns=turns))
    shard.addfile(_member(f"{key}.json", len(text)), io.BytesIO(text))
    for path, name in names.items():
        file = find_beside(media, path)
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            if size > MAX_MEDIUM_BYTES:
                raise DataError(f"{file} has {size:,} bytes, more than {MAX_MEDIUM_BYTES:,}; cut clips from it")
            shard.addfile(_member(name, size), opened)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)  # no time and no owner: the same records give the same bytes
    member.size = size
    return member


def _checked(records: Iterable[Record], folder: Path) -> Iterator[Record]:
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            raise DataError(f"the id {record.id!r} is used twice; give each record its own")
        seen.add(record.id)
        for medium in record.media:
            try:
                find_beside(folder, medium.path)
            except DataError as error:
                raise DataError(f"record {record.id!r}: {error} (looked for in {folder})") from None
        yield record


def _line(record: Record) -> bytes:
    text = dumps(record).encode()
    if len(text) > MAX_RECORD_BYTES:
        raise DataError(f"record {record.id!r} takes {len(text):,} bytes, more than {MAX_RECORD_BYTES:,}; split it")
    return text


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Lend a path beside the wanted one, which takes its name only when all is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{uuid4().hex}.unfinished")  # of two machines, each has a name of its own
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
