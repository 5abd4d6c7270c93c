"""A conversation that goes on: ask, ask again, begin anew, save. Works with any answerer. Imports without torch."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from kangaroo.chat.answerer import Answer, Sampling
from kangaroo.chat.transcript import read_conversation, read_video, write_conversation, write_video
from kangaroo.dialogue.conversation import Conversation, Role, Video
from kangaroo.dialogue.films import as_source
from kangaroo.errors import PromptError
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.subtitles import read_subtitles, subtitles_text

Ask = Callable[[Conversation, Sampling], Answer]
"""An answerer's method `answer`, with or without a memory."""

_FORMAT = "kangaroo-session-1"


class OpensSessions(ABC):
    """What answerers share: opening a session."""

    @property
    @abstractmethod
    def frame_sampler(self) -> FrameSampler:
        """The rule that picks the frames of a film that names no other."""

    @abstractmethod
    def remembering(self) -> Ask:
        """Return what one session asks with."""

    def chat(
        self,
        video: Any = None,
        *,
        sampler: FrameSampler | None = None,
        fps: float | None = None,
        num_frames: int | None = None,
        start_s: float | None = None,
        end_s: float | None = None,
        subtitles: str | Path | None = None,
        sampling: Sampling = Sampling(),
    ) -> "Session":
        """Open a session, about a film or about none.

        >>> session = answerer.chat("film.mp4", fps=2, start_s=60)

        Args:
            video: A path, URL, folder of frames, bytes, picture, array of frames, or `VideoSource`.
            sampler: The rule that picks frames; None for the model's own.
            fps: Frames a second instead of the rule's.
            num_frames: An exact number of frames instead.
            start_s: Where in the film to begin.
            end_s: Where to stop.
            subtitles: An SRT or WebVTT file; its lines and their times go before the first question.
            sampling: How tokens are picked unless a question says otherwise.

        Raises:
            OptionError: An option is impossible, or options contradict each other.
            VideoError: The film cannot be what it is given as, or the subtitles cannot be read.
        """
        if any(value is not None for value in (fps, num_frames, start_s, end_s)):
            rule = sampler or self.frame_sampler
            sampler = rule.with_options(fps=fps, num_frames=num_frames, start_s=start_s, end_s=end_s)
        words = (
            "" if subtitles is None else subtitles_text(read_subtitles(subtitles), start_s=start_s or 0.0, end_s=end_s)
        )
        films = () if video is None else (Video(as_source(video), sampler),)
        return Session(self.remembering(), *films, subtitles=words, sampling=sampling)


class Session:
    """One conversation and who answers it. `kangaroo.load("joey").chat("film.mp4")` makes one.

    A question enters the conversation together with its answer, once that has ended or was broken off. An answer of
    which nothing was said leaves no trace. Serves one caller at a time; asking breaks off an answer still under way.

    Attributes:
        conversation: What was said so far.
        last: The answer to the last question, None before the first.
        sampling: How tokens are picked unless a question says otherwise.
    """

    def __init__(self, ask: Ask, *films: Video, subtitles: str = "", sampling: Sampling = Sampling()) -> None:
        self.conversation = Conversation()
        self.last: Answer | None = None
        self.sampling = sampling
        self._ask = ask
        self._films = films
        self._subtitles = subtitles
        self._asked: tuple[Conversation, Sampling] | None = None

    def ask(self, question: str, *videos: Any, sampling: Sampling | None = None) -> Answer:
        """Ask, about what was shown so far and further films. Iterate the answer for its text.

        Raises:
            PromptError: The question is empty.
            KangarooError: A film cannot be opened, or the conversation does not fit.
        """
        self._break_off()
        films = [video if isinstance(video, Video) else Video(as_source(video)) for video in videos]
        if self.conversation.turns:
            asked = self.conversation.ask(question, *films)
        else:
            asked = self.conversation.ask(question, *self._films, *films, subtitles=self._subtitles)
        return self._answer(asked, sampling or self.sampling)

    def regenerate(self, *, sampling: Sampling | None = None) -> Answer:
        """Drop the last answer and ask its question again.

        Raises:
            PromptError: Nothing was asked yet.
        """
        self._break_off()
        if self._asked is None:
            raise PromptError("nothing was asked yet; ask first")
        asked, before = self._asked
        return self._answer(asked, sampling or before)

    def reset(self) -> None:
        """Forget what was said. The next question is about the session's film again."""
        self._break_off()
        self.conversation, self.last, self._asked = Conversation(), None, None

    def save(self, path: str | Path) -> None:
        """Write what was said, and which films were shown, as JSON.

        Raises:
            PromptError: A film was given as bytes or arrays, which have no name, or the file cannot be written.
        """
        self._break_off()
        saved = {
            "format": _FORMAT,
            # the films and subtitles that a reset returns to
            "films": [write_video(video) for video in self._films],
            "subtitles": self._subtitles,
            "conversation": write_conversation(self.conversation),
        }
        # half a character of a terminal's input is escaped as JSON escapes it, and before the file is touched
        content = (json.dumps(saved, ensure_ascii=False, indent=1) + "\n").encode(errors="backslashreplace")
        try:
            Path(path).expanduser().write_bytes(content)
        except (OSError, ValueError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or error
            raise PromptError(f"{path}: the conversation cannot be saved ({why})") from None

    @classmethod
    def restore(cls, answerer: OpensSessions, path: str | Path, *, sampling: Sampling = Sampling()) -> "Session":
        """Return a session that goes on where a saved one was. How tokens are picked is not saved.

        Raises:
            PromptError: The file cannot be read or is no saved session.
        """
        try:
            saved = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
        except OSError as error:
            raise PromptError(f"{path}: cannot be read ({error.strerror})") from None
        except ValueError:
            saved = None
        if not isinstance(saved, dict) or saved.get("format") != _FORMAT:
            raise PromptError(f"{path}: not a saved session; give a file that save wrote")
        try:
            films = [read_video(video) for video in saved["films"]]
            session = cls(answerer.remembering(), *films, subtitles=saved["subtitles"], sampling=sampling)
            session.conversation = read_conversation(saved["conversation"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PromptError(f"{path}: damaged ({type(error).__name__}: {error}); save the session again") from None
        turns = session.conversation.turns
        if turns and turns[-1].role is Role.ASSISTANT:
            session._asked = replace(session.conversation, turns=turns[:-1]), session.sampling
        return session

    def _answer(self, asked: Conversation, sampling: Sampling) -> Answer:
        answer = self._ask(asked, sampling)
        self.conversation = replace(asked, turns=asked.turns[:-1])
        self._asked, self.last = (asked, sampling), answer
        answer.stream = self._follow(answer, asked, answer.stream)
        return answer

    def _follow(self, answer: Answer, asked: Conversation, stream: Iterator[str]) -> Iterator[str]:
        whole = False
        try:
            yield from stream
            whole = True
        finally:
            if whole or answer.text:
                self.conversation = asked.reply(answer.text)

    def _break_off(self) -> None:
        if self.last is not None:
            self.last.close()
