"""Open each film of a conversation once, and have it at hand while it is looked at. Imports without torch."""

from contextlib import ExitStack
from dataclasses import dataclass, replace

from kangaroo.chat.store import BoundedStore
from kangaroo.dialogue.conversation import Conversation, Part, Turn, Video
from kangaroo.video.source import VideoInfo, VideoSource

_MAX_OPENED = 4096


@dataclass(frozen=True)
class OpenedSource(VideoSource):
    """A film whose description is at hand: opening it again does nothing."""

    info: VideoInfo | None = None

    def open(self) -> VideoInfo:
        """Return the description."""
        assert self.info is not None, "made with its description"
        return self.info


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A conversation whose films are `OpenedSource`s, and what tells them apart.

    What had to be fetched stays here until `lent` is closed; a film that was described before is fetched only if
    it is decoded again.
    """

    conversation: Conversation
    fingerprints: tuple[str, ...]
    lent: ExitStack


class FilmOpener:
    """Opens films and remembers their descriptions. Safe to call from several threads."""

    def __init__(self) -> None:
        self._infos: BoundedStore[VideoInfo] = BoundedStore(max_bytes=_MAX_OPENED)

    def open(self, conversation: Conversation) -> Opened:
        """Open the films of a conversation.

        Raises:
            VideoError: A film is missing or cannot be read.
        """
        fingerprints: list[str] = []
        with ExitStack() as stack:
            turns = tuple(self._turn(turn, fingerprints, stack) for turn in conversation.turns)
            return Opened(
                conversation=replace(conversation, turns=turns),
                fingerprints=tuple(fingerprints),
                lent=stack.pop_all(),
            )

    def _turn(self, turn: Turn, fingerprints: list[str], stack: ExitStack) -> Turn:
        parts: list[Part] = []
        for part in turn.parts:
            if isinstance(part, Video):
                fingerprints.append(part.source.fingerprint())
                parts.append(replace(part, source=self._source(part.source, fingerprints[-1], stack)))
            else:
                parts.append(part)
        return replace(turn, parts=tuple(parts))

    def _source(self, source: VideoSource, fingerprint: str, stack: ExitStack) -> OpenedSource:
        info = self._infos.get(fingerprint)
        if info is None:
            source = stack.enter_context(source.fetched())
            info = source.open()
            self._infos.put(fingerprint, info, num_bytes=1)
        return OpenedSource(source.value, source.folder_fps, source.label, info)
