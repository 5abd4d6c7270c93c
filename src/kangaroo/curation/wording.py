"""The steps that models or rules do on kept clips, who becomes a record after them, and the records.

Captioners, merger, category and writer are steps of their own, so that what is changed asks again and nothing else
does. Imports without torch.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from hashlib import file_digest
from heapq import nsmallest
from pathlib import Path
from typing import Any

from kangaroo.curation.clip import Clip
from kangaroo.curation.engine.ledger import CurationError
from kangaroo.curation.engine.pipeline import Fate, Results
from kangaroo.curation.engine.remembered import Remembered
from kangaroo.curation.engine.step import Runs, Seen, Step
from kangaroo.curation.learned.kinds import VERSION as KINDS_VERSION
from kangaroo.curation.learned.kinds import KindFinder
from kangaroo.curation.learned.writer import open_model
from kangaroo.curation.measures.models import OBJECTS, find_weights
from kangaroo.curation.settings import read_settings
from kangaroo.curation.words.asking import Asker, ModelSettings
from kangaroo.curation.words.balance import Balance, BalanceSettings, Kind, balance, draw
from kangaroo.curation.words.captioning import (
    CaptionerSettings,
    Captions,
    CaptionSettings,
    RefinedCaptions,
    caption,
    refine_captions,
)
from kangaroo.curation.words.categories import CategorySettings, Named, PictureSettings, category_of
from kangaroo.curation.words.instructions import Written, record, write
from kangaroo.curation.words.leaks import ORDERS, LeakSettings
from kangaroo.curation.words.merging import Merged, MergeSettings, merge
from kangaroo.curation.words.refining import RefineSettings
from kangaroo.curation.words.tasks import InstructSettings, languages_of, languages_wanted
from kangaroo.data.fingerprints import Fingerprints
from kangaroo.data.record import Medium, Record
from kangaroo.errors import EndpointError, KangarooError
from kangaroo.playground.vocabulary import Language

_log = logging.getLogger(__name__)
_OTHERS = 64  # clips whose sentences are lent to others as wrong answers


class Askers:
    """The models that a recipe names, opened when the first question is asked; no question is asked twice.

    >>> Askers(Path("out/ledger.sqlite")).of(ModelSettings())

    Args:
        ledger: Where answers are remembered.
    """

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._open: dict[ModelSettings, Asker] = {}

    def of(self, settings: ModelSettings) -> Asker:
        """Return a model, ready to be asked.

        Raises:
            EndpointError: It does not answer.
            CurationError: It cannot be loaded, which is no clip's fault.
        """
        with self._lock:
            if settings not in self._open:
                try:
                    asker = open_model(settings)
                except EndpointError:
                    raise
                except KangarooError as error:
                    raise CurationError(f"{settings.name}: {error}") from None
                kept = Remembered(asker.answerer, self._ledger, who=str(settings.asked["who"]))
                self._open[settings] = Asker(answerer=kept, settings=settings)
            return self._open[settings]


@dataclass(kw_only=True)
class Words:
    """Everything that is done with words in a run.

    Attributes:
        captions: Who captions.
        refine: What is cut out of captions.
        merge: How captions become one.
        categories: Which kinds of clips there are.
        balance: What shares they come to.
        instruct: Which records clips give.
        leaks: What must not be among them.
        askers: The models.
    """

    captions: CaptionSettings
    refine: RefineSettings
    merge: MergeSettings
    categories: CategorySettings
    balance: BalanceSettings
    instruct: InstructSettings
    leaks: LeakSettings
    askers: Askers
    _others: list[tuple[str, str]] = field(default_factory=list, init=False)

    @property
    def models(self) -> tuple[ModelSettings, ...]:
        """Every model that is asked."""
        others = (self.merge.model, self.categories.model, self.instruct.model)
        return (*(one.model for one in self.captions.captioners), *(one for one in others if one is not None))

    @cached_property
    def benchmarks(self) -> tuple[Fingerprints, ...]:
        """What training may not hold.

        Raises:
            OptionError: A file is missing or something else.
        """
        return tuple(map(Fingerprints.read, self.leaks.fingerprints))

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is done with each clip that the rules keep."""
        found: list[Step] = []
        for language in self.languages:
            refined = []
            for one in self.captions.captioners:
                said = Step(
                    name=f"caption.{one.model.name}.{language}",
                    version=2,
                    settings=one,
                    needs=(Seen.KEY_FRAMES,),
                    function=partial(self._caption, language),
                    runs=Runs.HERE,
                    depends_on={**one.asked(language), **self._tasks},
                )
                refined.append(f"refined.{one.model.name}.{language}")
                found += [said, _here(refined[-1], self.refine, (said.name,), self._refine)]
            how = self.merge
            counts: dict[str, Any] = {
                "asked": how.asked,
                "lone": how.lone,
                "support": how.support,
                "refine": how.refine,
            }
            found.append(_here(f"merged.{language}", how, tuple(refined), self._merge, counts))
        merged = tuple(f"merged.{language}" for language in self.languages)
        if (pictures := self.categories.pictures) is not None:
            version = ("pictures", KINDS_VERSION)
            found.append(_here("category", pictures, (Seen.KEY_FRAMES,), _kind, {"by": version, "settings": pictures}))
        else:
            model = self.categories.model
            counts = {"asked": model and model.asked, "categories": self.categories.categories}
            found.append(_here("category", self.categories, merged, self._category, counts))
        if self.instruct.model is not None:
            counts = {"asked": self.instruct.model.asked, **self._tasks}
            found.append(_here("written", self.instruct, merged, self._write, counts))
        return tuple(found)

    @property
    def languages(self) -> tuple[Language, ...]:
        """The languages that any clip may be captioned in."""
        return languages_wanted(self.instruct)

    def choose(self, known: Iterable[tuple[Clip, Results]]) -> dict[str, Fate]:
        """Return what becomes of kept clips: those without words and those of a benchmark go, the rest is balanced."""
        fates: dict[str, Fate] = {}
        kinds: dict[str, Kind] = {}
        sentences: list[tuple[float, str, str]] = []
        hashes: dict[Path, str] = {}
        for clip, results in known:
            merged = self._merged(results)
            reason = self._reason_against(clip, results, merged, hashes)
            fates[clip.id] = Fate(category=_name(results.get("category")), weight=0.0, reason=reason)
            if not reason:
                kinds[clip.id] = Kind(category=fates[clip.id].category, video=str(clip.video))
                if (english := merged.get(Language.EN)) is not None and english.claims:
                    sentences.append((draw(clip.id, "others"), clip.id, english.claims[0].text))
        self._others = [(clip, text) for _, clip, text in nsmallest(_OTHERS, sentences)]
        balanced = self.balanced(kinds)
        for clip_id, kind in kinds.items():
            weight = balanced.weights.get(clip_id, 0.0)
            reason = "" if weight else f"balance: there is enough of {kind.category}"
            fates[clip_id] = Fate(category=kind.category, weight=weight, reason=reason)
        return fates

    def balanced(self, kinds: Mapping[str, Kind]) -> Balance:
        """Return who stays of clips that have words."""
        return balance(kinds, self.balance)

    def records(self, clip: Clip, results: Results, medium: Medium) -> Iterable[Record]:
        """Make the records of a clip that stays; `choose` was asked before."""
        merged = self._merged(results)
        if self.instruct.model is None:
            others = [text for owner, text in self._others if owner != clip.id]
            written = write(clip.id, merged, self.instruct, others=others)
        else:
            written = tuple(read_settings(Written, one, where="written") for one in results["written"])
        captioners = ", ".join(one.model.name for one in self.captions.captioners)
        for one in written:
            if found := next(
                ((b, asked) for b in self.benchmarks if (asked := b.asks(one.rounds, without=ORDERS))), None
            ):
                _log.warning("%s: left out, %s asks %r too", clip.id, found[0].benchmark, found[1].question[:80])
                continue
            source = merged[one.task.language]
            yield record(clip.id, one, medium, captions=source, captioners=captioners, settings=self.instruct)

    def _reason_against(
        self, clip: Clip, results: Results, merged: Mapping[Language, Merged], hashes: dict[Path, str]
    ) -> str:
        wanted = ["category", *(["written"] if self.instruct.model else [])]
        if any(results.get(name) is None for name in wanted) or not merged:
            return "captions: not there, a model could not be asked or failed"
        if not any(one.text for one in merged.values()):
            return "captions: nobody said anything worth keeping"
        for benchmark in self.benchmarks:
            if clip.video not in hashes:
                with clip.video.open("rb") as file:
                    hashes[clip.video] = file_digest(file, "sha256").hexdigest()
            share = benchmark.shows(results["fingerprint"]["hashes"], most_bits=self.leaks.bits)
            if share >= self.leaks.share or benchmark.holds_file(hashes[clip.video]):
                return f"leak: {benchmark.benchmark} shows this film"
        return ""

    @property
    def _tasks(self) -> dict[str, Any]:
        """What a clip's languages and tasks depend on besides its id."""
        shares = {name: share for name, share in self.instruct.shares.items() if share}
        return {"tasks": shares, "num_records": self.instruct.num_records, "seed": self.instruct.seed}

    def _merged(self, results: Results) -> dict[Language, Merged]:
        found = {language: results.get(f"merged.{language}") for language in self.languages}
        return {one: read_settings(Merged, told, where="merged") for one, told in found.items() if told is not None}

    def _caption(self, language: Language, clip: Clip, inputs: Results, settings: CaptionerSettings) -> Captions | None:
        if language not in languages_of(clip.id, self.instruct):
            return None
        return caption(inputs[Seen.KEY_FRAMES], settings, self.askers.of(settings.model), language=language)

    def _refine(self, _: Clip, inputs: Results, settings: RefineSettings) -> RefinedCaptions | None:
        (said,) = inputs.values()
        return None if said is None else refine_captions(read_settings(Captions, said, where="captions"), settings)

    def _merge(self, _: Clip, inputs: Results, settings: MergeSettings) -> Merged | None:
        refined = [read_settings(RefinedCaptions, one, where="refined") for one in inputs.values() if one is not None]
        return merge(refined, settings, self._asker(settings.model)) if refined else None

    def _category(self, _: Clip, inputs: Results, settings: CategorySettings) -> Named:
        text = " ".join(one.text for one in self._merged(inputs).values())
        return category_of(text, settings, self._asker(settings.model)) if text else Named(name="")

    def _write(self, clip: Clip, inputs: Results, settings: InstructSettings) -> tuple[Written, ...]:
        return write(clip.id, self._merged(inputs), settings, self._asker(settings.model))

    def _asker(self, model: ModelSettings | None) -> Asker | None:
        return None if model is None else self.askers.of(model)


def _kind(_: Clip, inputs: Results, settings: PictureSettings) -> Named:
    return Named(name=_kind_finder(settings).find(inputs[Seen.KEY_FRAMES]).kind)


def _name(category: Any) -> str:
    """Return the name of a kind as the step found it, nothing where it failed."""
    return "" if category is None else str(category["name"])


@cache
def _kind_finder(settings: PictureSettings) -> KindFinder:
    return KindFinder(find_weights(OBJECTS), settings)


def _here(
    name: str, settings: Any, needs: tuple[str, ...], function: Callable[..., Any], depends_on: Any = None
) -> Step:
    return Step(
        name=name, version=2, settings=settings, needs=needs, function=function, runs=Runs.HERE, depends_on=depends_on
    )
