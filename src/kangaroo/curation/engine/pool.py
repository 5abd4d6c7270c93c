"""Do many tasks at a time, each under limits, a bounded number in flight whatever the number of tasks."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any, TypeVar

from kangaroo.curation.engine.ledger import CurationError
from kangaroo.errors import KangarooError
from kangaroo.video.isolate import Limits, Worker

Task = TypeVar("Task")
Result = TypeVar("Result")
_AHEAD = 2  # tasks that wait beside each that runs


def each(
    tasks: Iterable[Task], do: Callable[[Task], Result], *, threads: int, stop: Callable[[], None]
) -> Iterator[tuple[Task, Result | KangarooError]]:
    """Yield tasks with what came of them, as they end; a mistake about one task is an outcome.

    Args:
        tasks: Taken as there is room for them.
        do: Called in a thread.
        threads: Tasks at a time.
        stop: Ends what is under way, where the iteration is left early.

    Raises:
        CurationError: The run itself cannot go on.
    """
    waiting: dict[Future[Result], Task] = {}
    tasks = iter(tasks)
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                while len(waiting) < threads * _AHEAD and (task := next(tasks, None)) is not None:
                    waiting[pool.submit(do, task)] = task
                if not waiting:
                    return
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    task = waiting.pop(future)
                    error = future.exception()
                    if isinstance(error, CurationError) or not isinstance(error, KangarooError | None):
                        raise error
                    yield task, error if error is not None else future.result()
        finally:
            for future in waiting:
                future.cancel()
            if waiting:
                stop()


class Desks:
    """A worker process for each thread that calls one, under limits of its own for each call.

    >>> with Desks(memory_bytes=8 << 30) as desks:
    ...     desks.call(probe, path, name="film.mp4", time_s=60)
    """

    def __init__(self, *, memory_bytes: int) -> None:
        self._limits = Limits(memory_bytes=memory_bytes)
        self._own = threading.local()
        self._all: list[Worker] = []

    def __enter__(self) -> "Desks":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._all:
            worker.stop()
            worker.close()

    def call(self, function: Callable[..., Result], *arguments: Any, name: str, time_s: float, doing: str) -> Result:
        """Return what a function returns in this thread's worker.

        Raises:
            VideoError: The worker crashes or goes past a limit.
            KangarooError: Whatever of that kind the function raises.
        """
        worker = getattr(self._own, "worker", None)
        if worker is None:
            worker = self._own.worker = Worker(self._limits)
            self._all.append(worker)
        worker.limits = replace(self._limits, time_s=time_s)
        return worker.call(function, *arguments, name=name, doing=doing)

    def stop(self) -> None:
        """End the calls that are under way. From any thread."""
        for worker in self._all:
            worker.stop()
