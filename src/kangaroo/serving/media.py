"""Messages become a `Conversation`: every film that strangers name is brought to a file, measured and held to limits.

Fetching, opening and decoding happen in processes of their own; here, files are only written and hashed.
"""

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from time import monotonic
from urllib.parse import SplitResult, unquote, urlsplit

from kangaroo.chat.store import BoundedStore
from kangaroo.dialogue.conversation import Conversation, Role, Text, Turn, Video
from kangaroo.dialogue.conversation import Part as SpokenPart
from kangaroo.errors import VideoError
from kangaroo.serving.errors import ApiError
from kangaroo.serving.schema import (
    CompletionRequest,
    FramesPart,
    ImagePart,
    Part,
    TextPart,
)
from kangaroo.serving.settings import Settings
from kangaroo.serving.shelf import Film, Shelf
from kangaroo.video.decode import join_pictures
from kangaroo.video.errands import Errands, Workers
from kangaroo.video.fetch import PublicHosts, decode_data_url, download
from kangaroo.video.isolate import Limits
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

_FETCHERS = 4
_FETCHER_BYTES = 2 << 30


class Media:
    """What all requests share: the shelf, the decoders, the fetchers."""

    def __init__(self, settings: Settings, shelf: Shelf) -> None:
        self.settings, self.shelf = settings, shelf
        self.decoders = Workers(settings.decoding, num_workers=settings.num_decoders)
        self.fetchers = Workers(Limits(time_s=settings.fetch_s, memory_bytes=_FETCHER_BYTES), num_workers=_FETCHERS)
        self.joined: BoundedStore[VideoSource] = BoundedStore(max_size=2 * settings.max_frame_bytes)

    def close(self) -> None:
        """End all processes."""
        self.decoders.close()
        self.fetchers.close()


@dataclass(kw_only=True, eq=False)
class Reading:
    """The films of one request. `cancel` ends what is under way, from any thread."""

    media: Media
    _lent: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self._decoding, self._fetching = Errands(self.media.decoders), Errands(self.media.fetchers)
        self._fetching_s = self.media.settings.fetch_s

    def __enter__(self) -> "Reading":
        return self

    def __exit__(self, *_: object) -> None:
        self._lent.close()

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody waits for the films any more."""
        return self._decoding.is_cancelled

    def cancel(self) -> None:
        """Nobody waits for the films any more."""
        self._decoding.cancel()
        self._fetching.cancel()

    def conversation(self, request: CompletionRequest, rule: FrameSampler) -> Conversation:
        """Return what a request says. Its films stay on disk until this reading is left.

        Raises:
            ApiError: Something that is named is not there, not allowed or too much.
            KangarooError: A film cannot be fetched or opened, or the turns are in no order.
        """
        _check_amount(request, self.media.settings)
        sampler = request.sampler(rule)
        turns = []
        for at, message in enumerate(request.messages):
            role = Role.SYSTEM if message.role == "developer" else Role(message.role)
            if isinstance(message.content, str):
                turns.append(Turn(role, (Text(message.content),)))
                continue
            where = f"messages[{at}].content"
            parts = tuple(self._part(part, sampler, f"{where}[{n}]") for n, part in enumerate(message.content))
            if role is not Role.USER and any(isinstance(part, Video) for part in parts):
                raise ApiError(400, f"{where}: only a user shows films and pictures", param=where)
            turns.append(Turn(role, parts))
        return Conversation(tuple(turns))

    def source(self, film: Film, label: str) -> VideoSource:
        """Return a film of the shelf, opened and decoded elsewhere.

        Raises:
            VideoError: It cannot be opened, or goes past a limit.
        """
        source = VideoSource(film.path, label=label, apart=self._decoding)
        if film.info is None:
            film.info = source.open()
        self._check_film(source, film)
        return source

    def _part(self, part: Part, sampler: FrameSampler | None, where: str) -> SpokenPart:
        if isinstance(part, TextPart):
            return Text(part.text)
        if isinstance(part, FramesPart):
            return self._frames(part, sampler, where)
        name, url = (part.type, part.image_url if isinstance(part, ImagePart) else part.video_url)
        with told_at(f"{where}.{name}.url"):
            source, film = self._named(url.url)
            if isinstance(part, ImagePart) and not (film.info and film.info.is_image):
                raise VideoError(f"{source.name}: a film, not a picture; send it as video_url")
        return Video(source, sampler)

    def _frames(self, part: FramesPart, sampler: FrameSampler | None, where: str) -> Video:
        pictures, times_s = [], [frame.time_s for frame in part.frames]
        for at, frame in enumerate(part.frames):
            with told_at(f"{where}.frames[{at}].url"):
                pictures.append(self._named(frame.url)[0])
        with told_at(f"{where}.frames"):
            if any(one >= other for one, other in pairwise(times_s)):
                raise VideoError("the times of the frames do not rise")
            key = tuple(str(picture.value) for picture in pictures), tuple(times_s)
            joined = self.media.joined.get(key)
            if joined is None:
                bare = [VideoSource(picture.value, label=picture.name) for picture in pictures]
                most = self.media.settings.max_frame_bytes
                name = f"<{len(bare)} frames>"
                joined = self._decoding.call(join_pictures, bare, times_s, max_bytes=most, film=name, name=name)
                self.media.joined.put(key, joined, size=joined.value.pixels.nbytes)  # type: ignore[union-attr]
        # who picked the frames wants them all seen, unless the request says otherwise
        return Video(joined, sampler or FrameSampler(num_frames=len(pictures)))

    def _named(self, url: str) -> tuple[VideoSource, Film]:
        scheme = url.partition(":")[0].lower()
        if scheme in ("http", "https"):
            film, label = self._fetched(url)
        elif scheme == "data":
            film, label = self._written(decode_data_url(url)), f"<data URL of {len(url)} characters>"
        elif scheme == "file":
            film, label = self._allowed(url), url[:120]
        elif url.startswith("file-"):
            film, label = self._uploaded(url), url[:60]
        else:
            raise VideoError(f"{url[:60]!r} is no http, https, data or file URL and no id of an uploaded file")
        return self.source(film, label), film

    def _uploaded(self, id: str) -> Film:
        film = self._lent.enter_context(self.media.shelf.lend(upload=id))
        if film is None:
            raise ApiError(404, f"no file has the id {id[:60]!r}; it may have expired", code="file_not_found")
        return film

    def _fetched(self, url: str) -> tuple[Film, str]:
        settings, shelf = self.media.settings, self.media.shelf
        label = _split(url)._replace(query="", fragment="").geturl().rpartition("@")[2][:120]
        film = self._lent.enter_context(shelf.lend(url=url))
        if film is None:
            began_s = monotonic()
            if self._fetching_s <= 0:
                raise VideoError(f"{label}: fetching the request's films took longer than {settings.fetch_s:g} s")
            path = shelf.new_path()
            with _gone_unless_kept(path):
                self._fetching.call(
                    download,
                    url,
                    path,
                    max_bytes=settings.max_upload_bytes,
                    total_timeout_s=self._fetching_s,
                    hosts=PublicHosts(trusted=settings.trusted_hosts),
                    name=label,
                    doing="fetching it",
                )
                film = self._lent.enter_context(shelf.keep(path))
            shelf.add_url(film, url)
            self._fetching_s -= monotonic() - began_s
        return film, label

    def _written(self, content: bytes) -> Film:
        path = self.media.shelf.new_path()
        with _gone_unless_kept(path):
            path.write_bytes(content)
            return self._lent.enter_context(self.media.shelf.keep(path))

    def _allowed(self, url: str) -> Film:
        folder = self.media.settings.folder
        refused = ApiError(403, "no film here may be read by that file URL", code="file_not_allowed")
        parts = _split(url)
        if folder is None or parts.netloc not in ("", "localhost") or "\0" in unquote(parts.path):
            raise refused
        try:
            # resolved first: neither dots nor links lead out of the folder
            path = Path(unquote(parts.path)).resolve(strict=True)
        except (OSError, RuntimeError):
            raise refused from None
        if not (path.is_relative_to(folder.resolve()) and path.is_file()):
            raise refused
        state = path.stat()
        return Film(path=path, num_bytes=state.st_size, used_s=state.st_mtime)

    def _check_film(self, source: VideoSource, film: Film) -> None:
        settings, info = self.media.settings, film.info
        assert info is not None, "it was opened"
        if info.duration_s > settings.max_film_s:
            raise VideoError(
                f"{source.name}: lasts {info.duration_s:.0f} s, more than the {settings.max_film_s:g} s taken here"
            )
        if info.width_px * info.height_px > settings.max_picture_px:
            raise VideoError(
                f"{source.name}: {info.width_px} x {info.height_px} px, more than the {settings.max_picture_px} "
                "pixels taken here; make it smaller"
            )


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise VideoError(f"{url[:60]!r} is no URL ({error})") from None


def _check_amount(request: CompletionRequest, settings: Settings) -> None:
    num_chars, num_films = 0, 0
    for message in request.messages:
        parts: Sequence[Part] = message.content if not isinstance(message.content, str) else ()
        num_chars += len(message.content) if isinstance(message.content, str) else 0
        num_chars += sum(len(part.text) for part in parts if isinstance(part, TextPart))
        num_films += sum(not isinstance(part, TextPart) for part in parts)
        for part in parts:
            if isinstance(part, FramesPart) and len(part.frames) > settings.max_frames:
                raise ApiError(
                    400, f"a film of {len(part.frames)} frames; at most {settings.max_frames}", param="messages"
                )
    if num_chars > settings.max_text_chars:
        raise ApiError(
            400,
            f"{num_chars} characters of text; at most {settings.max_text_chars}",
            code="context_length_exceeded",
            param="messages",
        )
    if num_films > settings.max_films:
        raise ApiError(400, f"{num_films} films and pictures; at most {settings.max_films}", param="messages")


@contextmanager
def told_at(param: str) -> Iterator[None]:
    """Name the place in the request in whatever is refused inside."""
    try:
        yield
    except VideoError as error:
        raise ApiError(400, str(error), code="video_error", param=param) from error
    except ApiError as error:
        error.param = error.param or param
        raise


@contextmanager
def _gone_unless_kept(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
