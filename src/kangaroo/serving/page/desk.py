"""What one visitor of the page has before them: a film, its conversation, and the settings for the next question.

Films that were opened before keep their conversations, so that going back to one loses nothing. Knows no web.
"""

from collections.abc import Callable

from kangaroo.chat.answerer import Sampling
from kangaroo.chat.session import OpensSessions
from kangaroo.errors import KangarooError
from kangaroo.serving.page.films import Film
from kangaroo.serving.page.talk import Talk
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

MAX_FILMS = 4


class Desk:
    """One visitor's films and conversations.

    Args:
        answerer: Who answers.

    Attributes:
        film: The film before the visitor; None before the first.
        wanted: Gets the film that was asked for and is not open yet.
        error: Why the last film could not be opened.
        sampler: The rule for the next question's frames.
        sampling: How the next answer's words are picked.
    """

    def __init__(self, answerer: OpensSessions) -> None:
        self.film: Film | None = None
        self.wanted: Callable[[], VideoSource] | None = None
        self.error: str | None = None
        self.rule = answerer.frame_sampler
        self.sampler: FrameSampler = self.rule
        self.sampling = Sampling()
        self._remembering = answerer.remembering
        self._open: dict[str, tuple[Film, Talk]] = {}

    @property
    def talk(self) -> Talk:
        """The conversation about the film before the visitor."""
        assert self.film is not None, "a film is opened first"
        return self._open[self.film.key][1]

    def open_wanted(self) -> None:
        """Open what is wanted, or go back to it. Where that fails, `error` says why and the film before stays."""
        wanted, self.wanted, self.error = self.wanted, None, None
        if wanted is None:
            return
        try:
            self._show(wanted())
        except KangarooError as error:
            self.error = " ".join(str(error).split())

    @property
    def opened(self) -> dict[str, Film]:
        """The films that are open, by key, oldest first."""
        return {key: film for key, (film, _) in self._open.items()}

    def ask(self, question: str) -> None:
        """Ask about the film with the settings at hand."""
        self.talk.ask(question, self.sampler, self.sampling)

    def regenerate(self) -> None:
        """Ask the last question again with the settings at hand."""
        self.talk.regenerate(self.sampler, self.sampling)

    def _show(self, source: VideoSource) -> None:
        key = source.fingerprint()
        film, talk = self._open.pop(key, (None, None))
        if film is None or talk is None:
            film, talk = Film(source, self.rule), Talk(source, self._remembering)
        self._open[key] = film, talk
        while len(self._open) > MAX_FILMS:
            self._open.pop(next(iter(self._open)))[1].stop()
        if film is not self.film:
            self.film, self.sampler = film, self.rule
