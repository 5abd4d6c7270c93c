"""Ask questions about long videos, on a GPU or on a plain CPU.

`kangaroo.load("joey").chat("film.mp4")` opens a conversation; everything heavy waits until it is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kangaroo.chat.answerer import Answer, Answerer, Sampling
    from kangaroo.chat.load import load
    from kangaroo.chat.remote import RemoteAnswerer
    from kangaroo.chat.session import Session
    from kangaroo.dialogue.conversation import Conversation
    from kangaroo.errors import KangarooError
    from kangaroo.video.frames import Frames
    from kangaroo.video.sampler import FrameSampler

__version__ = "0.1.0"

_HOMES = {
    "Answer": "kangaroo.chat.answerer",
    "Answerer": "kangaroo.chat.answerer",
    "Conversation": "kangaroo.dialogue.conversation",
    "FrameSampler": "kangaroo.video.sampler",
    "Frames": "kangaroo.video.frames",
    "KangarooError": "kangaroo.errors",
    "RemoteAnswerer": "kangaroo.chat.remote",
    "Sampling": "kangaroo.chat.answerer",
    "Session": "kangaroo.chat.session",
    "load": "kangaroo.chat.load",
}

__all__ = [
    "Answer",
    "Answerer",
    "Conversation",
    "FrameSampler",
    "Frames",
    "KangarooError",
    "RemoteAnswerer",
    "Sampling",
    "Session",
    "load",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its home the first time it is used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'kangaroo' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
