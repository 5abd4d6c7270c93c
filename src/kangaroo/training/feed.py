"""What a stage is fed: samples by number, packed into rows by worker processes, in an order that never changes.

Each row of a step is a stream of its own, with its own share of the sample numbers. Which process packs a stream, and
which GPU trains on it, changes nothing: a run goes on with any number of workers and, as long as they divide the rows
evenly, of GPUs. Axes: see `data.packing`.
"""

import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from multiprocessing import active_children
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from kangaroo.data.mixture import Ingredient, Mixture
from kangaroo.data.packing import PackingSample, PackingState, Row, check_fits, pack
from kangaroo.data.quarantine import Bad, Quarantine
from kangaroo.data.record import DataError
from kangaroo.data.samples import MOST_BAD_IN_A_ROW, Sample, Samples, Tried, Viewing
from kangaroo.data.sources import RecordSource
from kangaroo.dialogue.encoding import Encoder
from kangaroo.dialogue.tokenizer import ChatToken
from kangaroo.errors import ContextError, OptionError
from kangaroo.model.layout import VisualToken
from kangaroo.training.curriculum import Drawn, Stage
from kangaroo.training.drawn import DrawnFilms
from kangaroo.video.isolate import leave_with_the_parent

_ENDLESS = 1 << 40


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The frames of a sample's films as they came from the decoder."""

    pixels: tuple[UInt8[np.ndarray, "frame height width 3"], ...]


@dataclass(frozen=True, kw_only=True)
class Fed:
    """A row, and what was found bad on the way to it; no row where too much was bad to go on."""

    row: Row | None
    good: int
    bad: tuple[Bad, ...]


class Feed:
    """The samples of a stage by number.

    Args:
        stage: What is seen, and where it comes from.
        sources: Records on disk by the names that the stage calls them.
        encoder: Writes conversations as ids, at the stage's resolution.
        seed: Of the order.

    Raises:
        OptionError: A source that the stage names is missing, or its longest films do not fit its context.
    """

    def __init__(self, stage: Stage, sources: Mapping[str, RecordSource], encoder: Encoder, *, seed: int) -> None:
        check_films_fit(stage, encoder)
        self.stage, self.encoder = stage, encoder
        ingredients, self.drawn = {}, {}
        for place, one in enumerate(stage.data):
            if isinstance(one, Drawn):
                name = f"playground {place}"
                self.drawn[name] = DrawnFilms(one, stage.sampler, encoder, context_tokens=stage.context_tokens)
                ingredients[name] = Ingredient(source=Endless(), weight=one.weight)
            elif one.name in sources:
                ingredients[one.name] = Ingredient(source=sources[one.name], weight=one.weight)
            else:
                raise OptionError(
                    f"stage {stage.name} trains on {one.name!r}, which has no path; add it to the recipe's [data]"
                )
        self.mixture = Mixture(ingredients, seed=seed)
        self.samples = Samples(self.mixture, Viewing(sampler=stage.sampler, size_px=stage.image_size_px))

    def read(self, number: int) -> tuple[PackingSample | None, tuple[Bad, ...]]:
        """Return sample `number`, None where it and those in its place are bad, and what was bad."""
        pick = self.mixture.pick(number)
        if pick.name in self.drawn:
            return self.drawn[pick.name].sample(number, seed=pick.number), ()
        tried = self.samples[number]
        return self._encoded(tried)

    def _encoded(self, tried: Tried) -> tuple[PackingSample | None, tuple[Bad, ...]]:
        if (sample := tried.sample) is None:
            return None, tried.bad
        counts = [len(film) for film in sample.films]
        packed = PackingSample(
            number=sample.number,
            conversations=(self.encoder.conversation(sample.conversation, counts),),
            times_s=np.concatenate([np.zeros(0), *(film.times_s for film in sample.films)]).astype(np.float32),
            media=Decoded(pixels=tuple(film.pixels for film in sample.films)),
            weight=sample.record.weight,
        )
        try:
            check_fits(packed, context_tokens=self.stage.context_tokens)
        except ContextError as error:
            return None, (*tried.bad, self._too_long(sample, error))
        return packed, tried.bad

    def _too_long(self, sample: Sample, error: ContextError) -> Bad:
        return Bad(
            place=self.mixture.source(sample.pick).place(sample.pick.number), id=sample.record.id, reason=str(error)
        )


class Endless:
    """As many numbers as anybody could ask for: the seeds of drawn films."""

    def __len__(self) -> int:
        return _ENDLESS

    def files(self) -> tuple[()]:
        """Return the files behind it: none."""
        return ()


def check_films_fit(stage: Stage, encoder: Encoder) -> None:
    """Refuse a stage whose longest films leave no room for words, before its first step.

    Raises:
        OptionError: With the arithmetic.
    """
    layout = encoder.layout
    film = layout.num_tokens(stage.most_frames)
    words = len(encoder.begin()) + len(encoder.prompt()) * 2 + 2
    if film + words > stage.context_tokens:
        groups = layout.num_groups(stage.most_frames)
        raise OptionError(
            f"stage {stage.name}: a film of {stage.most_frames} frames at {stage.image_size_px} px is {groups} groups "
            f"of {layout.tokens_per_group} tokens, {film} with their marks, and at least {words} for words, but the "
            f"context is {stage.context_tokens}; give it fewer frames or a longer context"
        )


class Rows(IterableDataset[Fed]):
    """Rows of several streams by turns, each going on from its state; a worker process takes its share of them."""

    def __init__(self, feed: Feed, states: Sequence[PackingState], *, lookahead: int) -> None:
        self.feed, self.states, self.lookahead = feed, tuple(states), lookahead

    def __iter__(self) -> Iterator[Fed]:
        worker: Any = get_worker_info()
        mine = self.states if worker is None else self.states[worker.id :: worker.num_workers]
        packers = [self._packed(state) for state in mine]
        try:
            while True:
                for packer in packers:
                    yield next(packer)
        finally:
            self.feed.samples.close()

    def _packed(self, state: PackingState) -> Iterator[Fed]:
        good, bad = 0, list[Bad]()

        def samples() -> Iterator[PackingSample]:
            nonlocal good
            in_a_row = 0
            for number in state.numbers():
                sample, found = self.feed.read(number)
                bad.extend(found)
                in_a_row += len(found)
                if sample is not None:
                    good, in_a_row = good + 1, 0
                    yield sample
                elif in_a_row >= MOST_BAD_IN_A_ROW:
                    return

        encoder = self.feed.encoder
        rows = pack(
            samples(),
            context_tokens=self.feed.stage.context_tokens,
            pad_id=encoder.ids[ChatToken.END_OF_TEXT],
            placeholder_id=encoder.ids[VisualToken.PATCH],
            lookahead=self.lookahead,
            state=state,
        )
        for row in chain(rows, [None]):
            yield Fed(row=row, good=good, bad=tuple(bad))
            good = 0
            bad.clear()


def fresh_states(stage: Stage) -> list[PackingState]:
    """Return where the streams of a stage begin."""
    return [PackingState(next_number=place, stride=stage.rows) for place in range(stage.rows)]


def feed_rows(
    feed: Feed, states: Sequence[PackingState], quarantine: Quarantine, *, workers: int, lookahead: int = 32
) -> Iterator[Row]:
    """Yield without end a row of each stream by turns, packed ahead by at most so many processes (0: by this one).

    Raises:
        DataError: Too large a share of the samples is bad.
    """
    # streams go to workers in equal numbers, so that the loader's turns are the streams'
    workers = max((count for count in range(1, workers + 1) if len(states) % count == 0), default=0)
    options: dict[str, Any] = {"num_workers": workers}
    if workers:
        options["prefetch_factor"] = max(2, 2 * len(states) // workers)
        options["worker_init_fn"] = _outlast_sigterm_not_the_parent
        # a thread reads what they hand over while the GPU works; nothing of a row is a tensor yet
        options["pin_memory"] = torch.cuda.is_available()
    options["collate_fn"] = _as_it_is
    others = set(active_children())
    loaded = iter(DataLoader(Rows(feed, states, lookahead=lookahead), batch_size=None, **options))
    own = set(active_children()) - others
    last: Bad | None = None
    try:
        for fed in loaded:
            quarantine.count(good=fed.good, bad=fed.bad)
            last = fed.bad[-1] if fed.bad else last
            if fed.row is None:
                assert last is not None, "a stream of samples has no end"
                raise DataError(
                    f"{MOST_BAD_IN_A_ROW} samples in a row are bad, the last: {last.reason}; {quarantine.path} "
                    "lists them"
                )
            yield fed.row
    finally:
        del loaded  # which asks the workers to end
        for worker in own:  # those that are deep in a row hear nothing else
            worker.kill()


def _outlast_sigterm_not_the_parent(_: int) -> None:
    # schedulers tell all processes of a run; the one that trains still wants rows to end its step and save
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # one that was killed can tell nobody, and workers that hand over rows would wait for it for ever
    leave_with_the_parent()


def _as_it_is(fed: Fed) -> Fed:
    return fed
