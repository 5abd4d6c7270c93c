"""Ask a model patiently: what fails is tried again after a while, and what keeps failing leaves the clip blocked.

Whoever finds an endpoint down spares the others the waiting: until it has rested, they are blocked at once.
Imports without torch.
"""

import os
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from kangaroo.chat.answerer import Answerer, FinishReason, Sampling
from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import EndpointError, OptionError


class BlockedError(EndpointError):
    """A model could not be asked. The clip waits, and `retry` takes it up again."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often a question is asked again, and how long between.

    Attributes:
        num_tries: So often is it asked in all.
        first_wait_s: Before the second try; each wait after is twice as long, and all vary by half.
        longest_wait_s: No wait is longer.
        rest_s: So long nobody asks an endpoint that failed to the last try.
    """

    num_tries: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    rest_s: float = 30.0

    def __post_init__(self) -> None:
        if self.num_tries < 1:
            raise OptionError(f"num_tries is {self.num_tries}; give 1 or more")
        for name in ("first_wait_s", "longest_wait_s", "rest_s"):
            if not 0 <= getattr(self, name) < 86400:
                raise OptionError(f"{name} is {getattr(self, name)}; give seconds, 0 or more and less than a day")


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """A model that captions, merges or writes, and how it is asked.

    Attributes:
        name: What records and reports call it; the model, or else the endpoint, or else joey.
        model: joey, smollm2 (English, sees nothing), a folder or a hub id, in this process; with an endpoint the
            server's name for it, or None.
        endpoint: URL of an OpenAI-compatible server.
        key_variable: The environment's name for the endpoint's key, which itself stands in no recipe; None for
            OPENAI_API_KEY.
        max_new_tokens: The longest answer.
        temperature: 0 always takes the likeliest word.
        seed: Makes other temperatures repeatable, as far as the server does.
        at_once: Questions about one clip that an endpoint gets side by side.
        timeout_s: The longest that an endpoint may say nothing.
        patience: What happens where it fails.
    """

    name: str = ""
    model: str | None = None
    endpoint: str | None = None
    key_variable: str | None = None
    max_new_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0
    at_once: int = 5
    timeout_s: float = 120.0
    patience: Patience = Patience()

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.model or self.endpoint or "joey")
        if not self.name.strip():
            raise OptionError("a model has no name; give one that records can call it by")
        if self.at_once < 1:
            raise OptionError(f"{self.name}: at_once is {self.at_once}; give 1 or more")
        if not self.timeout_s > 0:
            raise OptionError(f"{self.name}: timeout_s is {self.timeout_s}; give more than 0 seconds")
        self.sampling()

    @property
    def asked(self) -> dict[str, Any]:
        """What its answers depend on, for whoever remembers them: not where it runs, nor how patiently it is asked."""
        who = self.model or self.endpoint
        return {"who": who, "max_new_tokens": self.max_new_tokens, "temperature": self.temperature, "seed": self.seed}

    def sampling(self) -> Sampling:
        """Return how its tokens are picked."""
        seed = self.seed if self.temperature else None
        return Sampling(temperature=self.temperature, seed=seed, max_new_tokens=self.max_new_tokens)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What it cost to ask a model; costs add up.

    Attributes:
        prompt_tokens: What it read; None where its endpoint does not tell.
        new_tokens: What it wrote; likewise.
        seconds: What its answers took, one after another.
        num_tries: How often it was asked; more than it answered where it failed on the way.
    """

    prompt_tokens: int | None = 0
    new_tokens: int | None = 0
    seconds: float = 0.0
    num_tries: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            prompt_tokens=_total(self.prompt_tokens, other.prompt_tokens),
            new_tokens=_total(self.new_tokens, other.new_tokens),
            seconds=self.seconds + other.seconds,
            num_tries=self.num_tries + other.num_tries,
        )


NOTHING = Cost()  # nobody was asked


def _total(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a model said."""

    text: str
    is_cut_off: bool
    cost: Cost


@dataclass(kw_only=True)
class Asker:
    """A model and the patience to ask it. Safe to share between threads.

    >>> Asker(answerer=kangaroo.load("joey"), settings=ModelSettings()).ask(Conversation().ask("Who are you?")).text
    """

    answerer: Answerer
    settings: ModelSettings
    _rests_until: float = field(default=0.0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)

    def ask(self, conversation: Conversation) -> Reply:
        """Return the answer to the last user turn.

        Raises:
            BlockedError: Every try failed, or one before did a moment ago.
            KangarooError: The conversation itself is at fault; asking again would not help.
        """
        patience = self.settings.patience
        self._check_rested()
        tried = 0
        while True:
            tried += 1
            began = time.perf_counter()
            try:
                # a model here has the cores to itself
                with self._turn if self.settings.endpoint is None else nullcontext():
                    answer = self.answerer.answer(conversation, self.settings.sampling()).read()
                if not answer.text.strip():
                    raise EndpointError(f"{self.settings.name} answered nothing")
            except EndpointError as error:
                if tried == patience.num_tries:
                    with self._lock:
                        self._rests_until = time.monotonic() + patience.rest_s
                    raise BlockedError(f"{self.settings.name} failed {tried} times; the last time: {error}") from None
                wait_s = min(patience.first_wait_s * 2 ** (tried - 1), patience.longest_wait_s)
                time.sleep(wait_s * random.uniform(0.5, 1.0))  # not everybody at the same moment
                continue
            return Reply(
                text=answer.text.strip(),
                is_cut_off=answer.finish_reason is FinishReason.LENGTH,
                cost=Cost(
                    prompt_tokens=answer.prompt_tokens,
                    new_tokens=answer.new_tokens,
                    seconds=time.perf_counter() - began,
                    num_tries=tried,
                ),
            )

    def ask_all(self, conversations: Sequence[Conversation]) -> list[Reply]:
        """Return the answers to several conversations; an endpoint is asked side by side.

        A model here is asked one by one: its sums, and so perhaps its words, depend on what is asked beside.

        Raises:
            KangarooError: As `ask`, for the first that fails.
        """
        with ThreadPoolExecutor(self.settings.at_once if self.settings.endpoint else 1) as threads:
            return list(threads.map(self.ask, conversations))

    def _check_rested(self) -> None:
        with self._lock:
            left_s = self._rests_until - time.monotonic()
        if left_s > 0:
            raise BlockedError(f"{self.settings.name} failed a moment ago and is asked again in {left_s:.0f} s")


def open_asker(settings: ModelSettings) -> Asker:
    """Load a model or reach an endpoint, and return it ready to be asked: what cannot answer is told now.

    Raises:
        ModelError: The model cannot be loaded.
        OptionError: The environment does not hold the key that the settings name.
        EndpointError: The endpoint does not answer, or does not say which models it has.
    """
    if settings.endpoint is None:
        from kangaroo.chat.load import JOEY, load

        return Asker(answerer=load(settings.model or JOEY), settings=settings)
    from kangaroo.chat.remote import RemoteAnswerer

    key = None if settings.key_variable is None else os.environ.get(settings.key_variable)
    if settings.key_variable is not None and not key:
        raise OptionError(f"{settings.name}: the environment holds no {settings.key_variable}; set it to the key")

    def remote(model: str | None) -> RemoteAnswerer:
        assert settings.endpoint is not None
        return RemoteAnswerer(settings.endpoint, model, api_key=key, timeout_s=settings.timeout_s)

    first = remote(None).name  # asks for the list even where the recipe names a model: is anybody there?
    return Asker(answerer=remote(settings.model or first), settings=settings)
