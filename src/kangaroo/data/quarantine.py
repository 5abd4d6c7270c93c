"""What was bad and why: written down line by line, counted, and too much of it stops the run."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kangaroo.data.record import DataError
from kangaroo.data.sources import Place
from kangaroo.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A record that cannot be used.

    Attributes:
        place: Where it stands.
        id: Its id, None where it cannot even be read.
        reason: What is wrong, in one line.
    """

    place: Place
    id: str | None
    reason: str


class Quarantine:
    """The list of what was bad, one line of JSON each: id, file, line, member, reason, when.

    A record is listed once, however often it comes up, and counts each time. Counts begin with the run's start or
    its resumption; the file goes on.

    Args:
        path: The list, made where it is missing.
        most_bad: The largest share of bad samples that a run bears.
        at_least: Samples to see before that share is judged.
    """

    def __init__(self, path: Path, *, most_bad: float = 0.05, at_least: int = 100) -> None:
        if not 0 <= most_bad <= 1:
            raise OptionError(f"most_bad is {most_bad:g}; give a share from 0 to 1")
        self.path, self.most_bad, self.at_least = path, most_bad, at_least
        self.num_good = self.num_bad = 0
        self._listed = {_key(line) for line in _lines(path)}

    def count(self, *, good: int, bad: Sequence[Bad]) -> None:
        """Write down what was bad among samples that were tried.

        Raises:
            DataError: More than the stated share is bad.
        """
        self.num_good += good
        self.num_bad += len(bad)
        for one in bad:
            self._list(one)
        tried = self.num_good + self.num_bad
        if tried >= self.at_least and self.num_bad > self.most_bad * tried:
            raise DataError(
                f"{self.num_bad} of {tried} samples are bad, more than the {self.most_bad:.1%} that a run bears; "
                f"{self.path} lists them"
            )

    def _list(self, bad: Bad) -> None:
        line = {
            "id": bad.id,
            "file": bad.place.file,
            "line": bad.place.line,
            "member": bad.place.member,
            "reason": bad.reason,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        if _key(line) in self._listed:
            return
        self._listed.add(_key(line))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="ascii") as file:
            file.write(json.dumps(line) + "\n")


def _lines(path: Path) -> list[dict[str, object]]:
    """Return what is listed; a last line that a killed run left half-written is cut off."""
    if not path.exists():
        return []
    *written, half = path.read_bytes().split(b"\n")
    lines = []
    for number, line in enumerate(written, start=1):
        try:
            lines.append(dict(json.loads(line)))
        except (ValueError, TypeError):
            raise DataError(f"{path}:{number}: not a line of a quarantine list; move the file away") from None
    if half:
        os.truncate(path, path.stat().st_size - len(half))
    return lines


def _key(line: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(line.get(name) for name in ("file", "line", "member"))
