"""One conversation on disk with its media and where it comes from. Imports without torch.

In memory a turn holds its media in their places, so the two cannot disagree; `layout.py` reads and writes JSON.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import PurePosixPath

from kangaroo.dialogue.conversation import Conversation, Role, Text, Turn, Video
from kangaroo.errors import KangarooError, OptionError
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

LEAST_WEIGHT, MOST_WEIGHT = 1e-6, 1e6  # a float32 loss keeps sums over such weights apart from 0 and infinity


class DataError(KangarooError, ValueError):
    """Training data is broken or cannot be read. The message names the file and the line or member."""


class Kind(StrEnum):
    """What a medium is."""

    VIDEO = "video"
    IMAGE = "image"


@dataclass(frozen=True, kw_only=True)
class Medium:
    """A film or image beside the records, or in the same sample of a shard.

    Attributes:
        kind: Whether it moves.
        path: Relative to the folder of the records' file, with forward slashes; in a shard the member's name.
        start_s: Start of the clip that the conversation is about, None for the film's start.
        end_s: End of that clip, None for the film's end.
        sampler: Picks the frames, None for what the training stage picks. Holds no clip of its own.

    Raises:
        DataError: The path leaves the folder, or the clip is impossible.
    """

    kind: Kind
    path: str
    start_s: float | None = None
    end_s: float | None = None
    sampler: FrameSampler | None = None

    def __post_init__(self) -> None:
        _check_path(self.path)
        has_clip = self.start_s is not None or self.end_s is not None
        if self.kind is Kind.IMAGE and (has_clip or self.sampler is not None):
            raise DataError(f"{self.path} is an image, which has neither clip nor sampler; leave both out")
        if self.sampler is not None and (self.sampler.start_s is not None or self.sampler.end_s is not None):
            raise DataError(f"{self.path}: its sampler holds a clip; give start_s and end_s beside the path")
        try:
            self.sampled_by(FrameSampler())
        except OptionError as error:
            raise DataError(f"{self.path}: {error}") from None

    def sampled_by(self, default: FrameSampler) -> FrameSampler:
        """Return the rule that picks this medium's frames, where the stage's is `default`."""
        return replace(self.sampler or default, start_s=self.start_s, end_s=self.end_s)


@dataclass(frozen=True)
class Said:
    """One turn: text and media in the order in which the model reads them."""

    role: Role
    parts: tuple[str | Medium, ...]


@dataclass(frozen=True, kw_only=True)
class Record:
    """A conversation that ends with an answer, and its provenance.

    >>> Record(
    ...     id="film-7", source="playground", language="en", licence="CC0-1.0", task="describe",
    ...     turns=(
    ...         Said(Role.USER, (Medium(kind=Kind.VIDEO, path="films/7.mp4"), "What happens?")),
    ...         Said(Role.ASSISTANT, ("A red ball jumps.",)),
    ...     ),
    ... )

    Attributes:
        id: Names the record; unique in its folder.
        source: Data set or site that it comes from.
        language: Of the conversation: en, zh, ...
        licence: Of text and media; say "unknown" where it is.
        task: What is asked for: caption, describe, choice, ...
        turns: After an optional system turn, user and assistant in alternation; the assistant has the last word.
        weight: What its answers count in training beside those of other records; from 1e-6 to 1e6.

    Raises:
        DataError: A field is empty, the weight is out of range, or the turns are in a wrong order, empty, or show media
            where none can be.
    """

    id: str
    source: str
    language: str
    licence: str
    task: str
    turns: tuple[Said, ...]
    weight: float = 1.0

    def __post_init__(self) -> None:
        for name in PROVENANCE:
            if not getattr(self, name).strip():
                raise DataError(f"{name} is empty; say what it is, or unknown")
        if not LEAST_WEIGHT <= self.weight <= MOST_WEIGHT:
            within = f"{LEAST_WEIGHT:g} to {MOST_WEIGHT:g}"
            raise DataError(f"the weight is {self.weight:g}; give one from {within}, or leave the record out")
        _check_turns(self.turns)

    @property
    def media(self) -> tuple[Medium, ...]:
        """Every medium, in the order in which the model reads them."""
        return tuple(part for turn in self.turns for part in turn.parts if isinstance(part, Medium))

    def conversation(self, find: Callable[[Medium], VideoSource], sampler: FrameSampler) -> Conversation:
        """Return what the processor takes.

        Args:
            find: Says where a medium is: the record's `RecordSource` knows.
            sampler: Picks the frames of media that name no sampler.
        """

        def as_part(part: str | Medium) -> Text | Video:
            return Text(part) if isinstance(part, str) else Video(find(part), part.sampled_by(sampler))

        return Conversation(tuple(Turn(turn.role, tuple(map(as_part, turn.parts))) for turn in self.turns))


PROVENANCE = ("id", "source", "language", "licence", "task")


def _check_path(path: str) -> None:
    parts = PurePosixPath(path).parts
    outside = path.startswith("/") or ".." in parts or "\\" in path or ":" in path.partition("/")[0]
    if not parts or outside or not path.isprintable():
        raise DataError(f"the path {path!r:.120} does not stay in the records' folder; give a relative one below it")


def _check_turns(turns: tuple[Said, ...]) -> None:
    first = 2 if turns and turns[0].role is Role.SYSTEM else 1
    for number, turn in enumerate(turns[first - 1 :], start=first):
        expected = (Role.USER, Role.ASSISTANT)[(number - first) % 2]
        if turn.role is not expected:
            raise DataError(f"turn {number} is the {turn.role}'s, expected the {expected}'s; they alternate")
    if not turns or turns[-1].role is not Role.ASSISTANT:
        raise DataError("the last turn is not the assistant's: there is no answer to learn; add it")
    for number, turn in enumerate(turns, start=1):
        words = "".join(part for part in turn.parts if isinstance(part, str))
        shows = any(isinstance(part, Medium) for part in turn.parts)
        if shows and turn.role is not Role.USER:
            raise DataError(f"turn {number}, the {turn.role}'s, shows a medium; only the user shows media")
        if not words.strip() and not shows:
            raise DataError(f"turn {number}, the {turn.role}'s, is empty; write it or leave it out")
