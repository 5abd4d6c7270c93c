"""Films become feature rows, each film once: opened, decoded and seen only where that was not done before.

Shared by all sessions of one model. Films of one conversation are decoded side by side and seen together in chunks.
Where a folder keeps what was seen, another process's films count too.
Axes: frame, token, width (of the language model), vision (the tower's width).
"""

from collections.abc import Collection, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from threading import BoundedSemaphore, Condition, Lock
from time import perf_counter

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kangaroo.chat.ahead import Ahead, Features, Pixels
from kangaroo.chat.kept import KeptFilm, KeptFilms, key_of
from kangaroo.chat.room import Room
from kangaroo.chat.store import BoundedStore
from kangaroo.dialogue.conversation import Conversation, Part, Video
from kangaroo.dialogue.plan import FilmPlan, Plan
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.errors import ContextError
from kangaroo.model.fast_tower import fast_tower
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.pretrained import hash_weights
from kangaroo.video.frames import Frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

MAX_BYTES = 2 << 30
_MAX_PLANNED_TIMES = 1 << 20
_ANY = VideoSource("")
_MAX_DECODERS = 16  # films decoded at a time, whoever asks
_FRAMES_AT_ONCE = 512  # normalised pixels of so many frames are held on the device at a time
_TOKENS_AT_ONCE = 8192  # pass the projector
_IDLE = frozenset({"cuda"})  # devices that would do nothing while films are decoded


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
    """A plan, in words too, and a key for each of its films. What was fetched stays until `lent` is closed."""

    plan: Plan
    told: str
    keys: tuple[Hashable, ...]
    lent: ExitStack


@dataclass(kw_only=True)
class Stopwatch:
    """Adds up the seconds spent by name, and the films that the vision tower saw."""

    timings_s: dict[str, float] = field(default_factory=dict)
    films_seen: int = 0

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
        self,
        model: KangarooForConditionalGeneration,
        processor: KangarooProcessor,
        *,
        max_bytes: int = MAX_BYTES,
        kept: KeptFilms | None = None,
    ) -> None:
        self._model = model
        self._processor = processor
        self._kept = kept
        self._tower = fast_tower(model.model.vision_tower) or model.model.vision_tower
        self._room = Room(model)
        self._seen: BoundedStore[FilmFeatures] = BoundedStore(max_size=max_bytes)
        self._planned: BoundedStore[FilmPlan] = BoundedStore(max_size=_MAX_PLANNED_TIMES)
        self._decoders = BoundedSemaphore(_MAX_DECODERS)
        self._changed = Condition()
        self._reading: set[Hashable] = set()
        self._lock = Lock()  # of the tower, for memory's sake
        self._beside_lock = Lock()

    def plan(self, conversation: Conversation, *, context_tokens: int, reserve_tokens: int) -> Look:
        """Open the films that were not opened before, and settle which frames are looked at.

        A conversation is planned alike, warm or cold: what is known of its films saves work and settles nothing.

        Raises:
            VideoError: A film cannot be opened.
            ContextError: The prompt does not fit the context, or the device's memory.
        """
        rule = self._processor.video_processor.frame_sampler
        videos = conversation.videos
        wishes = [(video.source.fingerprint(), video.sampler or rule) for video in videos]
        known = list(self._known(videos, wishes))
        with ExitStack() as stack:
            opened = _fetched(conversation, stack, after=len(known))
            plan = None
            if known:
                with suppress(ContextError):
                    plan = self._processor.plan(
                        opened, context_tokens=context_tokens, reserve_tokens=reserve_tokens, settled=known
                    )
            if plan is None or plan.notes:
                # frames must be lowered, for which all films count
                plan = self._processor.plan(opened, context_tokens=context_tokens, reserve_tokens=reserve_tokens)
            if not plan.notes:
                for wish, film in zip(wishes, plan.films, strict=True):
                    # who asks again brings the film; the source at hand may hold its pixels
                    self._planned.put(wish, replace(film, source=_ANY), size=len(film.times_s))
            keys = [(name, film.sampler) for (name, _), film in zip(wishes, plan.films, strict=True)]
            self._room.check(plan, reserve_tokens=reserve_tokens)
            return Look(plan=plan, told=self._room.told(plan), keys=tuple(keys), lent=stack.pop_all())

    def _known(self, videos: Sequence[Video], wishes: Sequence[tuple[str, FrameSampler]]) -> Iterator[FilmPlan]:
        """Yield what was planned before, up to the first film of which nothing is known."""
        for video, wish in zip(videos, wishes, strict=True):
            film = self._planned.get(wish)
            if film is None:
                return
            yield replace(film, source=video.source)

    def read(self, look: Look, stopwatch: Stopwatch) -> list[FilmFeatures]:
        """Return the features of a look's films. The look is over then.

        Who wants films that another thread is reading waits for it.

        Raises:
            VideoError: A film cannot be read.
        """
        wanted = dict(zip(look.keys, look.plan.films, strict=True))
        with look.lent, self._alone(wanted.keys()):
            found = {key: features for key in wanted if (features := self._seen.get(key)) is not None}
            names: dict[Hashable, str] = {}
            with stopwatch.time("open"):
                # of a film that was planned before and never seen, or was forgotten, only the address is here
                new = {
                    key: replace(film, source=look.lent.enter_context(film.source.fetched()))
                    for key, film in wanted.items()
                    if key not in found
                }
                if self._kept is not None:
                    names = {key: self._name(film) for key, film in new.items()}
                    for key, name in names.items():
                        if (kept := self._kept.get(name)) is not None and self._fits(kept):
                            found[key] = self._shown(key, kept)
            new = {key: film for key, film in new.items() if key not in found}
            with self._beside(new.values()) as ahead:
                with stopwatch.time("decode"):
                    frames = self._decode(new, ahead)
                with stopwatch.time("vision"):
                    for key, film in self._see(frames, ahead, stopwatch):
                        found[key] = self._shown(key, film)
                        if self._kept is not None:
                            self._kept.put(names[key], film)
            return [found[key] for key in look.keys]

    @contextmanager
    def _alone(self, keys: Collection[Hashable]) -> Iterator[None]:
        """Wait until no other thread reads any of these films."""
        with self._changed:
            self._changed.wait_for(lambda: self._reading.isdisjoint(keys))
            self._reading.update(keys)
        try:
            yield
        finally:
            with self._changed:
                self._reading.difference_update(keys)
                self._changed.notify_all()

    @contextmanager
    def _beside(self, films: Collection[FilmPlan]) -> Iterator[Ahead | None]:
        """On a GPU, for one look at a time, yield what sees its films while they are decoded."""
        few = sum(film.num_frames for film in films) <= _FRAMES_AT_ONCE
        if not (films and few and self._model.device.type in _IDLE and self._beside_lock.acquire(blocking=False)):
            yield None
            return
        try:
            with Ahead(self._features, at_once=self._model.config.vision_chunk_frames) as ahead:
                yield ahead
        finally:
            self._beside_lock.release()

    @torch.inference_mode()
    def _features(self, pixels: Pixels) -> Features:
        frames = Frames(pixels=pixels, times_s=np.zeros(len(pixels)))
        with self._lock:
            return self._tower(self._processor.pixels([frames], self._model.device, self._model.dtype)[0])

    def _decode(self, films: dict[Hashable, FilmPlan], ahead: Ahead | None) -> dict[Hashable, Frames]:
        def read(key: Hashable) -> Frames:
            film, watch = films[key], None if ahead is None else ahead.watch(key)
            with self._decoders:
                return self._processor.video_processor.read(film.source, film.sampler, watch=watch)

        if len(films) < 2:
            return {key: read(key) for key in films}
        with ThreadPoolExecutor(min(len(films), _MAX_DECODERS)) as threads:
            return dict(zip(films, threads.map(read, films), strict=True))

    def _see(
        self, films: dict[Hashable, Frames], ahead: Ahead | None, stopwatch: Stopwatch
    ) -> Iterator[tuple[Hashable, KeptFilm]]:
        for keys in _together([(key, len(frames)) for key, frames in films.items()]):
            rows = self._rows({key: films[key] for key in keys}, ahead)
            stopwatch.films_seen += len(keys)
            for key, own in zip(keys, rows, strict=True):
                times_s = tuple(films[key].times_s.tolist())
                yield key, KeptFilm(rows=own, times_s=times_s, notes=films[key].notes)

    @torch.inference_mode()
    def _rows(self, films: dict[Hashable, Frames], ahead: Ahead | None) -> Sequence[Float[Tensor, "token vision"]]:
        counts = [len(frames) for frames in films.values()]
        times_s = np.concatenate([frames.times_s for frames in films.values()])
        seconds = torch.as_tensor(times_s, dtype=torch.float32, device=self._model.device)
        if ahead is not None:
            seen = [features for key, frames in films.items() for features in ahead.features(key, frames)]
            parts = self._model.model.fold_films(lambda first, last: torch.stack(seen[first:last]), seconds, counts)
            rows = torch.cat(list(parts))
        else:
            with self._lock:
                pixels, _ = self._processor.pixels(list(films.values()), self._model.device, self._model.dtype)
                parts = self._model.model.fold_films(
                    lambda first, last: self._tower(pixels[first:last]), seconds, counts
                )
                rows = torch.cat(list(parts))
        if rows.is_cuda:
            # the seconds are those of seeing, not of queueing what is to be seen
            torch.cuda.current_stream(rows.device).synchronize()
        return rows.split([self._processor.layout.num_visual_tokens(count) for count in counts])

    @torch.inference_mode()
    def _shown(self, key: Hashable, film: KeptFilm) -> FilmFeatures:
        """Return what the language model reads of a film, and remember it."""
        parts = film.rows.to(self._model.device).split(_TOKENS_AT_ONCE)
        rows = torch.cat([self._model.model.multi_modal_projector(part) for part in parts])
        features = FilmFeatures(key=key, rows=rows, times_s=film.times_s, notes=film.notes)
        self._seen.put(key, features, size=rows.nbytes)
        return features

    def _fits(self, film: KeptFilm) -> bool:
        """Whether a kept film is one that this model could have seen: others may write into the folder too."""
        num_tokens = self._processor.layout.num_visual_tokens(len(film.times_s))
        return film.rows.shape == (num_tokens, self._model.config.vision_config.hidden_size)

    def _name(self, film: FilmPlan) -> str:
        return key_of(film.source, film.sampler.to_dict(), *self._eye)

    @cached_property
    def _eye(self) -> tuple[object, ...]:
        """What features depend on besides the film and its frames."""
        network = self._model.model
        weights = [hash_weights(part) for part in (network.vision_tower, network.patchify)]
        settings = self._model.config.to_json_string(use_diff=False), self._processor.video_processor.to_json_string()
        return (*weights, *settings)


def _fetched(conversation: Conversation, stack: ExitStack, *, after: int) -> Conversation:
    """Return the conversation with its films after the first so many at hand until `stack` is closed."""
    places = count()

    def fetch(part: Part) -> Part:
        if not isinstance(part, Video) or next(places) < after:
            return part
        return replace(part, source=stack.enter_context(part.source.fetched()))

    turns = tuple(replace(turn, parts=tuple(map(fetch, turn.parts))) for turn in conversation.turns)
    return replace(conversation, turns=turns)


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
