"""Films become feature rows, each film once: opened, decoded and seen only where that was not done before.

Shared by all sessions of one model. Films of one call are decoded side by side and seen together in chunks.
Axes: frame, token, width.
"""

from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from time import perf_counter

import torch
from jaxtyping import Float
from torch import Tensor

from kangaroo.chat.opened import FilmOpener, Opened
from kangaroo.chat.store import BoundedStore
from kangaroo.dialogue.conversation import Conversation
from kangaroo.dialogue.plan import FilmPlan, Plan
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.video.frames import Frames

MAX_BYTES = 2 << 30
_MAX_THREADS = 16
_FRAMES_AT_ONCE = 512  # normalised pixels of so many frames are held on the device at a time


@dataclass(frozen=True, kw_only=True, eq=False)
class FilmFeatures:
    """What the language model reads of a film.

    `key` tells two films, or two looks at one film, apart.
    """

    key: Hashable
    rows: Float[Tensor, "token width"]
    times_s: tuple[float, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Look:
    """A plan whose films are at hand."""

    plan: Plan
    opened: Opened


@dataclass(kw_only=True)
class Stopwatch:
    """Adds up the seconds spent by name."""

    timings_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Add the seconds spent inside to `name`."""
        began = perf_counter()
        try:
            yield
        finally:
            self.timings_s[name] = self.timings_s.get(name, 0.0) + perf_counter() - began


class FilmReader:
    """Plans looks at films and carries them out."""

    def __init__(
        self, model: KangarooForConditionalGeneration, processor: KangarooProcessor, *, max_bytes: int = MAX_BYTES
    ) -> None:
        self._model = model
        self._processor = processor
        self._seen: BoundedStore[FilmFeatures] = BoundedStore(max_bytes=max_bytes)
        self._opener = FilmOpener()
        self._lock = Lock()

    def plan(self, conversation: Conversation, *, context_tokens: int, reserve_tokens: int) -> Look:
        """Open the films that were not opened before, and settle which frames are looked at.

        Raises:
            VideoError: A film cannot be opened.
            ContextError: The prompt does not fit.
        """
        opened = self._opener.open(conversation)
        # nothing is settled by what was asked before: a conversation is planned alike, warm or cold
        plan = self._processor.plan(opened.conversation, context_tokens=context_tokens, reserve_tokens=reserve_tokens)
        return Look(plan=plan, opened=opened)

    def read(self, looks: Sequence[Look], stopwatch: Stopwatch) -> list[list[FilmFeatures]]:
        """Return the features of each look's films. The looks are over then.

        Raises:
            VideoError: A film cannot be read.
        """
        try:
            wanted: dict[Hashable, FilmPlan] = {}
            keys = []
            for look in looks:
                keys.append([self._key(*film) for film in zip(look.opened.fingerprints, look.plan.films, strict=True)])
                wanted |= dict(zip(keys[-1], look.plan.films, strict=True))
            found = {key: features for key in wanted if (features := self._seen.get(key)) is not None}
            new = {key: film for key, film in wanted.items() if key not in found}
            with stopwatch.time("decode"):
                frames = dict(zip(new, self._decode(list(new.values())), strict=True))
            with stopwatch.time("vision"):
                found |= self._see(frames)
            return [[found[key] for key in row] for row in keys]
        finally:
            for look in looks:
                look.opened.lent.close()

    def _key(self, fingerprint: str, film: FilmPlan) -> Hashable:
        eyes = self._processor.video_processor
        return fingerprint, film.sampler, eyes.size_px, eyes.resize_rule

    def _decode(self, films: list[FilmPlan]) -> list[Frames]:
        def read(film: FilmPlan) -> Frames:
            return self._processor.video_processor.read(film.source, film.sampler)

        if len(films) < 2:
            return [read(film) for film in films]
        with ThreadPoolExecutor(min(len(films), _MAX_THREADS)) as threads:
            return list(threads.map(read, films))

    def _see(self, films: dict[Hashable, Frames]) -> dict[Hashable, FilmFeatures]:
        made: dict[Hashable, FilmFeatures] = {}
        with self._lock:
            # another thread may have seen some of them while this one decoded
            made |= {key: features for key in films if (features := self._seen.get(key)) is not None}
            for keys in _together([(key, len(frames)) for key, frames in films.items() if key not in made]):
                rows = self._rows([films[key] for key in keys])
                for key, own in zip(keys, rows, strict=True):
                    times_s = tuple(films[key].times_s.tolist())
                    made[key] = FilmFeatures(key=key, rows=own, times_s=times_s, notes=films[key].notes)
                    self._seen.put(key, made[key], num_bytes=own.nbytes)
        return made

    @torch.inference_mode()
    def _rows(self, films: list[Frames]) -> list[Float[Tensor, "token width"]]:
        counts = [len(frames) for frames in films]
        pixels, times_s = self._processor.pixels(films, self._model.device, self._model.dtype)
        rows = self._model.model.encode_films(pixels, times_s, counts)
        lengths = [self._processor.layout.num_visual_tokens(count) for count in counts]
        # a view would keep the rows of all films alive
        return [own.clone() for own in rows.split(lengths)] if len(films) > 1 else [rows]


def _together(films: list[tuple[Hashable, int]]) -> Iterator[list[Hashable]]:
    """Group films so that no group has many more frames than are held at once."""
    group: list[Hashable] = []
    held = 0
    for key, num_frames in films:
        if group and held + num_frames > _FRAMES_AT_ONCE:
            yield group
            group, held = [], 0
        group.append(key)
        held += num_frames
    if group:
        yield group
