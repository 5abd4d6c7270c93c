"""Hold a conversation in a terminal, or over a pipe: one question a line. Imports without torch.

What the model says goes to standard output; all else, from the prompt to notes, to standard error.
"""

import sys
from collections.abc import Iterator

from kangaroo.chat.answerer import Answer
from kangaroo.chat.session import Session
from kangaroo.errors import KangarooError

HELP = """\
/regen      answer the last question again
/reset      begin anew with the same film
/save FILE  write the conversation as JSON
/quit       leave (so does the end of input)
Ctrl-C stops an answer."""

_COMMANDS = ("/help", "/regen", "/reset", "/save", "/quit")


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
    """Print an answer as it comes, what it will look at before it and what it noticed after it."""
    tell(answer.preflight)
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
    if command == "/help":
        tell(HELP)
    elif command == "/reset":
        session.reset()
        tell("the conversation is empty")
    elif command == "/save":
        _save(session, rest.strip())
    elif command.startswith("/") and command not in _COMMANDS:
        tell(f"error: {command} is no command; /help lists them")
    else:
        try:
            show(session.regenerate() if command == "/regen" else session.ask(line))
        except KeyboardInterrupt:
            if session.last is not None:
                session.last.close()
            tell("stopped")


def _save(session: Session, path: str) -> None:
    if not path:
        tell("error: /save needs a file name")
        return
    session.save(path)
    tell(f"saved to {path}")


def _lines() -> Iterator[str]:
    """Yield what is asked, without white space around it and without empty lines."""
    if sys.stdin.isatty():
        import readline  # noqa: F401 gives input() a history and line editing
    while True:
        try:
            line = input("> ") if sys.stdin.isatty() else sys.stdin.readline()
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
