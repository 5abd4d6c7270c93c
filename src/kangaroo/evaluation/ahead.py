"""Read films ahead while others are asked about. Imports without torch."""

from collections.abc import Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Lock

from kangaroo.chat.answerer import Answerer, ReadsAhead, Sampling
from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import KangarooError
from kangaroo.evaluation.asking import Asked


class Ahead:
    """Has films read whose turn comes soon, so many at a time, by threads that end with the `with` block.

    >>> with Ahead(answerer, asked, workers=2) as ahead:
    ...     examine(answerer, out, ahead.asked, before=ahead.begin, ...)

    Args:
        answerer: Who answers. One that cannot read ahead is asked as if nobody had wanted it.
        asked: All questions.
        workers: Films at a time; 0 reads each when it is wanted.

    Attributes:
        asked: The questions, which wait for their films.
    """

    def __init__(self, answerer: Answerer, asked: Sequence[Asked], workers: int) -> None:
        self._originals = {one.id: one for one in asked}
        self._workers = workers
        self._firsts: list[Asked] = []
        self._places: dict[Hashable, int] = {}
        self._reading: list[Future[None]] = []
        self._lock = Lock()
        self._prepare = answerer.prepare if workers and isinstance(answerer, ReadsAhead) else None
        self._pool = ThreadPoolExecutor(max(1, workers))  # starts a thread when there is work
        self.asked = [replace(one, conversation=partial(self._turn, one)) for one in asked]

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def begin(self, left: Sequence[Asked]) -> None:
        """Take note of what will be asked, in order: of each film its first question stands for all."""
        if self._prepare is not None:
            for one in left:
                if one.film not in self._places:
                    self._places[one.film] = len(self._firsts)
                    self._firsts.append(self._originals[one.id])

    def _turn(self, one: Asked) -> Conversation:
        """Return a question whose turn has come, its film read and the next ones begun."""
        place = self._places.get(one.film)
        if place is not None:
            with self._lock:
                for coming in self._firsts[len(self._reading) : place + 1 + self._workers]:
                    self._reading.append(self._pool.submit(self._read, coming))
            self._reading[place].result()
        return one.conversation()

    def _read(self, one: Asked) -> None:
        assert self._prepare is not None
        with suppress(KangarooError):  # its question meets the same and says so
            self._prepare(one.conversation(), Sampling(max_new_tokens=one.max_new_tokens))
