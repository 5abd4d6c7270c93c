"""The hinge of the house: one method that turns a conversation into an answer. Imports without torch.

`LocalAnswerer` (this process) and `RemoteAnswerer` (any OpenAI-compatible endpoint) provide it; evaluation,
curation and serving consume it and know nothing else of a model.
"""

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are picked. Temperature 0 is greedy and needs no seed."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    max_new_tokens: int = 512
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise OptionError(f"temperature is {self.temperature}; give 0 (greedy) or more")
        if not 0 < self.top_p <= 1:
            raise OptionError(f"top-p is {self.top_p}; give a share above 0 and at most 1")
        if self.seed is not None and not 0 <= self.seed < 1 << 63:
            raise OptionError(f"seed is {self.seed}; give a whole number from 0 to 2^63 - 1")
        if self.max_new_tokens < 1:
            raise OptionError(f"max-new-tokens is {self.max_new_tokens}; give 1 or more")
        if not all(self.stop):
            raise OptionError("a stop string is empty; leave it out")


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """How likely a model finds a text as its answer.

    Attributes:
        nats: The log-likelihood of all its tokens; its end is not counted.
        num_tokens: How many they are.
        is_greedy: Whether each was the likeliest at its place, so that a greedy answer would begin with them.
    """

    nats: float
    num_tokens: int
    is_greedy: bool


@dataclass(kw_only=True)
class Answer:
    """An answer as it comes: iterate it for text; afterwards the fields tell how it came about.

    Leaving the iteration early ends the answer there: it is `cancelled`, and no more work is done for it.
    `preflight` says in one line what will be looked at, before anything is decoded.
    `times_s` holds one list per film of the conversation: the second of each frame that the model saw.
    Tokens are counted in `visual_tokens`, `prompt_tokens` and `new_tokens`; None where an endpoint does not say.
    `cached_tokens` of the prompt were read for an answer before and not again; `films_seen` went through the vision
    tower for this answer, the others had before.
    `timings_s` names seconds spent in open, decode, vision, prefill, generate.
    """

    stream: Iterator[str] = field(repr=False)
    model: str
    preflight: str = ""
    text: str = ""
    times_s: list[list[float]] = field(default_factory=list)
    visual_tokens: int | None = None
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    cached_tokens: int | None = None
    films_seen: int | None = None
    finish_reason: FinishReason | None = None
    timings_s: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    _closed: bool = field(default=False, init=False, repr=False)

    def __iter__(self) -> Iterator[str]:
        whole = False
        try:
            for piece in self.stream:
                if self._closed:
                    self.finish_reason = FinishReason.CANCELLED
                    return
                self.text += piece
                yield piece
            whole = True
        finally:
            if not whole:
                self.close()

    def close(self) -> None:
        """End the answer here, from any thread. What was said stays; an answer that has ended is left as it is.

        Where another thread is waiting for the next piece, that thread's iteration ends instead of getting it.
        """
        self._closed = True
        if isinstance(self.stream, Generator):
            try:
                self.stream.close()
            except ValueError:  # it runs in another thread, which finds it closed
                return
        if self.finish_reason is None:
            self.finish_reason = FinishReason.CANCELLED

    def read(self) -> "Answer":
        """Wait for the whole answer and return it."""
        for _ in self:
            pass
        return self


@runtime_checkable
class Answerer(Protocol):
    """Anything that answers. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """What answers call the model."""
        ...

    def answer(self, conversation: Conversation, sampling: Sampling = Sampling()) -> Answer:
        """Answer the last user turn."""
        ...

    def answer_batch(self, conversations: Sequence[Conversation], sampling: Sampling = Sampling()) -> list[Answer]:
        """Answer several conversations at once, and wait for all."""
        ...

    def score(self, conversation: Conversation, continuations: Sequence[str]) -> list[Likelihood]:
        """Return how likely each continuation is as the assistant's answer.

        Raises:
            OptionError: This provider cannot score.
        """
        ...


@runtime_checkable
class ReadsAhead(Protocol):
    """An answerer that can be told of a question before its turn."""

    def prepare(self, conversation: Conversation, sampling: Sampling = Sampling()) -> None:
        """Read the films now, so that an answer about them finds them read. Safe to call from several threads.

        Raises:
            KangarooError: As `Answerer.answer` would.
        """
        ...
