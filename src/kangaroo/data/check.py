"""Read every record of a folder and look at every medium once; tell what there is and what is broken."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kangaroo.data.decoding import Decoder, Look
from kangaroo.data.quarantine import Bad
from kangaroo.data.record import DataError, Medium, Record
from kangaroo.data.shards import Shard
from kangaroo.data.sources import Place, RecordSource, opener, record_files
from kangaroo.errors import KangarooError
from kangaroo.video.decode import FramePlan
from kangaroo.video.isolate import Limits
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

_DECODED_PX = 64
_AHEAD = 4
GROUPS = ("source", "language", "task", "licence")


@dataclass(kw_only=True)
class Report:
    """What a folder of records holds.

    Attributes:
        num_records: Records that can be read.
        num_media: Media that were looked at, each clip once.
        duration_s: How long these are, clips only.
        counts: For source, language, task and licence: how many records each has.
        broken: What cannot be used, in the order of the files.
    """

    num_records: int = 0
    num_media: int = 0
    duration_s: float = 0.0
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in GROUPS})
    broken: list[Bad] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "num_records": self.num_records,
            "num_media": self.num_media,
            "duration_s": self.duration_s,
            "counts": {name: dict(counter) for name, counter in self.counts.items()},
            "broken": [asdict(bad) for bad in self.broken],
        }

    def __str__(self) -> str:
        lines = [f"{self.num_records:,} records, {self.num_media:,} media, {self.duration_s / 3600:.2f} hours"]
        for name, counter in self.counts.items():
            told = ", ".join(f"{_one_line(value)} {count:,}" for value, count in counter.most_common())
            lines.append(f"{name:9} {told}")
        lines += [f"broken    {_one_line(bad.reason)}" for bad in self.broken]
        return "\n".join([*lines, f"{len(self.broken):,} broken"])


def _one_line(text: str) -> str:
    """Escape what a terminal would not print: a record may hold anything, line ends among it."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def check(
    folder: Path,
    *,
    decode: bool = False,
    num_workers: int = 2,
    limits: Limits = Limits(time_s=60.0),
    progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Read everything once.

    >>> print(check(Path("films")))

    Args:
        folder: Holds .jsonl and .tar files, in folders of any depth; or one such file.
        decode: Decode the frames that the default sampler picks; otherwise media are only opened and their packets
            read, which finds missing, cut off and foreign files but no damage inside a frame.
        num_workers: How many decoding processes look at media.
        limits: What looking at one medium may take.
        progress: Told how many records are done.

    Raises:
        DataError: The folder holds no file of records.
    """
    if not folder.exists():
        raise DataError(f"{folder}: no such folder")
    report, desk = Report(), _Desk(Look(size_px=_DECODED_PX if decode else None), limits)
    waiting: deque[_Checked] = deque()
    ids: dict[str, Place] = {}
    with ThreadPoolExecutor(num_workers) as pool:
        try:
            for checked in _each(folder, ids, pool, desk):
                waiting.append(checked)
                if len(waiting) > _AHEAD * num_workers:
                    waiting.popleft().into(report)
                    progress(report.num_records)
            while waiting:
                waiting.popleft().into(report)
                progress(report.num_records)
        finally:
            pool.shutdown(cancel_futures=True)
            desk.close()
    return report


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """A record, its media perhaps still being looked at; or what is wrong with it or its file."""

    bad: Bad | None = None
    record: Record | None = None
    place: Place | None = None
    looks: "tuple[tuple[bool, Future[float]], ...]" = ()

    def into(self, report: Report) -> None:
        if self.bad is not None:
            report.broken.append(self.bad)
        if self.record is None or self.place is None:
            return
        report.num_records += 1
        for name, counter in report.counts.items():
            counter[getattr(self.record, name)] += 1
        for is_first, look in self.looks:
            try:
                seconds = look.result()
            except KangarooError as error:
                reason = str(error) if str(error).startswith(str(self.place)) else f"{self.place}: {error}"
                report.broken.append(Bad(place=self.place, id=self.record.id, reason=reason))
                continue
            if is_first:
                report.num_media += 1
                report.duration_s += seconds


def _each(folder: Path, ids: dict[str, Place], pool: ThreadPoolExecutor, desk: "_Desk") -> Iterator[_Checked]:
    for path in record_files(folder) if folder.is_dir() else [folder]:
        looked: dict[Medium, Future[float]] = {}
        try:
            source = opener(path)(path)
        except DataError as error:
            yield _Checked(bad=Bad(place=Place(file=str(path)), id=None, reason=str(error)))
            continue
        for number in range(len(source)):
            place = source.place(number)
            try:
                record = source.read(number)
            except DataError as error:
                yield _Checked(bad=Bad(place=place, id=None, reason=str(error)))
                continue
            first = ids.setdefault(record.id, place)
            twice = Bad(place=place, id=record.id, reason=f"{place}: the id {record.id!r} is {first}'s too; rename one")
            if isinstance(source, Shard):
                looked = {}  # a shard's samples share no media
            looks = []
            for medium in record.media:
                is_first = medium not in looked
                if is_first:
                    looked[medium] = pool.submit(desk.seconds, source, number, medium)
                looks.append((is_first, looked[medium]))
            yield _Checked(bad=None if first == place else twice, record=record, place=place, looks=tuple(looks))


class _Desk:
    """A decoding process for each thread."""

    def __init__(self, look: Look, limits: Limits) -> None:
        self.look, self.limits = look, limits
        self._own = threading.local()
        self._all: list[Decoder] = []

    def seconds(self, source: RecordSource, number: int, medium: Medium) -> float:
        """Look at a medium and return how long its clip is; 0 for an image."""
        decoder = getattr(self._own, "decoder", None)
        if decoder is None:
            decoder = self._own.decoder = Decoder(self.limits)
            self._all.append(decoder)
        sampler = medium.sampled_by(FrameSampler())
        found: VideoSource = source.find(number, medium)
        plan = decoder.look(Look(size_px=None), found, medium.kind, sampler)
        assert isinstance(plan, FramePlan), "a look without a size gives a plan"
        if self.look.size_px is not None:
            decoder.look(self.look, found, medium.kind, sampler)
        start_s, end_s = sampler.clip_s(plan.duration_s) if plan.duration_s else (0.0, 0.0)
        return float(end_s - start_s)

    def close(self) -> None:
        for decoder in self._all:
            decoder.close()
