"""Do many tasks at a time, each under limits, a bounded number in flight whatever the number of tasks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from kangaroo.curation.engine.ledger import CurationError
from kangaroo.curation.engine.recipe import Engine, Machine
from kangaroo.errors import KangarooError
from kangaroo.video.errands import Errands, Workers
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


@contextmanager
def hired(machine: Machine, *, shared: Sequence[Path]) -> Iterator[Errands]:
    """Lend what calls functions in worker processes, on this machine or on a cluster, and end them with the block.

    >>> with hired(recipe.machine, shared=[]) as errands:
    ...     errands.call(probe, path, name="film.mp4", doing="reading it", time_s=60)

    Args:
        machine: Which, how many, and how much memory each may use.
        shared: Files that every worker must see.
    """
    with ExitStack() as stack:
        make: Callable[[Limits], Worker] = Worker
        if machine.engine == Engine.RAY:
            from kangaroo.curation.engine.cluster import joined

            make = stack.enter_context(joined(machine, shared=shared))
        limits = Limits(memory_bytes=int(machine.memory_gib * 2**30))
        workers = Workers(limits, num_workers=machine.workers, make=make)
        stack.callback(workers.close)
        yield Errands(workers)
