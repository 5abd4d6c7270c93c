"""Bars that show how far an examination is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def answering(verb: str = "answering") -> Iterator[Callable[[int, int], None]]:
    """Show a bar that counts answers, or something else that is done, while the block runs."""
    with scoring(verb) as watch:
        yield lambda done, total: watch(done, total, "")


@contextmanager
def scoring(verb: str = "answering") -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar that counts answers and tells the score so far."""
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task(verb, total=None)
        yield lambda done, total, said: bar.update(
            task, completed=done, total=total, description=f"{verb} {said}".strip()
        )
