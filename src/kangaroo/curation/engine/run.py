"""A curation run from files to records; what a run before has recorded is not done again."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kangaroo.curation.engine.consult import Question, consult
from kangaroo.curation.engine.known import Known, done
from kangaroo.curation.engine.layout import Layout
from kangaroo.curation.engine.ledger import Ledger, State, Unit, alone, told_of
from kangaroo.curation.engine.listing import find_videos, subject_of
from kangaroo.curation.engine.look import fitted_px
from kangaroo.curation.engine.output import Output
from kangaroo.curation.engine.pipeline import Pipeline
from kangaroo.curation.engine.pool import each, hired
from kangaroo.curation.engine.probe import Probed, probe
from kangaroo.curation.engine.recipe import Recipe
from kangaroo.curation.engine.step import dumps, plain
from kangaroo.curation.engine.table import Verdicts, decide, kept_clips, write_scores
from kangaroo.curation.engine.watch import Errand, Found, watch
from kangaroo.curation.measures.duplicates import Hashed, find_copies
from kangaroo.errors import KangarooError
from kangaroo.video.errands import Errands

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
        known = Known(ledger, self.parts)
        output = Output(self.at, self.parts, self.limits, known, tell=self.tell)
        with hired(self.limits, shared=[self.at.ledger, *([first] if first else [])]) as errands:
            self._probe(ledger, errands)
            self._watch(known, errands)
            verdicts = self._decide(ledger)
            if verdicts is None:
                output.clear()
            else:
                self._ask(known, errands, num_kept=verdicts.kept)
                output.write(errands)
        self._left_out += [{"step": "media", "subject": str(path), "reason": why} for path, why in output.failed]
        return Outcome(
            verdicts=verdicts,
            num_records=output.num_records,
            num_quarantined=self._list_quarantine(ledger),
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

    def _watch(self, known: Known, errands: Errands) -> None:
        steps, signatures = self.parts.measuring, self.parts.signatures
        todo = known.ledger.contents_to_do(cut=signatures["cut"], signatures=[signatures[step.name] for step in steps])
        films = (self._errand(known, content, path) for content, path in todo)

        def do(errand: tuple[Errand, int]) -> Found:
            asked, num_frames = errand
            options = {"name": str(asked.video), "doing": "decoding and measuring it"}
            return errands.call(watch, asked, time_s=self.limits.film_limit_s(num_frames), **options)

        for number, ((errand, _), found) in enumerate(
            each(films, do, threads=self.limits.workers, stop=errands.cancel), start=1
        ):
            self._record_watched(known.ledger, errand, found)
            self.tell("watching", number, len(todo))

    def _errand(self, known: Known, content: str, path: Path) -> tuple[Errand, int]:
        steps, cut = self.parts.measuring, self.parts.signatures["cut"]
        probed = known.probed(path)
        errand = Errand(
            video=path,
            content=content,
            shown_px=(probed["height_px"], probed["width_px"]),
            is_image=probed["is_image"],
            cut=self.parts.cut,
            finder_of=self.parts.finder_of,
            look=self.parts.look,
            steps=steps,
        )
        if known.ledger.unit(cut, content) is None:
            return errand, probed["num_frames"]
        clips = known.ledger.clips_of(content, path, cut=cut)
        units = {clip.id: known.units(clip, steps) for clip in clips}
        wanted = {
            clip: frozenset(name for name, unit in those.items() if unit is None) for clip, those in units.items()
        }
        return replace(
            errand,
            cut=None,
            clips=tuple(clip for clip in clips if wanted[clip.id]),
            wanted=wanted,
            known={clip: done(those) for clip, those in units.items()},
        ), probed["num_frames"]

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
        return decide(self.at.scores, self.at.decisions, self.parts.rules, self.recipe.keep) if count else None

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

    def _ask(self, known: Known, errands: Errands, *, num_kept: int) -> None:
        if not self.parts.asking:
            return

        def todo() -> Iterator[Question]:
            for clip in kept_clips(self.at.decisions):
                units = known.units(clip, self.parts.steps)
                steps = tuple(step for step in self.parts.asking if units[step.name] is None)
                if steps:
                    probed = known.probed(clip.video)
                    yield Question(
                        clip=clip,
                        steps=steps,
                        known=done(units),
                        failed=frozenset(
                            name for name, unit in units.items() if unit and unit.state is State.QUARANTINED
                        ),
                        size_px=fitted_px((probed["height_px"], probed["width_px"]), self.parts.key_frames.side_px),
                    )

        def do(question: Question) -> list[Unit]:
            return consult(question, self.parts, errands, time_s=self.limits.limit_s)

        for number, (_, units) in enumerate(each(todo(), do, threads=self.limits.asking, stop=errands.cancel), start=1):
            assert not isinstance(units, KangarooError), "each step's mistakes are outcomes"
            known.ledger.record(units)
            self.tell("asking", number, num_kept)

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


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return False
    return True
