"""What a benchmark shows and asks, as fingerprints in one file, so that training data can be kept free of it.

A film is known by the hash of its file and by the hashes of its pictures, so that a copy in another size or format is
found too. A question with its answer is known by hashes of its words: whole, and every run of thirteen. Imports without
torch. Axes: picture.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt64

from kangaroo.errors import OptionError

_RUN = 13  # words; the length that language models' decontamination settled on (Brown et al. 2020)
_LEAST = 8  # a question and answer of fewer words ("How many dogs are there? Two.") belong to no benchmark
_FORMAT = 1
_WORD = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]|[^\W_]+")


@dataclass(frozen=True)
class Round:
    """A question and its answer in words, empty where it is not known."""

    question: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class FilmPrint:
    """A film of a benchmark.

    Attributes:
        sha256: Of its file.
        hashes: Of its pictures, by `video.looks`; empty where only the file is known.
    """

    sha256: str
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Fingerprints:
    """What training may not hold.

    >>> Fingerprints.read(Path("mvbench.json")).asks(rounds)

    Attributes:
        benchmark: Its name, for messages.
        films: Its films.
        texts: Hashes of its questions with their answers.
    """

    benchmark: str
    films: tuple[FilmPrint, ...]
    texts: frozenset[str]

    @classmethod
    def of(
        cls, benchmark: str, *, films: Iterable[FilmPrint], rounds: Iterable[Round], without: Sequence[str] = ()
    ) -> "Fingerprints":
        """Return the fingerprints of a benchmark's films, and of its questions with their answers.

        `without` are phrases that say nothing of a question, such as "Answer with the letter only."
        """
        hashes = frozenset(one for asked in rounds for one in _hashes(asked, without))
        return cls(benchmark=benchmark, films=tuple(films), texts=hashes)

    @classmethod
    def read(cls, path: Path) -> "Fingerprints":
        """Read what `write` wrote.

        Raises:
            OptionError: The file is missing or something else.
        """
        again = "kangaroo evaluate fingerprint writes such a file"
        try:
            values: Any = json.loads(path.read_text(encoding="utf-8"))
            if values["format"] != _FORMAT:
                raise OptionError(f"{path} is of format {values['format']}, this reads {_FORMAT}; {again}")
            films = tuple(FilmPrint(sha256=str(one["sha256"]), hashes=tuple(one["hashes"])) for one in values["films"])
            return cls(benchmark=str(values["benchmark"]), films=films, texts=frozenset(values["texts"]))
        except OSError as error:
            raise OptionError(f"{path} cannot be read ({error.strerror}); {again}") from None
        except OptionError:
            raise
        except (ValueError, KeyError, TypeError):
            raise OptionError(f"{path} holds no fingerprints; {again}") from None

    def write(self, path: Path) -> None:
        """Write one JSON file; the same fingerprints give the same bytes."""
        films = [asdict(film) for film in self.films]
        values = {"format": _FORMAT, "benchmark": self.benchmark, "films": films, "texts": sorted(self.texts)}
        path.write_text(json.dumps(values, ensure_ascii=False) + "\n", encoding="utf-8")

    def holds_file(self, sha256: str) -> bool:
        """Whether a file of this hash is one of the films."""
        return any(film.sha256 == sha256 for film in self.films)

    def shows(self, hashes: Sequence[str], *, most_bits: int = 10) -> float:
        """Return the share (0 to 1) of a clip's pictures that the benchmark's films show.

        Args:
            hashes: Of the clip's pictures, by `video.looks`.
            most_bits: Pictures are the same that differ in so many of 64 bits or fewer.
        """
        own = np.array([int(one, 16) for one in hashes], dtype=np.uint64)
        if not len(own) or not len(self._pictures):
            return 0.0
        return float(np.mean([(np.bitwise_count(self._pictures ^ one) <= most_bits).any() for one in own]))

    @cached_property
    def _pictures(self) -> UInt64[np.ndarray, " picture"]:
        return np.array([int(one, 16) for film in self.films for one in film.hashes], dtype=np.uint64)

    def asks(self, rounds: Iterable[Round], *, without: Sequence[str] = ()) -> Round | None:
        """Return the first of these rounds that the benchmark has too, None where it has none; `without` as in `of`."""
        return next((asked for asked in rounds if not self.texts.isdisjoint(_hashes(asked, without))), None)


def _hashes(asked: Round, without: Sequence[str]) -> Iterator[str]:
    question = asked.question
    for phrase in without:
        question = question.replace(phrase, "")
    text = f"{question} {asked.answer}"
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    if len(words) >= _LEAST:
        yield _hash(words)
    for start in range(len(words) - _RUN + 1):
        yield _hash(words[start : start + _RUN])


def _hash(words: list[str]) -> str:
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]
