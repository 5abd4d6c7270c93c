"""Gather what the HTML report of a run tells, from its tables and ledger; a few clips are decoded for one picture each.

Which clips may be shown depends on their ids alone, so another threshold decodes nothing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import kangaroo
from kangaroo.chat.pictures import encode_jpeg
from kangaroo.curation.clip import Clip
from kangaroo.curation.engine.layout import Layout
from kangaroo.curation.engine.ledger import Ledger, State, loads
from kangaroo.curation.engine.look import fitted_px
from kangaroo.curation.engine.pipeline import Pipeline
from kangaroo.curation.engine.pool import each, hired
from kangaroo.curation.engine.recipe import Bounds, Recipe, Rule
from kangaroo.curation.engine.status import opened
from kangaroo.curation.engine.table import query
from kangaroo.curation.report import Asked, Broken, Histogram, Remaining, Report, Shown, histogram
from kangaroo.curation.settings import read_settings
from kangaroo.curation.wiring import words
from kangaroo.curation.wording import Words
from kangaroo.curation.words.asking import NOTHING, Cost, ModelSettings
from kangaroo.curation.words.balance import Balance, Kind, draw
from kangaroo.curation.words.merging import Merged
from kangaroo.curation.words.tasks import Task
from kangaroo.data.jsonl import JsonLines
from kangaroo.data.write import whole
from kangaroo.errors import KangarooError
from kangaroo.video.decode import read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

_BROKEN = 100  # lines
_SHOWN = 120  # clips that the page can hold without growing heavy
_PICTURE_PX = 360


def report(recipe: Recipe, parts: Pipeline) -> Path:
    """Write `report.html` into a run's folder and return its path.

    Raises:
        CurationError: Nothing ran there yet.
    """
    at = Layout(out=recipe.out)
    with opened(at) as ledger:
        page = _Gathered(recipe=recipe, parts=parts, at=at, ledger=ledger).report()
    with whole(at.report) as unfinished:
        page.write(unfinished)
    return at.report


@dataclass(frozen=True, kw_only=True)
class _Gathered:
    recipe: Recipe
    parts: Pipeline
    at: Layout
    ledger: Ledger

    @cached_property
    def _words(self) -> Words:
        return words(self.recipe)

    def report(self) -> Report:
        broken = [json.loads(line) for line in self.at.quarantine.read_text(encoding="utf-8").splitlines()]
        ran = self.at.decisions.exists()
        return Report(
            about={
                "out": str(self.recipe.out),
                "videos": ", ".join(self.recipe.videos),
                "kangaroo": kangaroo.__version__,
            },
            funnel=(self._files(), *(self._funnel() if ran else ())),
            reasons=dict(self._ask(f"SELECT name, count(*) FROM {_NAMED} GROUP BY name")) if ran else {},
            histograms=tuple(self._histograms()) if ran else (),
            broken=tuple(Broken(**one) for one in broken[:_BROKEN]),
            num_broken=len(broken),
            balance=self._balance() if ran else None,
            asked=tuple(self._asked()),
            tasks=self._tasks(),
            shown=tuple(self._shown()) if ran else (),
        )

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        return query(sql, self.at.decisions)

    def _files(self) -> Remaining:
        seconds = self.ledger.seconds(self.parts.signatures["probe"])
        return Remaining(step="files", number=self.ledger.num_videos(), hours=seconds / 3600)

    def _funnel(self) -> Iterator[Remaining]:
        """Yield what is left after each rule, as if one came after another."""
        (row,) = self._ask('SELECT count(*), sum("clip.duration_s") FROM decisions')
        yield Remaining(step="clips", number=row[0], hours=row[1] / 3600)
        passed: list[str] = []
        for name in (*(rule.name for rule in self._used()), "captions", "leak", "balance"):
            passed.append(name)
            listed = ", ".join(f"'{one}'" for one in passed)
            (left,) = self._ask(
                'SELECT count(*), coalesce(sum("clip.duration_s"), 0) FROM decisions '
                f"WHERE NOT list_has_any(list_transform(reasons, lambda one: split_part(one, ':', 1)), [{listed}])"
            )
            if left != row:
                yield Remaining(step=f"after {name}", number=left[0], hours=left[1] / 3600)
            row = left

    def _used(self) -> list[Rule]:
        return [rule for rule in self.parts.rules if self.recipe.keep[rule.name] != Bounds()]

    def _histograms(self) -> Iterator[Histogram]:
        columns = {name for name, *_ in self._ask("DESCRIBE decisions")}
        for rule in self.parts.rules:
            if rule.score not in columns:
                continue
            values = [one for (one,) in self._ask(f'SELECT "{rule.score}" FROM decisions') if one is not None]
            if values:
                keep = self.recipe.keep[rule.name]
                yield histogram(f"{rule.name}: {rule.score}", values, low=keep.min, high=keep.max)

    def _balance(self) -> Balance | None:
        if not self._has_fates():
            return None
        rows = self._ask(
            "SELECT id, category, video FROM decisions WHERE kept OR "
            "len(list_filter(reasons, lambda one: starts_with(one, 'balance: '))) > 0"
        )
        kinds = {name: Kind(category=category, video=video) for name, category, video in rows}
        return self._words.balanced(kinds) if kinds else None

    def _has_fates(self) -> bool:
        return "category" in {name for name, *_ in self._ask("DESCRIBE decisions")}

    def _asked(self) -> Iterator[Asked]:
        said = self._words
        merged = [f"merged.{language}" for language in said.languages]
        steps: dict[str, list[str]] = {
            one.model.name: [f"caption.{one.model.name}.{language}" for language in said.languages]
            for one in said.captions.captioners
        }
        others: list[tuple[ModelSettings | None, str, list[str]]] = [
            (said.merge.model, "merging", merged),
            (said.categories.model, "naming categories", ["category"]),
            (said.instruct.model, "writing", ["written"]),
        ]
        steps |= {f"{model.name}, {what}": names for model, what, names in others if model is not None}
        for who, names in steps.items():
            told = [one for name in names for _, unit in self._results(name) if (one := loads(unit)) is not None]
            # of a clip several records are written
            costs = [each["cost"] for one in told for each in (one if isinstance(one, list) else [one])]
            yield Asked(
                name=who,
                clips=len(told),
                blocked=sum(self.ledger.counts(self.parts.signatures[name]).get(State.BLOCKED, 0) for name in names),
                cost=sum((read_settings(Cost, one, where="cost") for one in costs), NOTHING),
            )

    def _results(self, name: str) -> Iterator[tuple[str, Any]]:
        return self.ledger.results(self.parts.signatures[name])

    def _tasks(self) -> dict[str, tuple[float, int]]:
        if not self.at.records.exists():
            return {}
        shares = self._words.instruct.shares
        written = dict.fromkeys(shares, 0)
        for record in JsonLines(self.at.records).records():
            written[record.task] = written.get(record.task, 0) + 1
        everything = sum(shares.values())
        return {task: (shares[task] / everything, written[task]) for task in map(str, Task) if task in shares}

    def _shown(self) -> Iterator[Shown]:
        ids = sorted((name for (name,) in self._ask("SELECT id FROM decisions")), key=lambda name: draw(name, "shown"))
        listed = ", ".join(f"'{name}'" for name in ids[:_SHOWN])
        columns = [name for name, *_ in self._ask("DESCRIBE decisions")]
        rows = [
            dict(zip(columns, row, strict=True))
            for row in self._ask(f"SELECT * FROM decisions WHERE id IN ({listed}) ORDER BY kept DESC, id")
        ]
        clips = [
            Clip(id=one["id"], video=Path(one["video"]), start_s=one["start_s"], end_s=one["end_s"]) for one in rows
        ]
        pictures = self._pictures(clips)
        for row, clip in zip(rows, clips, strict=True):
            yield Shown(
                id=clip.id,
                video=clip.video.name,
                start_s=clip.start_s,
                end_s=clip.end_s,
                reasons=tuple(row["reasons"]),
                category=row.get("category") or "",
                claims=self._claims(clip),
                jpeg=pictures.get(clip.id),
                scores=tuple(
                    (rule.name, row[rule.score]) for rule in self.parts.rules if row.get(rule.score) is not None
                ),
            )

    def _claims(self, clip: Clip) -> tuple[tuple[str, int], ...]:
        for language in self._words.languages:
            told = loads(self.ledger.unit(self.parts.signatures[f"merged.{language}"], clip.id))
            if told is not None:
                merged = read_settings(Merged, told, where="merged")
                return tuple((claim.text, len(claim.captioners)) for claim in merged.claims)
        return ()

    def _pictures(self, clips: list[Clip]) -> Mapping[str, bytes]:
        """Return a picture of each clip, decoded where it is not kept from a run before."""
        self.at.pictures.mkdir(exist_ok=True)
        wanted = {clip.id: self.at.pictures / f"{clip.id}.jpg" for clip in clips}
        for path in self.at.pictures.iterdir():
            if path not in wanted.values():
                path.unlink()
        machine = self.recipe.machine
        with hired(machine, shared=[]) as errands:

            def do(clip: Clip) -> bytes:
                options = {"name": str(clip.video), "doing": "decoding it"}
                return errands.call(picture_of, clip, time_s=machine.limit_s, **options)

            todo = [clip for clip in clips if not wanted[clip.id].exists()]
            for clip, jpeg in each(todo, do, threads=machine.workers, stop=errands.cancel):
                if not isinstance(jpeg, KangarooError):  # the page does without
                    with whole(wanted[clip.id]) as unfinished:
                        unfinished.write_bytes(jpeg)
        return {name: path.read_bytes() for name, path in wanted.items() if path.exists()}


_NAMED = "(SELECT unnest(list_transform(reasons, lambda one: split_part(one, ':', 1))) AS name FROM decisions)"


def picture_of(clip: Clip) -> bytes:
    """Return the middle picture of a clip as JPEG. Runs in a worker.

    Raises:
        VideoError: It cannot be decoded.
    """
    source = VideoSource(clip.video)
    info = source.open()
    size_px = fitted_px((info.height_px, info.width_px), _PICTURE_PX)
    span = FrameSampler(num_frames=1, start_s=clip.start_s, end_s=clip.end_s)
    frames = read_frames(source, FrameSampler() if clip.start_s == clip.end_s else span, size_px=size_px)
    return encode_jpeg(frames.pixels[0])
