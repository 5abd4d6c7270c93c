"""A conversation as plain values: turns of text, videos and images. Imports without torch.

`Conversation.from_messages` reads the message lists that transformers and OpenAI-compatible servers use.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from kangaroo.dialogue.films import as_source
from kangaroo.errors import PromptError
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource


class Role(StrEnum):
    """Who speaks a turn."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True)
class Text:
    """Words."""

    text: str


@dataclass(frozen=True)
class Video:
    """A film, with the sampler that picks its frames (None: the model's own). An image is a film of one frame."""

    source: VideoSource
    sampler: FrameSampler | None = None


Part = Text | Video


@dataclass(frozen=True)
class Turn:
    """What one side says: parts in the order in which the model reads them."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The turn's words, films left out."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True)
class Conversation:
    """Turns, oldest first: an optional system turn, then user and assistant in alternation.

    >>> Conversation().ask("What happens?", Video(VideoSource("film.mp4")))
    """

    turns: tuple[Turn, ...] = ()

    def __post_init__(self) -> None:
        expected = (Role.USER, Role.ASSISTANT)
        spoken = self.turns[1:] if self.turns and self.turns[0].role is Role.SYSTEM else self.turns
        for position, turn in enumerate(spoken):
            if turn.role is not expected[position % 2]:
                raise PromptError(
                    f"turn {position + 1} is spoken by {turn.role}, expected {expected[position % 2]}: "
                    "after an optional system turn, user and assistant alternate"
                )

    def ask(self, question: str, *videos: Video, subtitles: str = "") -> "Conversation":
        """Return this conversation with a user turn added: its films first, then the question.

        `subtitles` are lines as `kangaroo.video.subtitles.subtitles_text` gives them; they stand between the two.

        Raises:
            PromptError: The question is empty.
        """
        if not question.strip():
            raise PromptError("the question is empty; write what you want to know")
        spoken = (Text(f"Subtitles:\n{subtitles}\n\n"),) if subtitles.strip() else ()
        return replace(self, turns=(*self.turns, Turn(Role.USER, (*videos, *spoken, Text(question)))))

    def reply(self, answer: str) -> "Conversation":
        """Return this conversation with an assistant turn added."""
        return replace(self, turns=(*self.turns, Turn(Role.ASSISTANT, (Text(answer),))))

    @property
    def videos(self) -> tuple[Video, ...]:
        """Every film in the order in which the model reads them."""
        return tuple(part for turn in self.turns for part in turn.parts if isinstance(part, Video))

    @classmethod
    def from_messages(cls, messages: Iterable[Any]) -> "Conversation":
        """Read messages as transformers and OpenAI write them: `{"role": ..., "content": text or parts}`.

        Parts: `{"type": "text", "text"}`, `{"type": "video" | "image", "video" | "image" | "url" | "path"}`,
        `{"type": "video_url" | "image_url", "video_url" | "image_url": {"url"}}`. Besides paths and URLs a part
        takes whatever `as_source` does. It may carry `"sampler"` (a `FrameSampler` or its `to_dict`), and
        `"times_s"` where it holds an array of several frames.

        Raises:
            PromptError: A role or part is unknown, or the order of turns is wrong.
            VideoError: A part holds something that cannot be a film.
        """
        return cls(tuple(_turn(message, position) for position, message in enumerate(messages, start=1)))


def _turn(message: Any, position: int) -> Turn:
    if not isinstance(message, Mapping):
        raise PromptError(f"message {position} is no object: {message!r:.60}; give {{'role', 'content'}}")
    try:
        role = Role(message.get("role", ""))
    except ValueError:
        known = ", ".join(Role)
        raise PromptError(f"message {position} has role {message.get('role')!r}; known roles: {known}") from None
    content = message.get("content")
    if isinstance(content, str):
        return Turn(role, (Text(content),))
    if not isinstance(content, Sequence):
        raise PromptError(f"message {position} has no content; give a text or a list of parts")
    return Turn(role, tuple(_part(part, position) for part in content))


def _part(part: Any, position: int) -> Part:
    if not isinstance(part, Mapping):
        raise PromptError(f"message {position} has a part that is no object: {part!r:.60}; give {{'type': ...}}")
    kind = part.get("type")
    if kind == "text":
        if not isinstance(part.get("text"), str):
            raise PromptError(f"message {position} has a text part without text; give it as {{'type', 'text'}}")
        return Text(part["text"])
    if kind not in ("video", "image", "video_url", "image_url"):
        raise PromptError(f"message {position} has a part of type {kind!r}; known: text, video, image, *_url")
    value = next((part[key] for key in (kind, "url", "path") if part.get(key) is not None), None)
    if isinstance(value, Mapping):
        value = value.get("url")
    if value is None:
        raise PromptError(f"message {position} has a part of type {kind!r} that names no file, URL or frames")
    sampler = part.get("sampler")
    return Video(
        as_source(value, part.get("times_s")),
        FrameSampler.from_dict(sampler) if isinstance(sampler, Mapping) else sampler,
    )
