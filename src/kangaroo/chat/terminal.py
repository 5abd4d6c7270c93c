"""Hold a conversation in a terminal, or over a pipe: one question a line. Imports without torch.

What the model says goes to standard output; all else, from the prompt to notes, to standard error.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial

from kangaroo.chat.answerer import Answer
from kangaroo.chat.session import Session
from kangaroo.errors import KangarooError, OptionError

HELP = """\
/regen      answer the last question again
/reset      begin anew with the same film
/save FILE  write the conversation as JSON
/quit       leave (so does the end of input)
Ctrl-C stops an answer."""


def converse(session: Session) -> None:
    """Answer lines from standard input until `/quit` or its end. Ctrl-C stops one answer."""
    if sys.stdin.isatty():
        tell("Ask about the film; /help lists the commands.")
    for line in _lines():
        if line == "/quit":
            return
        try:
            _obey(session, line)
        except KangarooError as error:
            tell(f"error: {one_line(error)}")


def show(answer: Answer) -> None:
    """Print what an answer will look at, the answer as it comes, and what it noticed."""
    tell(answer.preflight)
    speak(answer)


def speak(answer: Answer) -> None:
    """Print an answer as it comes, and its notes."""
    noted = len(answer.notes)
    for note in answer.notes:
        tell(f"note: {note}")
    try:
        for text in answer:
            print(text, end="", flush=True)
    finally:
        if answer.text:
            print(flush=True)
    for note in answer.notes[noted:]:
        tell(f"note: {note}")


def tell(line: str) -> None:
    """Print a line that is no part of an answer."""
    print(line, file=sys.stderr, flush=True)


def one_line(error: BaseException) -> str:
    """Return what an error says, as one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _obey(session: Session, line: str) -> None:
    command, _, rest = line.partition(" ")
    match command, rest.strip():
        case "/help", "":
            tell(HELP)
        case "/reset", "":
            session.reset()
            tell("the conversation is empty")
        case "/save", "":
            raise OptionError("/save needs a file; give its name behind it")
        case "/save", path:
            session.save(path)
            tell(f"saved to {path}")
        case "/regen", "":
            _answer(session, session.regenerate)
        case _ if line.startswith("/"):
            raise OptionError(f"{line!r:.60} is no command; /help lists them")
        case _:
            _answer(session, partial(session.ask, line))


def _answer(session: Session, ask: Callable[[], Answer]) -> None:
    """Show an answer, and what it will look at where the one before looked at something else."""
    before = session.last
    try:
        answer = ask()
        if before is None or before.preflight != answer.preflight:
            tell(answer.preflight)
        speak(answer)
    except KeyboardInterrupt:
        if session.last is not None:
            session.last.close()
        tell("stopped")


def _lines() -> Iterator[str]:
    """Yield what is asked, without white space around it and without empty lines."""
    if sys.stdin.isatty():
        import readline  # noqa: F401 gives input() a history and line editing
    while True:
        try:
            line = input("> " if sys.stdout.isatty() else "") if sys.stdin.isatty() else sys.stdin.readline()
        except KeyboardInterrupt:
            tell("\n/quit leaves")
            continue
        except EOFError:
            tell("")
            return
        if not line and not sys.stdin.isatty():
            return
        if line.strip():
            yield line.strip()
