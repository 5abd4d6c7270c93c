"""A curation run from files to records; what a run before has recorded is not done again."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from kangaroo.curation.clip import Clip
from kangaroo.curation.engine.consult import Question, consult
from kangaroo.curation.engine.export import export, file_of
from kangaroo.curation.engine.layout import Layout
from kangaroo.curation.engine.ledger import CurationError, Ledger, State, Unit, alone, told_of
from kangaroo.curation.engine.listing import find_videos, subject_of
from kangaroo.curation.engine.look import fitted_px
from kangaroo.curation.engine.pipeline import Fate, Pipeline, Results
from kangaroo.curation.engine.pool import each, hired
from kangaroo.curation.engine.probe import Probed, probe
from kangaroo.curation.engine.recipe import Recipe
from kangaroo.curation.engine.step import dumps, plain
from kangaroo.curation.engine.table import Verdicts, conclude, decide, kept_clips, write_scores
from kangaroo.curation.engine.watch import Errand, Found, watch
from kangaroo.curation.measures.duplicates import Hashed, find_copies
from kangaroo.data.record import Kind, Medium, Record
from kangaroo.data.write import write_jsonl, write_shards
from kangaroo.errors import KangarooError
from kangaroo.video.isolate import Errands

_LEAST_BYTES = 64 << 20  # less is a full disk
_BYTES_PER_S = 20e6  # the slowest disk that a probe is given time for


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run came to: what the rules make of its clips, records, things in quarantine, and clips that wait."""

    verdicts: Verdicts | None
    num_records: int
    num_quarantined: int
    num_blocked: int


class Run:
    """One run.

    >>> Run(recipe, pipeline(recipe)).go()

    Args:
        recipe: What is asked for.
        parts: What is done.
        tell: Called with what is under way, how much of it is done, and of how much.
    """

    def __init__(
        self, recipe: Recipe, parts: Pipeline, *, tell: Callable[[str, int, int], None] = lambda *_: None
    ) -> None:
        self.recipe, self.parts, self.tell = recipe, parts, tell
        self.at = Layout(out=recipe.out)
        self.limits = recipe.machine
        self._left_out: list[dict[str, str]] = []

    def go(self) -> Outcome:
        """Do what is not done yet.

        Raises:
            CurationError: Another run is at work there, or the disk is full.
            OptionError: The recipe's videos cannot be found.
        """
        videos = find_videos(self.recipe.videos, outside=self.at.out)
        try:
            self.at.out.mkdir(parents=True, exist_ok=True)
            with alone(self.at.out), Ledger(self.at.ledger) as ledger:
                return self._go(ledger, videos)
        except OSError as error:
            raise told_of(self.at.out, error) from None

    def _go(self, ledger: Ledger, videos: Iterable[Path]) -> Outcome:
        for path in (*self.at.out.glob("*.unfinished"), *self.at.media.glob("*.unfinished")):
            path.unlink()
        (self.at.out / "recipe.json").write_text(
            json.dumps(plain(self.recipe), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        ledger.list_videos(self._named(videos))
        first = ledger.first_file()
        with hired(self.limits, shared=[self.at.ledger, *([first] if first else [])]) as errands:
            self._probe(ledger, errands)
            self._watch(ledger, errands)
            verdicts = self._decide(ledger)
            num_records = 0
            if verdicts is not None:
                self._ask(ledger, errands, num_kept=verdicts.kept)
                num_records = self._write(ledger, errands)
        quarantined = self._list_quarantine(ledger)
        return Outcome(
            verdicts=verdicts,
            num_records=num_records,
            num_quarantined=quarantined,
            num_blocked=ledger.num_blocked([self.parts.signatures[step.name] for step in self.parts.asking]),
        )

    def _named(self, videos: Iterable[Path]) -> Iterator[tuple[Path, str]]:
        """Yield files with their subjects; a name that is no text cannot be listed."""
        for path in videos:
            if _is_text(path):
                if (subject := subject_of(path)) is not None:
                    yield path, subject
            else:
                told = {"step": "list", "subject": ascii(str(path)), "reason": "its name is no text; rename it"}
                self._left_out += [] if told in self._left_out else [told]

    def _probe(self, ledger: Ledger, errands: Errands) -> None:
        signature = self.parts.signatures["probe"]
        files = ledger.files(without=signature)

        def do(file: tuple[str, Path]) -> Probed:
            _, path = file
            size = path.stat().st_size if path.exists() else 0
            time_s = self.limits.limit_s + size / _BYTES_PER_S
            return errands.call(probe, path, name=str(path), time_s=time_s, doing="reading it")

        for number, ((subject, _), found) in enumerate(
            each(files, do, threads=self.limits.workers, stop=errands.cancel), start=1
        ):
            ledger.record([_unit(signature, subject, found)])
            self.tell("probing", number, len(files))
        ledger.identify(signature)

    def _watch(self, ledger: Ledger, errands: Errands) -> None:
        steps, signatures = self.parts.measuring, self.parts.signatures
        todo = ledger.contents_to_do(cut=signatures["cut"], signatures=[signatures[step.name] for step in steps])
        films = (self._errand(ledger, content, path) for content, path in todo)

        def do(errand: tuple[Errand, int]) -> Found:
            asked, num_frames = errand
            options = {"name": str(asked.video), "doing": "decoding and measuring it"}
            return errands.call(watch, asked, time_s=self._time_s(num_frames), **options)

        for number, ((errand, _), found) in enumerate(
            each(films, do, threads=self.limits.workers, stop=errands.cancel), start=1
        ):
            self._record_watched(ledger, errand, found)
            self.tell("watching", number, len(todo))

    def _errand(self, ledger: Ledger, content: str, path: Path) -> tuple[Errand, int]:
        steps, signatures = self.parts.measuring, self.parts.signatures
        probed = self._probed(ledger, path)
        errand = Errand(
            video=path,
            content=content,
            shown_px=(probed["height_px"], probed["width_px"]),
            is_image=probed["is_image"],
            cut=self.parts.cut,
            look=self.parts.look,
            steps=steps,
        )
        if ledger.unit(signatures["cut"], content) is None:
            return errand, probed["num_frames"]
        wanted: dict[str, frozenset[str]] = {}
        known: dict[str, dict[str, Any]] = {}
        clips = ledger.clips_of(content, path, cut=signatures["cut"])
        for clip in clips:
            units = {step.name: ledger.unit(signatures[step.name], clip.id) for step in steps}
            wanted[clip.id] = frozenset(name for name, unit in units.items() if unit is None)
            known[clip.id] = {name: json.loads(unit.told) for name, unit in units.items() if _is_done(unit)}
        pending = tuple(clip for clip in clips if wanted[clip.id])
        return replace(errand, cut=None, clips=pending, wanted=wanted, known=known), probed["num_frames"]

    def _record_watched(self, ledger: Ledger, errand: Errand, found: Found | KangarooError) -> None:
        signatures = self.parts.signatures
        if isinstance(found, KangarooError):
            if errand.cut is not None:
                ledger.record([_unit(signatures["cut"], errand.content, found)])
            else:
                ledger.record([
                    _unit(signatures[name], clip.id, found) for clip in errand.clips for name in errand.wanted[clip.id]
                ])  # fmt: skip
            return
        units = [
            Unit(signature=signatures[name], subject=clip, state=state, told=told)
            for (clip, name), (state, told) in found.outcomes.items()
        ]
        if errand.cut is None:
            ledger.record(units)
            return
        told = {"clips": len(found.clips), "short": found.num_short, "notes": found.notes}
        reason = (
            f"no scene lasts {errand.cut.min_s:g} s ({found.num_short} shorter ones); lower [cut] min_s to keep them"
        )
        cut = Unit(
            signature=signatures["cut"],
            subject=errand.content,
            state=State.DONE if found.clips else State.QUARANTINED,
            told=dumps(told) if found.clips else reason,
        )
        ledger.record([cut, *units], clips=found.clips, cut=signatures["cut"], video=errand.content)

    def _decide(self, ledger: Ledger) -> Verdicts | None:
        signatures = self.parts.signatures
        copies = find_copies(self._hashed(ledger), self.parts.duplicates, before=ledger.clusters())
        ledger.remember_clusters((clip, copy.cluster) for clip, copy in copies.items())

        def beside(clip: str) -> dict[str, Any]:
            told = asdict(copies[clip]).items() if clip in copies else ()
            return {f"duplicates.{name}": value if name == "cluster" else float(value) for name, value in told}

        self.tell("deciding", 0, len(copies))
        count = write_scores(
            ledger,
            self.at.scores,
            cut=signatures["cut"],
            probed=signatures["probe"],
            steps=self.parts.measuring,
            signatures=signatures,
            beside=beside,
        )
        if not count:
            for path in (self.at.decisions, self.at.records):
                path.unlink(missing_ok=True)
            for folder in (self.at.media, self.at.shards):
                shutil.rmtree(folder, ignore_errors=True)
            return None
        return decide(self.at.scores, self.at.decisions, self.parts.rules, self.recipe.keep)

    def _hashed(self, ledger: Ledger) -> Iterator[Hashed]:
        signatures = self.parts.signatures
        prints = ledger.results(signatures["fingerprint"])
        head = next(prints, None)
        for clip, _, probe_told in ledger.clips(cut=signatures["cut"], probed=signatures["probe"]):
            while head is not None and head[0] < clip.id:
                head = next(prints, None)
            if head is None or head[0] != clip.id or head[1].state is not State.DONE:
                continue
            found, probed = json.loads(head[1].told), json.loads(probe_told)
            pixels = float(probed["width_px"] * probed["height_px"])
            rate = probed["size_bytes"] / max(probed["duration_s"], 1.0)
            yield Hashed(
                id=clip.id,
                hashes=np.array([int(one, 16) for one in found["hashes"]], dtype=np.uint64),
                times_s=np.array(found["times_s"], dtype=np.float64),
                quality=(pixels, clip.end_s - clip.start_s, rate),
            )

    def _ask(self, ledger: Ledger, errands: Errands, *, num_kept: int) -> None:
        if not self.parts.asking:
            return
        signatures = self.parts.signatures

        def todo() -> Iterator[Question]:
            for clip in kept_clips(self.at.decisions):
                units = {step.name: ledger.unit(signatures[step.name], clip.id) for step in self.parts.steps}
                steps = tuple(step for step in self.parts.asking if units[step.name] is None)
                if steps:
                    probed = self._probed(ledger, clip.video)
                    yield Question(
                        clip=clip,
                        steps=steps,
                        known={name: json.loads(unit.told) for name, unit in units.items() if _is_done(unit)},
                        failed=frozenset(
                            name for name, unit in units.items() if unit and unit.state is State.QUARANTINED
                        ),
                        size_px=fitted_px((probed["height_px"], probed["width_px"]), self.parts.key_frames.side_px),
                    )

        def do(question: Question) -> list[Unit]:
            return consult(question, self.parts, errands, time_s=self.limits.limit_s)

        for number, (_, units) in enumerate(each(todo(), do, threads=self.limits.asking, stop=errands.cancel), start=1):
            assert not isinstance(units, KangarooError), "each step's mistakes are outcomes"
            ledger.record(units)
            self.tell("asking", number, num_kept)

    def _write(self, ledger: Ledger, errands: Errands) -> int:
        chosen = self._chosen(ledger)
        if self.parts.records is None:
            return 0
        by_video: dict[Path, list[Clip]] = {}
        for clip in chosen:
            by_video.setdefault(clip.video, []).append(clip)
        wanted = {file_of(clip, self.parts.media) for clips in by_video.values() for clip in clips}
        self.at.media.mkdir(exist_ok=True)
        for path in self.at.media.iterdir():
            if path.name not in wanted:
                path.unlink()
        tasks = [
            (video, tuple(sorted(clips, key=lambda clip: clip.start_s)), self._probed(ledger, video)["num_frames"])
            for video, every in by_video.items()
            if (clips := [clip for clip in every if not self._medium(clip).exists()])
        ]

        def do(task: tuple[Path, tuple[Clip, ...], int]) -> None:
            video, clips, num_frames = task
            time_s, options = self._time_s(num_frames), {"name": str(video), "doing": "writing its clips"}
            errands.call(export, video, clips, self.at.media.absolute(), self.parts.media, time_s=time_s, **options)

        for number, ((video, *_), failed) in enumerate(
            each(tasks, do, threads=self.limits.workers, stop=errands.cancel), start=1
        ):
            if isinstance(failed, KangarooError):
                if shutil.disk_usage(self.at.out).free < _LEAST_BYTES:
                    raise CurationError(f"{self.at.out}: the disk is full; make room, and the same command goes on")
                self._left_out.append({"step": "media", "subject": str(video), "reason": str(failed)})
            self.tell("writing", number, len(tasks))
        count = write_jsonl(self._records(ledger, chosen), self.at.records)
        shutil.rmtree(self.at.shards, ignore_errors=True)
        shard_bytes = self.parts.media.shard_mib << 20
        write_shards(self._records(ledger, chosen), self.at.shards, media=self.at.out, shard_bytes=shard_bytes)
        return count

    def _chosen(self, ledger: Ledger) -> list[Clip]:
        """Return the clips that become records, and write down why the others do not."""
        kept = list(kept_clips(self.at.decisions))
        fates: Mapping[str, Fate] = {clip.id: Fate() for clip in kept}
        if self.parts.choose is not None:
            fates = self.parts.choose((clip, self._results(ledger, clip)) for clip in kept)
        conclude(self.at.decisions, fates)
        return [clip for clip in kept if not fates[clip.id].reason]

    def _results(self, ledger: Ledger, clip: Clip) -> Results:
        units = {step.name: ledger.unit(self.parts.signatures[step.name], clip.id) for step in self.parts.steps}
        return {name: json.loads(unit.told) for name, unit in units.items() if _is_done(unit)}

    def _records(self, ledger: Ledger, chosen: list[Clip]) -> Iterator[Record]:
        assert self.parts.records is not None, "asked only where there is something to make"
        for clip in chosen:
            path = self._medium(clip)
            if path.exists():
                kind = Kind.IMAGE if clip.start_s == clip.end_s else Kind.VIDEO
                medium = Medium(kind=kind, path=f"media/{path.name}")
                yield from self.parts.records(clip, self._results(ledger, clip), medium)

    def _medium(self, clip: Clip) -> Path:
        return self.at.media / file_of(clip, self.parts.media)

    def _time_s(self, num_frames: int) -> float:
        return self.limits.limit_s + self.limits.frame_limit_s * num_frames

    def _probed(self, ledger: Ledger, path: Path) -> Mapping[str, Any]:
        found = ledger.probed(str(path), signature=self.parts.signatures["probe"])
        assert found is not None, "clips are of probed files"
        return json.loads(found)

    def _list_quarantine(self, ledger: Ledger) -> int:
        """Write down everything that was left out because it is broken."""
        lines = sorted(self._left_out, key=dumps)
        for name in ("probe", "cut", *(step.name for step in self.parts.steps)):
            for subject, reason in ledger.reasons(self.parts.signatures[name], State.QUARANTINED):
                lines.append({"step": name, "subject": ledger.path_of(subject) or subject, "reason": reason})
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        self.at.quarantine.write_text(text, encoding="utf-8")
        return len(lines)


def _unit(signature: str, subject: str, found: Any) -> Unit:
    if isinstance(found, KangarooError):
        return Unit(signature=signature, subject=subject, state=State.QUARANTINED, told=str(found))
    return Unit(signature=signature, subject=subject, state=State.DONE, told=dumps(found))


def _is_done(unit: Unit | None) -> TypeGuard[Unit]:
    return unit is not None and unit.state is State.DONE


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return False
    return True
