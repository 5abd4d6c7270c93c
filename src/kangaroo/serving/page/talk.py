"""The rounds of one conversation as a page shows them: asked, answered while others look on, stopped, asked again.

An answer is made on a thread of its own, so that whoever shows it may come and go: a page that is drawn anew finds it
where it is. One that nobody watches any more is stopped. Knows no web; imports without torch.
"""

import logging
import threading
from collections.abc import Callable
from enum import StrEnum
from time import monotonic

from kangaroo.chat.answerer import Answer, FinishReason, Sampling
from kangaroo.chat.session import Ask
from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.errors import KangarooError, PromptError
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

UNWATCHED_S = 30.0
_GRACE_S = 2.0  # how long a new answer waits for one that was stopped to let go of what the model remembers
_UNSEEN_S = 2.0  # how long it waits for somebody to watch

_log = logging.getLogger(__name__)


class Status(StrEnum):
    """Where a round is."""

    WAITING = "waiting"
    SPEAKING = "speaking"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class Round:
    """A question and what came of it. Where it failed or was stopped, what was said until then stays.

    Attributes:
        question: What was asked.
        sampler: The rule that picked the frames.
        sampling: How words were picked.
        error: What went wrong, in one line.
    """

    def __init__(
        self, question: str, sampler: FrameSampler, sampling: Sampling, *, before: Answer | None = None
    ) -> None:
        self.question = question
        self.sampler = sampler
        self.sampling = sampling
        self.error: str | None = None
        self._answer: Answer | None = None
        self._before = before
        self._stopped = threading.Event()
        self._over = threading.Event()
        self._news = threading.Event()
        self._watched = threading.Event()
        self._watched_s = monotonic()

    @property
    def answer(self) -> Answer | None:
        """The answer as far as it came, None before anything is known of it.

        Where a question that was asked again ends without a word, the answer from before.
        """
        wordless = self._answer is None or not self._answer.text
        return self._before if wordless and self._before is not None and not self.is_running else self._answer

    @property
    def text(self) -> str:
        """What was said so far."""
        return "" if self.answer is None else self.answer.text

    @property
    def status(self) -> Status:
        """Where the round is."""
        if self.error is not None:
            return Status.FAILED
        if self._stopped.is_set():
            return Status.STOPPED
        if self._over.is_set():
            return Status.DONE
        return Status.SPEAKING if self._answer is not None and self._answer.text else Status.WAITING

    @property
    def is_running(self) -> bool:
        """Whether more may come."""
        return self.status in (Status.WAITING, Status.SPEAKING)

    def wait(self, timeout_s: float) -> bool:
        """Watch: return once more was said, it is over, or the time is; say whether more may come."""
        self._watched_s = monotonic()
        self._watched.set()
        self._news.wait(timeout_s)
        self._news.clear()
        return self.is_running

    def stop(self) -> None:
        """End the answer here. One that is over is left as it is."""
        if self.is_running:
            self._stopped.set()
            self._watched.set()
            self._news.set()

    def tell(self, begin: Callable[[], Answer]) -> None:
        """Have the answer made, on this thread, until it ends or is stopped."""
        try:
            # the question shall be on the page before the work begins, which leaves little time for anything else
            self._watched.wait(_UNSEEN_S)
            if self._stopped.is_set():
                return
            self._answer = begin()
            for _ in self._answer:
                self._news.set()
                if monotonic() - self._watched_s > UNWATCHED_S:
                    self.stop()
                if self._stopped.is_set():
                    break
            self._answer.close()
        except KangarooError as error:
            self.error = " ".join(str(error).split())
        except Exception as error:
            _log.exception("an answer failed")
            self.error = f"{type(error).__name__}; the log of the page says more"
        finally:
            self._over.set()
            self._news.set()


class Talk:
    """One film's conversation. Its rounds are all there is: what the model reads is made from them each time.

    >>> talk = Talk(VideoSource("film.mp4"), answerer.remembering)
    >>> talk.ask("What happens?", FrameSampler(), Sampling())

    Args:
        source: The film.
        remembering: Gives what one conversation asks with, as the answerers' method of this name.
    """

    def __init__(self, source: VideoSource, remembering: Callable[[], Ask]) -> None:
        self.source = source
        self.rounds: list[Round] = []
        self._remembering = remembering
        self._ask = remembering()
        self._thread: threading.Thread | None = None

    @property
    def last(self) -> Round | None:
        """The newest round."""
        return self.rounds[-1] if self.rounds else None

    @property
    def is_running(self) -> bool:
        """Whether an answer is under way."""
        return self.last is not None and self.last.is_running

    def ask(self, question: str, sampler: FrameSampler, sampling: Sampling) -> Round:
        """Ask, and return at once. An answer that is under way ends there.

        Frames are those of `sampler` for the whole conversation: the film is looked at anew where it changed.

        Raises:
            PromptError: The question is empty.
        """
        if not question.strip():
            raise PromptError("the question is empty; write what you want to know")
        self.stop()
        return self._begin(Round(question.strip(), sampler, sampling))

    def regenerate(self, sampler: FrameSampler, sampling: Sampling) -> Round:
        """Ask the last question again. Its answer is dropped once the new one says something.

        Raises:
            PromptError: Nothing was asked yet.
        """
        if self.last is None:
            raise PromptError("nothing was asked yet; ask first")
        self.stop()
        last = self.rounds.pop()
        return self._begin(Round(last.question, sampler, sampling, before=last.answer if last.text else None))

    def stop(self) -> None:
        """End the answer under way; what was said stays."""
        if self.last is not None:
            self.last.stop()

    def reset(self) -> None:
        """Forget what was said."""
        self.stop()
        self.rounds = []

    def preflight(self, sampler: FrameSampler, sampling: Sampling) -> Answer:
        """Return what the next question would look at: an answer that has only its `preflight` and `notes`.

        Raises:
            KangarooError: The film cannot be opened, or the conversation does not fit.
        """
        answer = self._ask(self._conversation([*self.rounds, Round("?", sampler, sampling)]), sampling)
        answer.close()
        return answer

    def _begin(self, new: Round) -> Round:
        self.rounds = [*self.rounds, new]
        rounds, busy = self.rounds, self._thread

        def tell() -> None:
            if busy is not None:
                busy.join(_GRACE_S)
                if busy.is_alive():  # waits for its first word; its memory is its own then
                    self._ask = self._remembering()
            new.tell(lambda: self._ask(self._conversation(rounds), new.sampling))

        self._thread = threading.Thread(target=tell, name="answer", daemon=True)
        self._thread.start()
        return new

    def _conversation(self, rounds: list[Round]) -> Conversation:
        """Return what the model reads: the rounds in which something was said, and the last question."""
        conversation = Conversation()
        *said, last = rounds
        film = Video(self.source, last.sampler)
        for one in said:
            if one.text:
                conversation = conversation.ask(one.question, *(() if conversation.turns else (film,))).reply(one.text)
        return conversation.ask(last.question, *(() if conversation.turns else (film,)))


def was_cut(answer: Answer) -> bool:
    """Whether an answer ended because it may be no longer."""
    return answer.finish_reason is FinishReason.LENGTH
