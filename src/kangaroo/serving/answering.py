"""One answer in a thread of its own, handed to the event loop piece by piece.

Who hangs up cancels: what the thread waits for in other processes is ended, and it stops at its next piece of text.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from time import perf_counter

from kangaroo.chat.answerer import Answer
from kangaroo.serving.media import Media, Reading
from kangaroo.serving.memories import Memories
from kangaroo.serving.schema import CompletionRequest
from kangaroo.video.sampler import FrameSampler

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some text and when the model said it, by `perf_counter`."""

    text: str
    said_s: float


class Run:
    """An answer under way. Iterate it for its pieces; it raises what went wrong.

    Args:
        request: What is asked.
        media: Reads its films.
        memories: Finds the conversation that it goes on with.
        rule: Picks the frames where the request does not say.
        finished: Called on the event loop when the thread is free again, with the answer if it came to one.
    """

    def __init__(
        self,
        request: CompletionRequest,
        *,
        media: Media,
        memories: Memories,
        rule: FrameSampler,
        finished: Callable[[Answer | None], None],
    ) -> None:
        self.answer: Answer | None = None
        self._request, self._memories, self._rule, self._finished = request, memories, rule, finished
        self._reading = Reading(media=media)
        self._cancelled = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Piece | Exception | None] = asyncio.Queue()

    def start(self, threads: Executor) -> None:
        """Begin in one of these threads."""
        threads.submit(self._work)

    def cancel(self) -> None:
        """Nobody reads the answer any more. Harmless once it has ended."""
        self._cancelled.set()
        self._reading.cancel()

    async def __aiter__(self) -> AsyncIterator[Piece]:
        while True:
            event = await self._events.get()
            if event is None:
                return
            if isinstance(event, Exception):
                raise event
            yield event

    def _work(self) -> None:
        ended: Exception | None = None
        try:
            self._say()
        except Exception as error:
            ended = error
        self._loop.call_soon_threadsafe(self._end, ended)

    def _say(self) -> None:
        with self._reading as reading:
            conversation = reading.conversation(self._request, self._rule)
            with self._memories.lend(conversation) as lent:
                if self._cancelled.is_set():
                    return
                self.answer = lent.begin(self._request.sampling)
                for text in self.answer:
                    piece = Piece(text=text, said_s=perf_counter())
                    self._loop.call_soon_threadsafe(self._events.put_nowait, piece)
                    if self._cancelled.is_set():
                        break
                self.answer.close()

    def _end(self, ended: Exception | None) -> None:
        self._events.put_nowait(ended)
        self._finished(self.answer)
