"""Write what a benchmark shows and asks as fingerprints, for who makes training data. Imports without torch."""

import hashlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kangaroo.data.fingerprints import FilmPrint, Fingerprints, Round
from kangaroo.errors import VideoError
from kangaroo.evaluation.benchmark import Benchmark, Question, questions_of
from kangaroo.evaluation.dataset import Dataset
from kangaroo.system import num_cores
from kangaroo.video.decode import read_frames
from kangaroo.video.looks import look_hash
from kangaroo.video.sampler import FrameSampler, Parity
from kangaroo.video.source import VideoSource

logger = logging.getLogger(__name__)

_PICTURES = FrameSampler(fps=2.0, min_frames=1, max_frames=1024, parity=Parity.ANY)
_SIZE_PX = (128, 128)  # far more than a hash keeps


def fingerprint(
    benchmark: Benchmark, data: Dataset, *, progress: Callable[[int, int], None] | None = None
) -> Fingerprints:
    """Return the fingerprints of a benchmark's films (two pictures a second, at most 1,024) and of its questions.

    A film that is missing or broken is named in the log and left out.

    >>> fingerprint(MVBENCH, data).write(Path("mvbench.json"))

    Raises:
        OptionError: The data set is not there.
    """
    questions = [one for one in questions_of(benchmark, data) if one.question]
    names = list(dict.fromkeys((one.film, one.folder_fps) for one in questions if one.film))
    films: list[FilmPrint] = []
    with ThreadPoolExecutor(num_cores()) as threads:
        for done, (name, found) in enumerate(
            zip(names, threads.map(lambda one: _film(data, *one), names), strict=True)
        ):
            if isinstance(found, VideoError):
                logger.warning("%s has no fingerprint: %s", name[0], found)
            else:
                films.append(found)
            if progress is not None:
                progress(done + 1, len(names))
    return Fingerprints.of(benchmark.name, films=films, rounds=map(_round, questions))


def _round(question: Question) -> Round:
    answer = question.answer or ""
    if question.options and answer:
        answer = question.options[question.letters.index(answer)] if answer in question.letters else answer
    return Round(question.question, answer)


def _film(data: Dataset, name: str, folder_fps: float) -> FilmPrint | VideoError:
    try:
        path = data.file(name)
        source = VideoSource(path, folder_fps=folder_fps, label=name)
        found = map(look_hash, read_frames(source, _PICTURES, size_px=_SIZE_PX).pixels)
        hashes = tuple(dict.fromkeys(one for one in found if one is not None))
    except VideoError as error:
        return error
    return FilmPrint(sha256=_sha256(path), hashes=hashes)


def _sha256(path: Path) -> str:
    """Hash a file, or a folder's files by their names."""
    if path.is_dir():
        listed = "".join(f"{one.name} {_sha256(one)}\n" for one in sorted(path.iterdir()) if one.is_file())
        return hashlib.sha256(listed.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
