"""Write what a run came to: pieces of films, records and shards of the clips that stay."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from kangaroo.curation.clip import Clip
from kangaroo.curation.engine.export import export, file_of
from kangaroo.curation.engine.known import Known
from kangaroo.curation.engine.layout import Layout
from kangaroo.curation.engine.ledger import CurationError
from kangaroo.curation.engine.pipeline import Fate, Pipeline, Records
from kangaroo.curation.engine.pool import each
from kangaroo.curation.engine.recipe import Machine
from kangaroo.curation.engine.table import conclude, kept_clips
from kangaroo.data.record import Kind, Medium, Record
from kangaroo.data.write import write_jsonl, write_shards
from kangaroo.errors import KangarooError
from kangaroo.video.errands import Errands

_LEAST_BYTES = 64 << 20  # less is a full disk


class Output:
    """What a run leaves behind.

    Attributes:
        num_records: Of the records file.
        failed: Films whose clips could not be written, with the reasons.
    """

    def __init__(
        self, at: Layout, parts: Pipeline, limits: Machine, known: Known, *, tell: Callable[[str, int, int], None]
    ) -> None:
        self.at, self.parts, self.limits, self.known, self.tell = at, parts, limits, known, tell
        self.num_records = 0
        self.failed: list[tuple[Path, str]] = []

    def write(self, errands: Errands) -> None:
        """Write down why clips stay or go, and what is made of those that stay.

        Raises:
            CurationError: The disk is full.
        """
        chosen = self._chosen()
        if self.parts.records is None:
            return
        self._cut_out(chosen, errands)
        self.num_records = write_jsonl(self._records(chosen, self.parts.records), self.at.records)
        shutil.rmtree(self.at.shards, ignore_errors=True)
        shard_bytes = self.parts.media.shard_mib << 20
        again = self._records(chosen, self.parts.records)
        write_shards(again, self.at.shards, media=self.at.out, shard_bytes=shard_bytes)

    def clear(self) -> None:
        """Take away what a run before wrote."""
        for path in (self.at.decisions, self.at.records):
            path.unlink(missing_ok=True)
        for folder in (self.at.media, self.at.shards):
            shutil.rmtree(folder, ignore_errors=True)

    def _chosen(self) -> dict[Clip, float]:
        """Return the clips that stay, with what each counts in training."""
        kept = list(kept_clips(self.at.decisions))
        fates: Mapping[str, Fate] = {clip.id: Fate() for clip in kept}
        if self.parts.choose is not None:
            fates = self.parts.choose((clip, self.known.results(clip)) for clip in kept)
        conclude(self.at.decisions, fates)
        return {clip: fates[clip.id].weight for clip in kept if not fates[clip.id].reason}

    def _cut_out(self, chosen: Iterable[Clip], errands: Errands) -> None:
        """Write each clip as a file of its own, those alone that are not there."""
        wanted = {self._medium(clip) for clip in chosen}
        self.at.media.mkdir(exist_ok=True)
        for path in self.at.media.iterdir():
            if path not in wanted:
                path.unlink()
        missing = sorted(
            (clip for clip in chosen if not self._medium(clip).exists()), key=lambda clip: (clip.video, clip.start_s)
        )
        tasks = [
            (video, tuple(clips), self.limits.film_limit_s(self.known.probed(video)["num_frames"]))
            for video, clips in groupby(missing, key=lambda clip: clip.video)
        ]

        def do(task: tuple[Path, tuple[Clip, ...], float]) -> None:
            video, clips, time_s = task
            options = {"name": str(video), "doing": "writing its clips"}
            errands.call(export, video, clips, self.at.media.absolute(), self.parts.media, time_s=time_s, **options)

        for number, ((video, *_), failed) in enumerate(
            each(tasks, do, threads=self.limits.workers, stop=errands.cancel), start=1
        ):
            if isinstance(failed, KangarooError):
                if shutil.disk_usage(self.at.out).free < _LEAST_BYTES:
                    raise CurationError(f"{self.at.out}: the disk is full; make room, and the same command goes on")
                self.failed.append((video, str(failed)))
            self.tell("writing", number, len(tasks))

    def _records(self, chosen: Mapping[Clip, float], made: Records) -> Iterator[Record]:
        for clip, weight in chosen.items():
            path = self._medium(clip)
            if path.exists():
                kind = Kind.IMAGE if clip.start_s == clip.end_s else Kind.VIDEO
                medium = Medium(kind=kind, path=f"media/{path.name}")
                for record in made(clip, self.known.results(clip), medium):
                    yield replace(record, weight=weight)

    def _medium(self, clip: Clip) -> Path:
        return self.at.media / file_of(clip, self.parts.media)
