"""Put questions to an `Answerer`: one by one and timed, or many at once. What an answer is worth is decided elsewhere.

One by one, questions about one film share what was read of it. At once, a GPU is kept busy: while one batch is
answered, the films of the next are read. Imports without torch.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from time import perf_counter

from kangaroo.chat.answerer import Answer, Answerer, Likelihood, Sampling
from kangaroo.chat.session import Ask, OpensSessions
from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import KangarooError, OptionError, VideoError
from kangaroo.video.sampler import FrameSampler

_FRAMES = 64  # a batch is counted in films of so many frames: of longer ones it holds fewer
_BATCHES_UNDER_WAY = 2


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How hard a machine is driven; the questions are the same at any pace.

    Attributes:
        batch: Questions asked at once about films of 64 frames; 1 asks one by one and times each.
        workers: How many films are drawn or read ahead at a time; 0 does it when a film is wanted.
    """

    batch: int = 1
    workers: int = 0

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise OptionError(f"batch is {self.batch}; give 1 question or more")
        if self.workers < 0:
            raise OptionError(f"workers is {self.workers}; give 0 or more")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question as it is put: an answer is said, or one of the continuations is found by its likelihood.

    Attributes:
        id: Names the question.
        film: Questions with the same one that follow each other share what was read of it.
        conversation: Called when the question's turn has come; draws or finds the film.
        max_new_tokens: The longest answer.
        num_frames: About how many frames the film gives.
        continuations: Where nothing is said: of several answers the likeliest is the output; one alone is the output
            where each of its tokens was the likeliest at its place, and else nothing is.
    """

    id: str
    film: Hashable
    conversation: Callable[[], Conversation]
    max_new_tokens: int
    num_frames: int = _FRAMES
    continuations: tuple[str, ...] = ()


class Blame(StrEnum):
    """Why there is no answer: the data lack something, or the model (or its server) did not manage."""

    DATA = "data"
    MODEL = "model"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back.

    `first_s` is how long the first words took from being asked; `is_cold` says that the film had not been shown
    before, so that these seconds hold everything. Of questions asked at once neither `first_s` nor `timings_s` says
    anything, and they are left out. `num_frames` is 0 where no film was shown, `times_s` are the frames' seconds and
    `interval_s` the time between two; `notes` say what was wrong with a film that could be read all the same. Tokens
    are None where an endpoint does not tell. `failure` is the reason where no answer came.
    `likelihoods` are those of continuations, in their order.
    """

    id: str
    output: str = ""
    num_frames: int = 0
    times_s: list[float] = field(default_factory=list)
    interval_s: float = 0.0
    notes: list[str] = field(default_factory=list)
    is_cold: bool = False
    first_s: float | None = None
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    finish_reason: str | None = None
    timings_s: dict[str, float] = field(default_factory=dict)
    likelihoods: tuple[Likelihood, ...] = ()
    failure: str | None = None
    blame: Blame | None = None


class OnFailure(StrEnum):
    """What happens when a question cannot be answered: the run stops there, or the reply says why and it goes on."""

    STOP = "stop"
    GO_ON = "go_on"


def one_by_one(answerer: Answerer, asked: Sequence[Asked], on_failure: OnFailure = OnFailure.STOP) -> Iterator[Reply]:
    """Yield replies film by film: with a memory, only a question's own words are read anew.

    Raises:
        KangarooError: A question could not be answered, and failures stop the run.
    """
    for _, group in groupby(asked, key=lambda one: one.film):
        ask: Ask = answerer.remembering() if isinstance(answerer, OpensSessions) else answerer.answer
        for number, one in enumerate(group):
            try:
                yield _ranked(answerer, one) if one.continuations else _timed(one, ask, is_cold=number == 0)
            except KangarooError as error:
                if on_failure is OnFailure.STOP:
                    raise
                yield failed(one.id, error)


def at_once(
    answerer: Answerer, asked: Sequence[Asked], on_failure: OnFailure = OnFailure.STOP, *, batch: int
) -> Iterator[Reply]:
    """Yield replies batch by batch; `in_order` puts those of one length together, so that little is padded.

    Raises:
        KangarooError: As `one_by_one`. A batch that fails is asked again one by one where failures do not stop a run.
    """

    def ask(own: Sequence[Asked]) -> list[Reply]:
        try:
            if own[0].continuations:  # each of them is a batch, and the next film is read meanwhile
                return [_ranked(answerer, one) for one in own]
            answers = answerer.answer_batch([one.conversation() for one in own], _sampling(own[0]))
        except KangarooError as error:
            if on_failure is OnFailure.STOP:
                raise
            return [failed(own[0].id, error)] if len(own) == 1 else [reply for one in own for reply in ask([one])]
        return [_reply(one, answer) for one, answer in zip(own, answers, strict=True)]

    with ThreadPoolExecutor(_BATCHES_UNDER_WAY) as threads:
        running: deque[Future[list[Reply]]] = deque()
        for own in _batches(asked, batch):
            running.append(threads.submit(ask, own))
            if len(running) > _BATCHES_UNDER_WAY:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()


def in_order(asked: Sequence[Asked]) -> list[Asked]:
    """Return questions as `at_once` asks them: short answers first, then by length, film by film."""
    films = {film: place for place, film in enumerate(dict.fromkeys(one.film for one in asked))}
    return sorted(asked, key=lambda one: (one.max_new_tokens, one.num_frames, films[one.film]))


def failed(id: str, error: KangarooError) -> Reply:
    """Return the reply to a question that could not be answered."""
    # an option that a film refuses is its clip: the records name seconds that the film does not have
    blame = Blame.DATA if isinstance(error, VideoError | OptionError) else Blame.MODEL
    return Reply(id=id, failure=str(error), blame=blame)


def sampler_of(answerer: Answerer) -> FrameSampler | None:
    """Return the rule by which an answerer picks frames, None where it does not tell."""
    return answerer.frame_sampler if isinstance(answerer, OpensSessions) else None


def _batches(asked: Sequence[Asked], batch: int) -> Iterator[list[Asked]]:
    own: list[Asked] = []
    held = 0
    for one in asked:
        frames = max(_FRAMES, one.num_frames)
        if own and (held + frames > batch * _FRAMES or one.max_new_tokens != own[0].max_new_tokens):
            yield own
            own, held = [], 0
        own.append(one)
        held += frames
    if own:
        yield own


def _sampling(one: Asked) -> Sampling:
    return Sampling(max_new_tokens=one.max_new_tokens)


def _ranked(answerer: Answerer, one: Asked) -> Reply:
    """Return the continuation that the model would say: the likeliest per token, as the field ranks options."""
    found = answerer.score(one.conversation(), one.continuations)
    if len(found) == 1:
        output = one.continuations[0] if found[0].is_greedy else ""
    else:
        best = max(range(len(found)), key=lambda place: found[place].nats / max(1, found[place].num_tokens))
        output = one.continuations[best]
    return Reply(id=one.id, output=output, likelihoods=tuple(found))


def _timed(one: Asked, ask: Ask, *, is_cold: bool) -> Reply:
    conversation = one.conversation()
    began = perf_counter()
    answer = ask(conversation, _sampling(one))
    first_s: float | None = None
    for _ in answer:
        first_s = perf_counter() - began if first_s is None else first_s
    first_s = perf_counter() - began if first_s is None else first_s
    return _reply(one, answer, is_cold=is_cold, first_s=first_s, timings_s=answer.timings_s)


def _reply(
    one: Asked,
    answer: Answer,
    *,
    is_cold: bool = False,
    first_s: float | None = None,
    timings_s: dict[str, float] | None = None,
) -> Reply:
    times_s = answer.times_s[0] if answer.times_s else []
    return Reply(
        id=one.id,
        output=answer.text,
        num_frames=len(times_s),
        times_s=[round(time_s, 6) for time_s in times_s],
        interval_s=(times_s[-1] - times_s[0]) / (len(times_s) - 1) if len(times_s) > 1 else 0.0,
        notes=list(answer.notes),
        is_cold=is_cold,
        first_s=first_s,
        prompt_tokens=answer.prompt_tokens,
        new_tokens=answer.new_tokens,
        finish_reason=answer.finish_reason,
        timings_s=timings_s or {},
    )
