"""What the vision tower saw of films, kept on disk: who asks about a film again tomorrow waits neither for it nor for
decoding.

An entry is known by the film's content, the frames that were taken, and the weights that saw them. Several processes
may share a folder: an entry appears whole, what is damaged is dropped, and what was not used for longest goes first.
Axes: token, width (of the vision tower).
"""

import hashlib
import json
import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from uuid import uuid4

import safetensors.torch
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor

from kangaroo.errors import VideoError
from kangaroo.system import cache_folder
from kangaroo.video.container import local_path
from kangaroo.video.frames import Frames
from kangaroo.video.pictures import is_folder, list_pictures
from kangaroo.video.source import VideoSource

_log = logging.getLogger(__name__)
_VERSION = 1
_ENDING, _UNFINISHED = ".film", ".unfinished"
_DIGEST_BYTES = 32
_FORGOTTEN_S = 3600.0  # what is unfinished for so long was left by a process that was killed


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptFilm:
    """What is kept of a film.

    Attributes:
        rows: Features of the film before the projector, which are a quarter of those behind it.
        times_s: When each frame was shown, in seconds of the film.
        notes: What a reader should know of the film.
    """

    rows: Float[Tensor, "token width"]
    times_s: tuple[float, ...]
    notes: tuple[str, ...]


class KeptFilms:
    """A folder of what was seen of films.

    >>> kangaroo.load("joey", kept=users_films())

    Args:
        folder: Made when the first film is kept.
        max_bytes: More than this is never left there.
    """

    def __init__(self, folder: Path, *, max_bytes: int = 4 << 30) -> None:
        self.folder, self.max_bytes = folder, max_bytes

    def get(self, key: str) -> KeptFilm | None:
        """Return what is kept under a key, None where nothing or nothing whole is."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        film = _read(content)
        if film is None:
            _log.warning("%s is damaged; the film is seen anew", path)
            _drop(path)
            return None
        with suppress(OSError):  # another process may have dropped it meanwhile
            os.utime(path)
        return film

    def put(self, key: str, film: KeptFilm) -> None:
        """Keep a film. Where the disk has no room, it is seen again next time."""
        path = self._path(key)
        unfinished = path.with_name(f"{uuid4().hex}{_UNFINISHED}")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # others need not know which films
            unfinished.write_bytes(_written(film))
            os.replace(unfinished, path)
            self._shrink()
        except OSError as error:
            _drop(unfinished)
            _log.warning("%s: cannot be kept (%s)", path, error.strerror)

    def _shrink(self) -> None:
        """Drop what has no room beside what was used since, and what nobody will finish."""
        found = sorted((_state(path) for path in self.folder.glob(f"*{_ENDING}")), reverse=True)
        left = self.max_bytes
        for _, size, path in found:
            if size > left:
                _drop(path)
            else:
                left -= size
        for since, _, path in map(_state, self.folder.glob(f"*{_UNFINISHED}")):
            if since < time.time() - _FORGOTTEN_S:
                _drop(path)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_ENDING}"


def users_films() -> KeptFilms | None:
    """Return the films kept in `kangaroo/films` in the user's cache, or in KANGAROO_FILMS; empty, it keeps none."""
    folder = os.environ.get("KANGAROO_FILMS", str(cache_folder("films")))
    return KeptFilms(Path(folder)) if folder else None


def key_of(source: VideoSource, *about: object) -> str:
    """Return the name of an entry: a hash of a film's content and of all else that what is seen depends on.

    Args:
        source: The film, at hand.
        about: What has a text that tells it apart: frames, weights, settings.

    Raises:
        VideoError: The film is missing.
    """
    return hashlib.sha256(json.dumps([_VERSION, _content(source), *map(str, about)]).encode()).hexdigest()


def _content(source: VideoSource) -> str:
    if isinstance(source.value, bytes | Frames):
        return source.fingerprint()  # which is their content's
    digest = hashlib.sha256(f"{source.folder_fps!r}\0".encode())
    for path in list_pictures(source) if is_folder(source) else [local_path(source)]:
        try:
            with path.open("rb") as file:
                digest.update(f"{path.name}\0".encode(errors="surrogateescape") if is_folder(source) else b"")
                digest.update(file_digest(file, "sha256").digest())
        except OSError as error:
            raise VideoError(f"{path}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()


def _written(film: KeptFilm) -> bytes:
    told = json.dumps({"times_s": film.times_s, "notes": film.notes}).encode()
    content = told + b"\n" + safetensors.torch.save({"rows": film.rows.contiguous().cpu()})
    return hashlib.sha256(content).digest() + content


def _read(content: bytes) -> KeptFilm | None:
    """Return a film, None where the bytes are not those that were written."""
    digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        return None
    told, _, tensors = content.partition(b"\n")
    try:
        values = json.loads(told)
        rows = safetensors.torch.load(tensors)["rows"]
        return KeptFilm(rows=rows, times_s=tuple(values["times_s"]), notes=tuple(values["notes"]))
    except (ValueError, LookupError, TypeError, SafetensorError):
        return None


def _drop(path: Path) -> None:
    with suppress(OSError):  # another process was faster, or it is not ours to drop
        path.unlink()


def _state(path: Path) -> tuple[float, int, Path]:
    try:
        state = path.stat()
    except OSError:  # another process dropped it
        return 0.0, 0, path
    return state.st_mtime, state.st_size, path
