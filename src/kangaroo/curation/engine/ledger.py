"""The truth of a curation run: which videos there are, and the result of every unit of work, in one SQLite file.

A unit is (step signature, subject). What is recorded was committed, so a killed run repeats only what was in flight.
One process writes; any number may read meanwhile (WAL).
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from kangaroo.curation.clip import Clip
from kangaroo.errors import KangarooError

_FORMAT = 1
_ROWS = 1000  # fetched at once
_TABLES = """
CREATE TABLE videos (path TEXT PRIMARY KEY, subject TEXT NOT NULL, listed INTEGER NOT NULL, video TEXT) WITHOUT ROWID;
CREATE INDEX videos_by_subject ON videos (subject);
CREATE INDEX videos_by_content ON videos (video, path, listed);
CREATE TABLE units (
    signature TEXT NOT NULL, subject TEXT NOT NULL, state TEXT NOT NULL, told TEXT NOT NULL,
    PRIMARY KEY (signature, subject)
) WITHOUT ROWID;
CREATE INDEX units_by_state ON units (signature, state);
CREATE TABLE tallies (
    signature TEXT NOT NULL, state TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (signature, state)
) WITHOUT ROWID;
CREATE TRIGGER unit_is_new AFTER INSERT ON units BEGIN
    INSERT INTO tallies VALUES (new.signature, new.state, 1) ON CONFLICT DO UPDATE SET number = number + 1;
END;
CREATE TRIGGER unit_is_gone AFTER DELETE ON units BEGIN
    UPDATE tallies SET number = number - 1 WHERE signature = old.signature AND state = old.state;
END;
CREATE TRIGGER unit_is_another AFTER UPDATE OF state ON units BEGIN
    UPDATE tallies SET number = number - 1 WHERE signature = old.signature AND state = old.state;
    INSERT INTO tallies VALUES (new.signature, new.state, 1) ON CONFLICT DO UPDATE SET number = number + 1;
END;
CREATE TABLE clips (
    signature TEXT NOT NULL, video TEXT NOT NULL, id TEXT NOT NULL, start_s REAL NOT NULL, end_s REAL NOT NULL,
    PRIMARY KEY (signature, video, id)
) WITHOUT ROWID;
CREATE TABLE clusters (clip TEXT PRIMARY KEY, cluster TEXT NOT NULL) WITHOUT ROWID;
"""


class CurationError(KangarooError):
    """A curation run cannot start or go on. The message names the folder and what to do."""


class State(StrEnum):
    """How a unit ended. DONE holds for good; QUARANTINED and BLOCKED hold until `retry`, the first because the
    input is bad, the second because a model could not be asked.
    """

    DONE = "done"
    QUARANTINED = "quarantined"
    BLOCKED = "blocked"


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What came of a step.

    Attributes:
        signature: The step's.
        subject: Of what it was made.
        state: How it ended.
        told: The result as JSON where it is done, else the reason.
    """

    signature: str
    subject: str
    state: State
    told: str


class Ledger:
    """The ledger of one output folder.

    >>> with Ledger(Path("out/ledger.sqlite")) as ledger:
    ...     ledger.counts(signature)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._explained():
            self._base = sqlite3.connect(path, timeout=60.0)
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = NORMAL")  # survives any kill of the process; commits cost no fsync
            (version,) = self._base.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._base.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_FORMAT}; COMMIT;")
            elif version != _FORMAT:
                raise CurationError(f"{path}: format {version}, this is format {_FORMAT}; name another folder as out")

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def list_videos(self, found: Iterable[tuple[Path, str]]) -> int:
        """Replace the list of videos by paths and their subjects, and return how many there are.

        A file whose subject is as before keeps what is known of it.
        """
        insert = """INSERT INTO videos VALUES (?1, ?2, 1, NULL) ON CONFLICT (path) DO UPDATE SET
            listed = 1, video = iif(subject = ?2, video, NULL), subject = ?2"""
        with self._explained(), self._base:
            self._base.execute("UPDATE videos SET listed = 0")
            self._base.executemany(insert, ((str(path), subject) for path, subject in found))
        return self._number("SELECT count(*) FROM videos WHERE listed = 1")

    def record(self, units: Sequence[Unit], *, clips: Sequence[Clip] = (), cut: str = "", video: str = "") -> None:
        """Write down results at once, and the clips that a video was cut into."""
        rows = [(one.signature, one.subject, one.state, one.told) for one in units]
        spans = [(cut, video, clip.id, clip.start_s, clip.end_s) for clip in clips]
        with self._explained(), self._base:
            # a unit that is replaced is updated: the tallies see what it was
            self._base.executemany(
                """INSERT INTO units VALUES (?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET state = excluded.state, told = excluded.told""",
                rows,
            )
            self._base.executemany("INSERT OR REPLACE INTO clips VALUES (?, ?, ?, ?, ?)", spans)

    def identify(self, signature: str) -> None:
        """Give each listed file the name of its content, where the step that finds it is done."""
        query = """UPDATE videos SET video = (SELECT json_extract(told, '$.content') FROM units
            WHERE signature = ? AND units.subject = videos.subject AND state = ?) WHERE listed = 1 AND video IS NULL"""
        with self._explained(), self._base:
            self._base.execute(query, (signature, State.DONE))

    def forget(self, signature: str, state: State) -> int:
        """Make units of one state pending again, and return how many."""
        with self._explained(), self._base:
            done = self._base.execute("DELETE FROM units WHERE signature = ? AND state = ?", (signature, state))
        return done.rowcount

    def counts(self, signature: str) -> dict[State, int]:
        """Return how many units of a step ended how, which is kept count of: nothing is looked through."""
        query = "SELECT state, number FROM tallies WHERE signature = ? AND number"
        return {State(state): count for state, count in self._rows(query, signature)}

    def unit(self, signature: str, subject: str) -> Unit | None:
        """Return one unit, None while it is pending."""
        query = "SELECT state, told FROM units WHERE signature = ? AND subject = ?"
        row = self._row(query, signature, subject)
        if row is None:
            return None
        return Unit(signature=signature, subject=subject, state=State(row[0]), told=row[1])

    def results(self, signature: str) -> Iterator[tuple[str, Unit]]:
        """Yield all units of a step in the order of their subjects."""
        query = "SELECT subject, state, told FROM units WHERE signature = ? ORDER BY subject"
        for subject, state, told in self._rows(query, signature):
            yield subject, Unit(signature=signature, subject=subject, state=State(state), told=told)

    def files(self, *, without: str) -> "Todo":
        """Return the listed files, with their subjects, for which a step is pending."""
        query = """SELECT subject, path FROM videos WHERE listed = 1 AND NOT EXISTS
            (SELECT 1 FROM units WHERE signature = ? AND units.subject = videos.subject) ORDER BY path"""
        return self._todo(query, without)

    def first_file(self) -> Path | None:
        """Return a listed file, None where there is none."""
        row = self._row("SELECT path FROM videos WHERE listed = 1 ORDER BY path")
        return None if row is None else Path(row[0])

    def contents_to_do(self, *, cut: str, signatures: Sequence[str]) -> "Todo":
        """Return each listed content that is not cut, or has a clip for which one of the steps is pending.

        With it comes the first path of a file that holds it.
        """
        pending = " OR ".join(
            f"NOT EXISTS (SELECT 1 FROM units WHERE signature = ?{at} AND subject = clips.id)"
            for at, _ in enumerate(signatures, start=3)
        )
        query = f"""SELECT found.video, found.path FROM
            (SELECT video, min(path) AS path FROM videos WHERE listed = 1 AND video IS NOT NULL GROUP BY video) AS found
            LEFT JOIN units ON units.signature = ?1 AND units.subject = found.video
            WHERE state IS NULL OR (state = ?2 AND EXISTS (SELECT 1 FROM clips
            WHERE clips.signature = ?1 AND clips.video = found.video AND ({pending or "0"})))"""
        return self._todo(query, cut, State.DONE, *signatures)

    def clips_of(self, video: str, path: Path, *, cut: str) -> list[Clip]:
        """Return the clips of a content in the order of time."""
        query = "SELECT id, start_s, end_s FROM clips WHERE signature = ? AND video = ? ORDER BY start_s, id"
        rows = self._rows(query, cut, video)
        return [Clip(id=name, video=path, start_s=start_s, end_s=end_s) for name, start_s, end_s in rows]

    def clips(self, *, cut: str, probed: str) -> Iterator[tuple[Clip, str, str]]:
        """Yield each clip of the listed videos, its video's content and what a probe found, in the order of ids."""
        query = """SELECT clips.id, found.path, start_s, end_s, found.video, told FROM clips JOIN
            (SELECT video, min(path) AS path, subject FROM videos WHERE listed = 1 AND video IS NOT NULL GROUP BY video)
            AS found ON clips.video = found.video AND clips.signature = ?
            JOIN units ON units.signature = ? AND units.subject = found.subject ORDER BY clips.id"""
        for name, path, start_s, end_s, video, told in self._rows(query, cut, probed):
            yield Clip(id=name, video=Path(path), start_s=start_s, end_s=end_s), video, told

    def num_clips(self, *, cut: str) -> int:
        """Return how many clips were cut."""
        return self._number("SELECT count(*) FROM clips WHERE signature = ?", cut)

    def num_videos(self) -> int:
        """Return how many files are listed."""
        return self._number("SELECT count(*) FROM videos WHERE listed = 1")

    def seconds(self, probed: str) -> float:
        """Return how long all different contents are together, as a probe found out."""
        query = """SELECT coalesce(sum(json_extract(told, '$.duration_s')), 0) FROM
            (SELECT video, min(path), subject FROM videos WHERE listed = 1 AND video IS NOT NULL GROUP BY video)
            AS found JOIN units ON units.signature = ? AND units.subject = found.subject AND state = ?"""
        row = self._row(query, probed, State.DONE)
        assert row is not None, "a sum is a row"
        return float(row[0])

    def probed(self, path: str, *, signature: str) -> str | None:
        """Return what a step found out about a listed file, as JSON; None where it failed or is pending."""
        query = """SELECT told FROM units JOIN videos USING (subject) WHERE signature = ? AND path = ? AND state = ?"""
        row = self._row(query, signature, path, State.DONE)
        return None if row is None else str(row[0])

    def num_contents(self) -> int:
        """Return how many different contents are listed."""
        return self._number("SELECT count(DISTINCT video) FROM videos WHERE listed = 1")

    def num_copies(self) -> int:
        """Return how many listed files hold a content that another one holds too, beyond the first."""
        return self._number("SELECT count(video) - count(DISTINCT video) FROM videos WHERE listed = 1")

    def num_blocked(self, signatures: Sequence[str]) -> int:
        """Return for how many subjects one of the steps at least is blocked."""
        listed = ", ".join("?" * len(signatures))
        query = f"SELECT count(DISTINCT subject) FROM units WHERE state = ? AND signature IN ({listed})"
        return self._number(query, State.BLOCKED, *signatures)

    def clusters(self) -> dict[str, str]:
        """Return the cluster of duplicates that each clip was found in, in this run or before."""
        return dict(self._rows("SELECT clip, cluster FROM clusters"))

    def remember_clusters(self, clusters: Iterable[tuple[str, str]]) -> None:
        """Write down clips and their clusters."""
        with self._explained(), self._base:
            self._base.executemany("INSERT OR REPLACE INTO clusters VALUES (?, ?)", clusters)

    def reasons(self, signature: str, state: State) -> Iterator[tuple[str, str]]:
        """Yield subjects and reasons of units that ended in a state."""
        query = "SELECT subject, told FROM units WHERE signature = ? AND state = ? ORDER BY subject"
        return ((subject, told) for subject, told in self._rows(query, signature, state))

    def path_of(self, subject: str) -> str | None:
        """Return the path of a file or content."""
        query = "SELECT path FROM videos WHERE subject = ?1 OR video = ?1 ORDER BY path"
        row = self._row(query, subject)
        return None if row is None else str(row[0])

    def _todo(self, query: str, *values: Any) -> "Todo":
        """Put rows of two texts aside on disk, where what is recorded meanwhile does not change them."""
        with self._explained(), self._base:
            self._base.execute(
                "CREATE TEMP TABLE IF NOT EXISTS todo (list INTEGER, place INTEGER, name TEXT, path TEXT)"
            )
            self._base.execute("CREATE UNIQUE INDEX IF NOT EXISTS temp.todo_in_order ON todo (list, place)")
            (number,) = self._base.execute("SELECT coalesce(max(list), 0) + 1 FROM todo").fetchone()
            self._base.execute(f"INSERT INTO todo SELECT {number}, row_number() OVER (), * FROM ({query})", values)
        count = self._number("SELECT count(*) FROM todo WHERE list = ?", number)

        def page(behind: int) -> list[tuple[Any, ...]]:
            wanted = "SELECT name, path FROM todo WHERE list = ? AND place > ? ORDER BY place LIMIT ?"
            with self._explained():
                return self._base.execute(wanted, (number, behind, _ROWS)).fetchall()

        return Todo(count=count, page=page)

    def _number(self, query: str, *values: Any) -> int:
        row = self._row(query, *values)
        assert row is not None, "a count is a row"
        return int(row[0])

    def _row(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        with self._explained():
            return self._base.execute(query, values).fetchone()

    def _rows(self, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        with self._explained():
            cursor = self._base.execute(query, values)
        while True:
            with self._explained():
                rows = cursor.fetchmany(_ROWS)
            if not rows:
                return
            yield from rows

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise told_of(self.path, error) from None


@dataclass(frozen=True, kw_only=True)
class Todo:
    """Names with paths that lie on disk until they are asked for, so that memory does not grow with their number.

    Attributes:
        count: How many there are.
        page: Returns the next ones behind a number of them.
    """

    count: int
    page: Callable[[int], list[tuple[Any, ...]]]

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[str, Path]]:
        for behind in range(0, self.count, _ROWS):
            yield from ((name, Path(path)) for name, path in self.page(behind))


def told_of(path: Path, error: sqlite3.Error | OSError) -> CurationError:
    """Return the error of a file that cannot be written or read, in words."""
    reason = getattr(error, "strerror", None) or str(error)
    return CurationError(f"{path}: {reason}; make room or mend it, and the same command goes on")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder while the block runs; the system lets go of it when the process dies.

    Raises:
        CurationError: A run is at work there.
    """
    path = folder / "run.lock"
    lock = sqlite3.connect(path, timeout=0.0, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        raise CurationError(f"{folder}: another run is at work there; wait for it or end it") from None
    try:
        yield
    finally:
        lock.close()


def loads(unit: Unit | None) -> Any:
    """Return a unit's result; None where there is none."""
    return json.loads(unit.told) if unit is not None and unit.state is State.DONE else None
