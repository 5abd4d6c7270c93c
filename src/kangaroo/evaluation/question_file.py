"""Questions about films as JSON Lines, one a line: `{"video": "films/1.mp4", "question": "What happens?"}`.

Read strictly, but line by line: one that cannot be asked says why and keeps its place. Imports without torch.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kangaroo.chat.answerer import Sampling
from kangaroo.data.layout import parse, read_object, read_text
from kangaroo.data.record import DataError
from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.errors import KangarooError, OptionError, VideoError
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource
from kangaroo.video.subtitles import read_subtitles, subtitles_text

_NUMBERS = ("fps", "frames", "start_s", "end_s", "max_new_tokens")
_URL = re.compile(r"[a-z]+://|data:", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Look:
    """Which frames of a film are looked at, and how long an answer may be; None leaves frames to the model's rule.

    Raises:
        OptionError: A value is impossible, or a rate and a number of frames are both given.
    """

    fps: float | None = None
    frames: int | None = None
    start_s: float | None = None
    end_s: float | None = None
    max_new_tokens: int = 512

    def __post_init__(self) -> None:
        self.sampler(FrameSampler())
        Sampling(max_new_tokens=self.max_new_tokens)

    def sampler(self, rule: FrameSampler) -> FrameSampler:
        """Return the model's own rule with what is asked for."""
        return rule.with_options(fps=self.fps, num_frames=self.frames, start_s=self.start_s, end_s=self.end_s)


@dataclass(frozen=True, kw_only=True)
class FilmQuestion:
    """One question. `video` and `subtitles` are as written in the file; no video, no film is shown."""

    video: str | None
    question: str
    look: Look
    subtitles: str | None

    def source(self, folder: Path) -> VideoSource | None:
        """Return the film; paths count from `folder`."""
        if self.video is None:
            return None
        value = self.video if _URL.match(self.video) else folder / self.video
        return VideoSource(value, label=None if self.video[:5].lower() == "data:" else self.video)

    def conversation(self, folder: Path, rule: FrameSampler) -> Conversation:
        """Return the question with its film.

        Raises:
            VideoError: The subtitles cannot be read.
        """
        words = ""
        if self.subtitles is not None:
            path = folder / self.subtitles
            if path.exists() and not path.is_file():
                raise VideoError(f"{self.subtitles}: the subtitles are no file")  # a pipe or device might never end
            lines = read_subtitles(path)
            words = subtitles_text(lines, start_s=self.look.start_s or 0.0, end_s=self.look.end_s)
        source = self.source(folder)
        films = () if source is None else (Video(source, self.look.sampler(rule)),)
        return Conversation().ask(self.question, *films, subtitles=words)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the file: its number, its id (the number where it gives none), and a question or what is wrong."""

    number: int
    id: str | int
    asked: FilmQuestion | None = None
    fault: str = ""


def read_questions(path: Path, *, default: Look = Look()) -> list[Line]:
    """Return every line that is not empty; `default` holds what lines do not say.

    Raises:
        OptionError: The file cannot be read, or not one of its lines can be asked.
    """
    try:
        texts = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise OptionError(f"{path}: the questions cannot be read ({error.strerror})") from None
    lines = list(_once(_line(number, text, default) for number, text in enumerate(texts, start=1) if text.strip()))
    if all(line.asked is None for line in lines):
        first = f"line {lines[0].number}: {lines[0].fault}" if lines else "it is empty"
        raise OptionError(f"{path}: no line can be asked; {first}")
    return lines


def _once(lines: Iterator[Line]) -> Iterator[Line]:
    """Leave the question out of lines whose id another has."""
    seen: dict[str, int] = {}
    for line in lines:
        before = seen.setdefault(str(line.id), line.number)
        if before == line.number:
            yield line
        else:
            fault = line.fault or f"its id {line.id!r:.60} is that of line {before}; give each line its own"
            yield replace(line, asked=None, fault=fault)


def _line(number: int, text: bytes, default: Look) -> Line:
    id: str | int = number
    try:
        values = parse(text)
        if isinstance(values, Mapping) and (given := values.get("id")) is not None:
            if isinstance(given, bool) or not isinstance(given, str | int):
                raise DataError(f"id is {given!r:.60}; give a text or a whole number")
            id = given
        return Line(number=number, id=id, asked=_question(values, default))
    except KangarooError as error:
        return Line(number=number, id=id, fault=str(error))


def _question(values: Any, default: Look) -> FilmQuestion:
    read_object(values, "the line", required=("video", "question"), optional=("id", "subtitles", *_NUMBERS))
    texts = {
        name: None if values.get(name) is None else read_text(values[name], name) for name in ("video", "subtitles")
    }
    question = read_text(values["question"], "question")
    if not question.strip():
        raise DataError("the question is empty; write what you want to know")
    if texts["video"] == "":
        raise DataError("video is empty; name a film, or write null to show none")
    own = {name: _number(name, values[name]) for name in _NUMBERS if values.get(name) is not None}
    if "fps" in own or "frames" in own:
        default = replace(default, fps=None, frames=None)
    return FilmQuestion(question=question, look=replace(default, **own), **texts)


def _number(name: str, value: Any) -> Any:
    is_whole = name in ("frames", "max_new_tokens")
    if isinstance(value, bool) or not isinstance(value, int if is_whole else int | float):
        raise DataError(f"{name} is {value!r:.60}; give {'a whole number' if is_whole else 'a number'}")
    try:
        return value if is_whole else float(value)
    except OverflowError:
        raise DataError(f"{name} is beyond any film") from None
