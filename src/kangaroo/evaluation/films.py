"""The films of an examination as files, drawn where they are missing: when wanted, or ahead by other processes.

Imports without torch.
"""

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from enum import StrEnum
from multiprocessing import get_context
from pathlib import Path
from threading import Lock
from types import TracebackType

from kangaroo.playground.film import Film
from kangaroo.playground.vocabulary import Style
from kangaroo.video.sampler import FrameSampler


class Drawing(StrEnum):
    """How much of a film is drawn: all of it, or what the model's sampler takes, at a tenth of the work."""

    WHOLE = "whole"
    SEEN = "seen"


class Films:
    """A folder of films.

    >>> with Films(Path("out/films"), workers=8) as films:
    ...     films.ahead(playground.films)
    ...     films.get(playground.films[0])

    Args:
        folder: Made when the first film is drawn. Films that are there are used again.
        sampler: Draws only the frames that this sampler takes; None draws whole films.
        style: Who drew the sprites.
        workers: Processes that draw ahead; 0 draws here, when a film is wanted.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sampler: FrameSampler | None = None,
        style: Style = Style.FLUENT,
        workers: int = 0,
    ) -> None:
        self.folder, self.sampler, self.style, self.workers = folder, sampler, style, workers
        self._drawing: dict[Path, Future[None]] = {}
        self._stack = ExitStack()
        self._lock = Lock()

    def __enter__(self) -> "Films":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def path(self, film: Film) -> Path:
        """Return where a film is kept: a name that changes with anything that is drawn."""
        what = repr(film)
        if self.sampler is not None or self.style is not Style.FLUENT:
            what += f" {self.sampler} {self.style}"
        return self.folder / f"{film.seed}-{hashlib.sha256(what.encode()).hexdigest()[:12]}.mp4"

    def ahead(self, films: Iterable[Film]) -> None:
        """Begin to draw those that are missing, in this order."""
        missing = [film for film in dict.fromkeys(films) if not self.path(film).exists()] if self.workers else []
        if not missing:
            return
        pool = ProcessPoolExecutor(min(self.workers, len(missing)), get_context("spawn"), initializer=_alone)
        self._stack.callback(pool.shutdown, cancel_futures=True)
        for film in missing:
            self._drawing[self.path(film)] = pool.submit(_draw, film, self.path(film), self.sampler, self.style)

    def get(self, film: Film) -> Path:
        """Return a film's file, once it is drawn."""
        path = self.path(film)
        if path in self._drawing:
            self._drawing[path].result()
        else:
            with self._lock:  # who asks for it at the same time waits for it
                if not path.exists():
                    _draw(film, path, self.sampler, self.style)
        return path


def _draw(film: Film, path: Path, sampler: FrameSampler | None, style: Style) -> None:
    from kangaroo.playground.draw import write_film

    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.unfinished")
    write_film(film, unfinished, sampler=sampler, style=style)
    os.replace(unfinished, path)  # a film that was cut off never takes the place of a whole one


def _alone() -> None:
    """Give a process one thread: there are as many processes as cores."""
    import torch

    torch.set_num_threads(1)
