"""JSON and JSON Lines in a run's folder: added to as things come, read whatever cut them off, or replaced whole.

Half of a surrogate pair, which a reply may hold and no UTF-8 can spell, is written as JSON's own escape and read back
as it was. Imports without torch.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kangaroo.errors import OptionError

Line = dict[str, Any]
_ESCAPED = "backslashreplace"  # what it writes of a surrogate is what JSON calls it
_DELETE = "delete that line, or give another folder"


def read_lines(path: Path, fits: Callable[[Line], bool] = bool, *, remedy: str = _DELETE) -> list[Line]:
    """Return the lines of a file, none where there is no file. A last line that was cut off is left out.

    Raises:
        OptionError: A line is no JSON object, or does not fit.
    """
    if not path.exists():
        return []
    texts = path.read_text(encoding="utf-8", errors="replace").split("\n")  # a cut may go through a character
    lines = []
    for number, text in enumerate(texts[:-1], start=1):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if not isinstance(line, dict) or not fits(line):
            raise OptionError(f"{path}: line {number} is damaged; {remedy}")
        lines.append(line)
    return lines


@contextmanager
def adding(path: Path) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Add lines to a file while the block runs, each at once; a last line that was cut off is taken out before."""
    if path.exists():
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            os.truncate(path, data.rfind(b"\n") + 1)
    with path.open("a", encoding="utf-8", errors=_ESCAPED) as file:

        def add(line: Mapping[str, Any]) -> None:
            file.write(_text(line))
            file.flush()

        yield add


def replace_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write a file of lines anew; there is never half of it."""
    _replace(path, map(_text, lines))


def replace_json(path: Path, values: Any) -> None:
    """Write a file of one JSON value anew; there is never half of it."""
    _replace(path, [_text(values, indent=1)])


def _replace(path: Path, texts: Iterable[str]) -> None:
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("w", encoding="utf-8", errors=_ESCAPED) as file:
        file.writelines(texts)
    os.replace(unfinished, path)


def _text(values: Any, indent: int | None = None) -> str:
    return json.dumps(values, ensure_ascii=False, indent=indent) + "\n"
