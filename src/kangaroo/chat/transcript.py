"""Conversations as JSON values, films by reference. Imports without torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kangaroo.dialogue.conversation import Conversation, Part, Role, Text, Turn, Video
from kangaroo.errors import PromptError
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource


def write_conversation(conversation: Conversation) -> list[dict[str, Any]]:
    """Return turns as plain values, ready for JSON. Paths become absolute.

    Raises:
        PromptError: A film was given as bytes or arrays.
    """
    return [{"role": str(turn.role), "parts": [_write(part) for part in turn.parts]} for turn in conversation.turns]


def read_conversation(turns: Sequence[Mapping[str, Any]]) -> Conversation:
    """Read what `write_conversation` gave.

    Raises:
        PromptError: The turns are in no possible order.
        KeyError, TypeError, AttributeError: The values are not those of a conversation.
    """
    return Conversation(tuple(Turn(Role(turn["role"]), tuple(map(_read, turn["parts"]))) for turn in turns))


def _write(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"text": part.text}
    source = part.source
    if not isinstance(source.value, str | Path):
        raise PromptError(f"{source.name}: a film given as bytes or arrays cannot be saved; open it by path or URL")
    is_file = isinstance(source.value, Path) or not (source.is_url or ":" in source.value[:8])
    return {
        "video": str(Path(source.value).expanduser().absolute()) if is_file else source.value,
        "folder_fps": source.folder_fps,
        "label": source.label,
        "sampler": part.sampler.to_dict() if part.sampler is not None else None,
    }


def _read(part: Mapping[str, Any]) -> Part:
    if "text" in part:
        return Text(part["text"])
    source = VideoSource(part["video"], part["folder_fps"], part["label"])
    return Video(source, FrameSampler.from_dict(part["sampler"]) if part["sampler"] is not None else None)
