"""Which conversation goes on: requests carry no session, so memories are found again by what was said.

A memory serves a request whose turns are those it knows, up to its last exchange: a further question, and an answer
told anew. One that would lose more is left to the conversation that it belongs to.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kangaroo.chat.answerer import Answer, Sampling
from kangaroo.chat.session import Ask
from kangaroo.dialogue.conversation import Conversation, Role, Turn, Video

_Turns = tuple[Hashable, ...]


@dataclass(kw_only=True, eq=False)
class Lent:
    """A memory while it serves one request."""

    ask: Ask
    conversation: Conversation
    answer: Answer | None = None

    def begin(self, sampling: Sampling) -> Answer:
        """Return the answer to the conversation.

        Raises:
            KangarooError: As `Answerer.answer`.
        """
        self.answer = self.ask(self.conversation, sampling)
        return self.answer


class Memories:
    """Memories of many conversations, bounded by the tokens that they hold; the oldest go first.

    Args:
        remembering: Makes a new memory: an answerer's method.
        max_tokens: Of all memories together that wait for their next round.
    """

    def __init__(self, remembering: Callable[[], Ask], *, max_tokens: int) -> None:
        self._remembering, self._max_tokens = remembering, max_tokens
        self._kept: OrderedDict[_Turns, tuple[Ask, int]] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def lend(self, conversation: Conversation) -> Iterator[Lent]:
        """Lend what a conversation is asked with; afterwards it is kept for the next round."""
        turns = tuple(map(_key, conversation.turns))
        known, ask, known_size = self._take(turns, conversation) or (turns, self._remembering(), 0)
        lent = Lent(ask=ask, conversation=conversation)
        try:
            yield lent
        finally:
            answer = lent.answer
            if answer is not None and answer.text:
                (reply,) = Conversation().ask("?").reply(answer.text).turns[1:]
                size = (answer.prompt_tokens or 0) + (answer.new_tokens or 0)
                self._keep((*turns, _key(reply)), ask, size)
            elif answer is None and known_size:
                self._keep(known, ask, known_size)  # refused before it was asked

    def _take(self, turns: _Turns, conversation: Conversation) -> tuple[_Turns, Ask, int] | None:
        first = next((at for at, turn in enumerate(conversation.turns) if turn.role is Role.USER), 0)
        with self._lock:
            shared = {known: _common(known, turns) for known in self._kept}
            fit = [known for known, count in shared.items() if count > first and count >= len(known) - 2]
            if not fit:
                return None
            best = max(fit, key=lambda known: shared[known])
            return best, *self._kept.pop(best)

    def _keep(self, turns: _Turns, ask: Ask, size: int) -> None:
        with self._lock:
            self._kept.pop(turns, None)
            self._kept[turns] = ask, size
            while sum(size for _, size in self._kept.values()) > self._max_tokens:
                self._kept.popitem(last=False)


def _key(turn: Turn) -> Hashable:
    # clients trim what they show and send back
    parts = (
        (part.source.fingerprint(), part.sampler) if isinstance(part, Video) else part.text.strip()
        for part in turn.parts
    )
    return str(turn.role), *parts


def _common(first: _Turns, second: _Turns) -> int:
    pairs = zip(first, second, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))
