"""Conversations as JSON values, films by reference. Imports without torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kangaroo.dialogue.conversation import Conversation, Part, Role, Text, Turn, Video
from kangaroo.errors import PromptError
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource


def write_conversation(conversation: Conversation) -> list[dict[str, Any]]:
    """Return turns as plain values, ready for JSON.

    Raises:
        PromptError: A film was given as bytes or arrays.
    """
    return [{"role": str(turn.role), "parts": [_write(part) for part in turn.parts]} for turn in conversation.turns]


def read_conversation(turns: Sequence[Mapping[str, Any]]) -> Conversation:
    """Read what `write_conversation` gave.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: The values are not those of a conversation.
    """
    return Conversation(tuple(Turn(Role(turn["role"]), tuple(map(_read, turn["parts"]))) for turn in turns))


def write_video(video: Video) -> dict[str, Any]:
    """Return a film's reference as plain values. Paths become absolute.

    Raises:
        PromptError: The film was given as bytes or arrays.
    """
    value = video.source.value
    if not isinstance(value, str | Path):
        name = video.source.name
        raise PromptError(f"{name}: a film given as bytes or arrays cannot be saved; open it by path or URL")
    is_url = isinstance(value, str) and ("://" in value or value[:5].lower() == "data:")
    return {
        "video": value if is_url else str(Path(value).expanduser().absolute()),
        "folder_fps": video.source.folder_fps,
        "label": video.source.label,
        "sampler": video.sampler.to_dict() if video.sampler is not None else None,
    }


def read_video(values: Mapping[str, Any]) -> Video:
    """Read what `write_video` gave.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: The values are not those of a film.
    """
    source = VideoSource(_text(values["video"]), values["folder_fps"], values["label"])
    return Video(source, FrameSampler.from_dict(values["sampler"]) if values["sampler"] is not None else None)


def _write(part: Part) -> dict[str, Any]:
    return {"text": part.text} if isinstance(part, Text) else write_video(part)


def _read(part: Mapping[str, Any]) -> Part:
    return Text(_text(part["text"])) if "text" in part else read_video(part)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value
