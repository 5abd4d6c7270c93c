"""Put questions to an `Answerer` and judge what comes back: one by one and timed, or many at once.

One by one, questions about one film share what was read of it. At once, a GPU is kept busy: while one batch is
answered, the films of the next are read. Imports without torch.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from time import perf_counter

from kangaroo.chat.answerer import Answer, Answerer, Sampling
from kangaroo.chat.session import Ask, OpensSessions
from kangaroo.errors import OptionError
from kangaroo.evaluation.films import Films
from kangaroo.evaluation.judge import judge
from kangaroo.evaluation.playground import Item, Part, Playground
from kangaroo.video.sampler import FrameSampler

_MAX_NEW_TOKENS = {Part.DESCRIBE: 640, Part.OPEN: 64}
_FRAMES = 64  # a batch is counted in films of so many frames: of longer ones it holds fewer
_BATCHES_UNDER_WAY = 2


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How hard a machine is driven; the questions are the same at any pace.

    Attributes:
        batch: Questions asked at once about films of 64 frames; 1 asks one by one and times each.
        workers: Processes that draw films ahead; 0 draws a film when it is wanted.
    """

    batch: int = 1
    workers: int = 0

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise OptionError(f"batch is {self.batch}; give 1 question or more")
        if self.workers < 0:
            raise OptionError(f"workers is {self.workers}; give 0 or more processes")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One question answered.

    `first_s` is how long the first words took from being asked; `is_cold` says that the film had not been shown
    before, so that these seconds hold everything. Of questions asked at once neither `first_s` nor `timings_s` says
    anything, and they are left out. `num_frames` is 0 where no film was shown, `interval_s` the time between two
    frames, `off_s` how far a time told is from the truth. Tokens are None where an endpoint does not tell.
    """

    id: str
    pair: str
    part: Part
    family: str
    language: str
    film: int
    question: str
    expected: str
    output: str
    parsed: str | None
    right: bool
    score: float
    truth: float | None
    off_s: float | None
    names_sprite: bool
    num_frames: int
    interval_s: float
    is_cold: bool
    first_s: float | None
    prompt_tokens: int | None
    new_tokens: int | None
    finish_reason: str | None
    timings_s: dict[str, float] = field(default_factory=dict)


def one_by_one(answerer: Answerer, exam: Playground, items: Sequence[Item], films: Films) -> Iterator[Record]:
    """Yield answers film by film: with a memory, only a question's own words are read anew."""
    for (shown, place), group in groupby(
        items, key=lambda item: (item.shows_film, item.film if item.shows_film else 0)
    ):
        path = films.get(exam.films[place]) if shown else films.folder
        ask: Ask = answerer.remembering() if isinstance(answerer, OpensSessions) else answerer.answer
        for number, item in enumerate(group):
            yield _timed(item, ask, path, is_cold=number == 0)


def at_once(
    answerer: Answerer, exam: Playground, items: Sequence[Item], films: Films, *, batch: int
) -> Iterator[Record]:
    """Yield answers batch by batch, those of one length together, so that little is padded."""

    def ask(own: Sequence[Item]) -> list[Record]:
        asked = [
            item.conversation(films.get(exam.films[item.film]) if item.shows_film else films.folder) for item in own
        ]
        answers = answerer.answer_batch(asked, _sampling(own[0]))
        return [_record(item, answer) for item, answer in zip(own, answers, strict=True)]

    with ThreadPoolExecutor(_BATCHES_UNDER_WAY) as threads:
        running: deque[Future[list[Record]]] = deque()
        for own in _batches(exam, items, batch, sampler_of(answerer)):
            running.append(threads.submit(ask, own))
            if len(running) > _BATCHES_UNDER_WAY:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()


def in_order(exam: Playground, items: Sequence[Item], sampler: FrameSampler | None) -> list[Item]:
    """Return items as `at_once` asks them: short answers first, then by length, film by film."""
    return sorted(items, key=lambda item: (_most_tokens(item), _num_frames(exam, item, sampler), item.film))


def _batches(exam: Playground, items: Sequence[Item], batch: int, sampler: FrameSampler | None) -> Iterator[list[Item]]:
    own: list[Item] = []
    held = 0
    for item in in_order(exam, items, sampler):
        frames = max(_FRAMES, _num_frames(exam, item, sampler))
        if own and (held + frames > batch * _FRAMES or _most_tokens(item) != _most_tokens(own[0])):
            yield own
            own, held = [], 0
        own.append(item)
        held += frames
    if own:
        yield own


def sampler_of(answerer: Answerer) -> FrameSampler | None:
    """Return the rule by which an answerer picks frames, None where it does not tell."""
    return answerer.frame_sampler if isinstance(answerer, OpensSessions) else None


def _num_frames(exam: Playground, item: Item, sampler: FrameSampler | None) -> int:
    if not item.shows_film:
        return 0
    return len((sampler or FrameSampler()).wanted_times(exam.films[item.film].duration_s))


def _most_tokens(item: Item) -> int:
    return _MAX_NEW_TOKENS.get(item.part, 16)


def _sampling(item: Item) -> Sampling:
    return Sampling(max_new_tokens=_most_tokens(item))


def _timed(item: Item, ask: Ask, path: Path, *, is_cold: bool) -> Record:
    began = perf_counter()
    answer = ask(item.conversation(path), _sampling(item))
    first_s: float | None = None
    for _ in answer:
        first_s = perf_counter() - began if first_s is None else first_s
    first_s = perf_counter() - began if first_s is None else first_s
    return _record(item, answer, is_cold=is_cold, first_s=first_s, timings_s=answer.timings_s)


def _record(
    item: Item,
    answer: Answer,
    *,
    is_cold: bool = False,
    first_s: float | None = None,
    timings_s: dict[str, float] | None = None,
) -> Record:
    verdict = judge(item, answer.text)
    times_s = answer.times_s[0] if answer.times_s else []
    return Record(
        id=item.id,
        pair=item.pair,
        part=item.part,
        family=item.family,
        language=item.language,
        film=item.film,
        question=item.question,
        expected=item.expected,
        output=answer.text,
        parsed=verdict.parsed,
        right=verdict.right,
        score=verdict.score,
        truth=verdict.truth,
        off_s=verdict.off_s,
        names_sprite=item.names_sprite,
        num_frames=len(times_s),
        interval_s=(times_s[-1] - times_s[0]) / (len(times_s) - 1) if len(times_s) > 1 else 0.0,
        is_cold=is_cold,
        first_s=first_s,
        prompt_tokens=answer.prompt_tokens,
        new_tokens=answer.new_tokens,
        finish_reason=answer.finish_reason,
        timings_s=timings_s or {},
    )
