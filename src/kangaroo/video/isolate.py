"""Read frames in a worker process, because a broken film can hang, crash or bloat FFmpeg.

The worker is a fresh interpreter, not a fork: forking a process that runs threads (as torch does) can
deadlock, and a hung worker can be killed without harm. It costs about a third of a second.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kangaroo.errors import KangarooError, OptionError, VideoError
from kangaroo.video.decode import read_frames
from kangaroo.video.frames import Frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.scale import Resize
from kangaroo.video.source import VideoSource

_STDERR_BYTES = 2000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a worker may use.

    Attributes:
        time_s: From its start to its answer, fetching a URL included.
        memory_bytes: Address space, where the system can limit it (not on macOS). Must leave room for the
            interpreter with its libraries, about 1 GiB.
    """

    time_s: float = 300.0
    memory_bytes: int = 8 << 30

    def __post_init__(self) -> None:
        if not self.time_s > 0:
            raise OptionError(f"the time limit is {self.time_s:g} s; give more than 0")
        if self.memory_bytes < 1 << 20:
            raise OptionError(f"the memory limit is {self.memory_bytes} bytes; give at least a mebibyte")


def read_frames_isolated(
    source: VideoSource,
    sampler: FrameSampler,
    *,
    size_px: int | tuple[int, int],
    resize: Resize = Resize.STRETCH,
    limits: Limits = Limits(),
    reader: Callable[..., Frames] = read_frames,
) -> Frames:
    """Return what `read_frames` returns, read in a worker process under limits.

    >>> read_frames_isolated(VideoSource("film.mp4"), FrameSampler(), size_px=448, limits=Limits(time_s=60))

    Args:
        source: The film. Frames at hand are read here, since no decoder sees them.
        sampler: Picks the times.
        size_px: Side of a square, or (height, width).
        resize: How the picture comes to that size.
        limits: What the worker may use.
        reader: What the worker calls: a function that a fresh interpreter can import.

    Raises:
        VideoError: As `read_frames`, and when the worker crashes or goes past a limit.
        OptionError: As `read_frames`.
    """
    if isinstance(source.value, Frames):
        return reader(source, sampler, size_px=size_px, resize=resize)
    call = (reader, (source, sampler), {"size_px": size_px, "resize": resize})
    with tempfile.TemporaryFile() as stderr:
        code, output = _run(_request(call, limits), limits, name=source.name, stderr=stderr)
        stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - _STDERR_BYTES))
        last_words = stderr.read().decode(errors="replace").strip().rpartition("\n")[2]
    if code != 0:
        raise VideoError(f"{source.name}: decoding it {_how_it_ended(code, last_words, limits)}")
    answer = pickle.loads(output)
    if isinstance(answer, KangarooError):
        raise answer
    assert isinstance(answer, Frames), f"the worker answered {type(answer)}"
    return answer


def _request(call: tuple[Callable[..., Frames], tuple, dict[str, Any]], limits: Limits) -> bytes:
    # the paths first, on their own: with them the worker can import what the rest refers to
    return pickle.dumps((sys.path, limits.memory_bytes)) + pickle.dumps(call)


def _run(request: bytes, limits: Limits, *, name: str, stderr: Any) -> tuple[int, bytes]:
    program = "import pickle, sys; p = pickle.load(sys.stdin.buffer); sys.path[:] = p[0]; "
    program += "from kangaroo.video.isolate import serve; serve(p[1])"
    worker = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
    )
    with worker:
        try:
            output, _ = worker.communicate(request, timeout=limits.time_s)
        except subprocess.TimeoutExpired:
            raise VideoError(f"{name}: decoding it took longer than {limits.time_s:g} s; it was stopped") from None
        finally:
            worker.kill()
    return worker.returncode, output


def _how_it_ended(code: int, last_words: str, limits: Limits) -> str:
    if "MemoryError" in last_words or "Cannot allocate" in last_words:
        return f"needs more than the {limits.memory_bytes / 2**30:.1f} GiB of memory that it may use"
    if code < 0:
        return f"crashed the decoder ({signal.Signals(-code).name})"
    return f"failed ({last_words or f'status {code}'})"


def serve(memory_bytes: int) -> None:
    """Be the worker: read one request from standard input, answer on standard output."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not mix with the answer
    with contextlib.suppress(ImportError):  # no such module on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(ValueError, OSError):  # macOS refuses
            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    reader, arguments, options = pickle.load(sys.stdin.buffer)
    try:
        answer: Frames | KangarooError = reader(*arguments, **options)
    except KangarooError as error:
        answer = error
    with answers:
        pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
