"""Write down what a benchmark shows and asks, as fingerprints that curation keeps out of training data."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from kangaroo.curation.measures.changes import SMALL_PX
from kangaroo.curation.measures.fingerprint import fingerprint
from kangaroo.curation.words.leaks import FilmPrint, Fingerprints
from kangaroo.curation.words.templates import Round
from kangaroo.data.record import Record
from kangaroo.data.sources import open_source
from kangaroo.dialogue.conversation import Role
from kangaroo.video.isolate import Limits, read_frames_isolated
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

_LONGEST_S = 3600.0  # of a film, what is fingerprinted


def fingerprints_of(records: Path, *, benchmark: str) -> Fingerprints:
    """Return the fingerprints of a benchmark that is written as records.

    >>> fingerprints_of(Path("exam/records.jsonl"), benchmark="exam").write(Path("exam.json"))

    Args:
        records: A folder or file of records.
        benchmark: Its name, for messages.

    Raises:
        DataError: They cannot be read.
        VideoError: A film cannot be decoded.
    """
    source = open_source(records)
    films: dict[str, FilmPrint] = {}
    rounds: list[Round] = []
    for number in range(len(source)):
        record = source.read(number)
        rounds += _rounds(record)
        for medium in record.media:
            film = source.find(number, medium)
            name = _hash(film)
            if name not in films:
                films[name] = _print(film, name)
    return Fingerprints.of(benchmark, films=films.values(), rounds=rounds)


def _print(film: VideoSource, sha256: str) -> FilmPrint:
    sampler = FrameSampler(fps=2.0, min_frames=1, max_frames=2 * int(_LONGEST_S))
    frames = read_frames_isolated(film, sampler, size_px=SMALL_PX, limits=Limits(time_s=_LONGEST_S))
    return FilmPrint(sha256=sha256, hashes=fingerprint(frames).hashes)


def _hash(film: VideoSource) -> str:
    if isinstance(film.value, bytes):
        return hashlib.sha256(film.value).hexdigest()
    with Path(str(film.value)).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rounds(record: Record) -> Iterator[Round]:
    turns = [turn for turn in record.turns if turn.role is not Role.SYSTEM]
    for asked, answered in zip(turns[::2], turns[1::2], strict=True):
        question, answer = ("".join(part for part in turn.parts if isinstance(part, str)) for turn in (asked, answered))
        yield Round(question, answer)
