"""Films that one caller wants opened and decoded in workers, and how the caller calls it off."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from kangaroo.errors import VideoError
from kangaroo.video.isolate import Limits, Worker

Result = TypeVar("Result")
_PATIENCE_S = 0.1  # how long a caller that waits for a free worker may not notice that it was cancelled


class Workers:
    """Workers that serve many threads, each call by one that is free.

    Args:
        limits: What each may use.
        num_workers: The most calls at a time; a process starts when it is first needed.
        make: Makes one of them.
    """

    def __init__(self, limits: Limits, *, num_workers: int, make: Callable[[Limits], Worker] = Worker) -> None:
        self._all = [make(limits) for _ in range(num_workers)]
        # the last that was free comes first: its process runs already
        self._free: queue.LifoQueue[Worker] = queue.LifoQueue()
        for worker in self._all:
            self._free.put(worker)

    @contextlib.contextmanager
    def lend(self, *, give_up: threading.Event) -> Iterator[Worker | None]:
        """Lend a worker once one is free; None where `give_up` was set before."""
        worker = None
        while worker is None and not give_up.is_set():
            with contextlib.suppress(queue.Empty):
                worker = self._free.get(timeout=_PATIENCE_S)
        try:
            yield worker
        finally:
            if worker is not None:
                self._free.put(worker)

    def close(self) -> None:
        """End all processes."""
        for worker in self._all:
            worker.stop()
            worker.close()


class Errands:
    """What one caller has done by workers. A `VideoSource` that carries it is opened and decoded there.

    >>> errands = Errands(Workers(Limits(), num_workers=2))
    >>> VideoSource("film.mp4", apart=errands).open()
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._busy: set[Worker] = set()

    def call(self, function: Callable[..., Result], *arguments: Any, name: str, **options: Any) -> Result:
        """Return what a function returns in a worker, as `Worker.call`.

        Raises:
            VideoError: As `Worker.call`, and after `cancel`.
        """
        with self._workers.lend(give_up=self._cancelled) as worker:
            with self._lock:
                if worker is None or self._cancelled.is_set():
                    raise VideoError(f"{name}: nobody waits for it any more")
                self._busy.add(worker)
            try:
                return worker.call(function, *arguments, name=name, **options)
            finally:
                with self._lock:
                    self._busy.discard(worker)
                worker.rest()  # it may have been stopped when its answer was there already

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody waits any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """End what is under way, and refuse what comes. From any thread."""
        with self._lock:
            self._cancelled.set()
            for worker in self._busy:
                worker.stop()
