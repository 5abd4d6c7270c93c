"""Films that strangers sent, on disk: each content once, under its own hash, for a time and within a size.

What came by URL or within a request makes room first, the least recently used before others; uploads stay until they
expire. A film in use is never taken away. Safe to call from several threads.
"""

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kangaroo.serving.errors import ApiError
from kangaroo.video.source import VideoInfo

_CHUNK_BYTES = 1 << 20


@dataclass(kw_only=True, eq=False)
class Film:
    """A film's file. `info` is what was found when it was first opened."""

    path: Path
    num_bytes: int
    used_s: float
    info: VideoInfo | None = None
    num_users: int = 0


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A name for a film that a client may use; times in seconds since 1970."""

    id: str
    film: Film
    filename: str
    purpose: str
    created_s: float
    expires_s: float


class Shelf:
    """The films of one server.

    Args:
        folder: Ours alone.
        max_bytes: All films together.
        upload_s: How long uploads are kept.
        fetched_s: How long other films are kept after their last use.
        clock: Gives the seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        upload_s: float,
        fetched_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._upload_s, self._fetched_s, self._clock = upload_s, fetched_s, clock
        self._films: dict[str, Film] = {}
        self._uploads: dict[str, Upload] = {}
        self._urls: dict[str, tuple[Film, float]] = {}
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """What all films weigh."""
        with self._lock:
            return sum(film.num_bytes for film in self._films.values())

    def new_path(self) -> Path:
        """Return where a film may be written before it is kept."""
        return self._folder / f"new-{secrets.token_hex(16)}"

    @contextmanager
    def keep(self, path: Path) -> Iterator[Film]:
        """Take a file into the shelf and lend it.

        Raises:
            ApiError: There is no room for it.
        """
        digest = _hash_of(path)
        with self._lock:
            film = self._films.get(digest)
            if film is None:
                num_bytes = path.stat().st_size
                self._make_room(num_bytes)
                kept = self._folder / digest
                # one content is one film to the model too, whenever it came: features are known by path, size and time
                os.utime(path, (0, 0))
                path.replace(kept)
                film = self._films[digest] = Film(path=kept, num_bytes=num_bytes, used_s=self._clock())
            else:
                path.unlink()
            film.num_users += 1
        with self._lent(film):
            yield film

    @contextmanager
    def lend(self, *, upload: str | None = None, url: str | None = None) -> Iterator[Film | None]:
        """Lend the film of an upload's id or of a URL that was fetched lately; None where there is none."""
        with self._lock:
            self._sweep()
            found: Film | None = None
            if upload is not None and upload in self._uploads:
                found = self._uploads[upload].film
            if url is not None and url in self._urls:
                found = self._urls[url][0]
            if found is not None:
                found.num_users += 1
        if found is None:
            yield None
            return
        with self._lent(found):
            yield found

    def add_upload(self, film: Film, *, filename: str, purpose: str) -> Upload:
        """Give a film that is lent right now an id."""
        now_s = self._clock()
        upload = Upload(
            id=f"file-{secrets.token_urlsafe(18)}",
            film=film,
            filename=filename,
            purpose=purpose,
            created_s=now_s,
            expires_s=now_s + self._upload_s,
        )
        with self._lock:
            self._uploads[upload.id] = upload
        return upload

    def add_url(self, film: Film, url: str) -> None:
        """Remember where a film that is lent right now came from."""
        with self._lock:
            self._urls[url] = film, self._clock() + self._fetched_s

    def uploads(self) -> list[Upload]:
        """Return all uploads, the newest first."""
        with self._lock:
            self._sweep()
            return sorted(self._uploads.values(), key=lambda upload: -upload.created_s)

    def delete_upload(self, id: str) -> bool:
        """Forget an upload; False where there is none. A film that is in use goes later."""
        with self._lock:
            upload = self._uploads.pop(id, None)
            for digest in self._idle():
                if upload is not None and self._films[digest] is upload.film:
                    self._drop(digest)
            self._sweep()
            return upload is not None

    @contextmanager
    def _lent(self, film: Film) -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                film.num_users -= 1
                film.used_s = self._clock()
                if film.info is None and not film.num_users and film.path.name in self._films:
                    self._drop(film.path.name)  # it could not be opened

    def _sweep(self) -> None:
        now_s = self._clock()
        self._uploads = {id: upload for id, upload in self._uploads.items() if upload.expires_s > now_s}
        self._urls = {url: (film, until_s) for url, (film, until_s) in self._urls.items() if until_s > now_s}
        for digest in self._idle():
            if self._films[digest].used_s + self._fetched_s <= now_s:
                self._drop(digest)

    def _make_room(self, num_bytes: int) -> None:
        self._sweep()
        weight = sum(film.num_bytes for film in self._films.values())
        for digest in sorted(self._idle(), key=lambda digest: self._films[digest].used_s):
            if weight + num_bytes <= self._max_bytes:
                break
            weight -= self._films[digest].num_bytes
            self._drop(digest)
        if weight + num_bytes > self._max_bytes:
            raise ApiError(507, "no room for further films; delete uploads or try later", code="storage_full")

    def _idle(self) -> list[str]:
        """Return the films that nobody uses and no upload names."""
        named = {id(upload.film) for upload in self._uploads.values()}
        return [digest for digest, film in self._films.items() if not film.num_users and id(film) not in named]

    def _drop(self, digest: str) -> None:
        film = self._films.pop(digest)
        film.path.unlink(missing_ok=True)
        self._urls = {url: known for url, known in self._urls.items() if known[0] is not film}


def _hash_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
