"""Call functions in processes of their own, because a broken film can hang, crash or bloat FFmpeg.

A worker is a fresh interpreter, not a fork: forking a process that runs threads (as torch does) can deadlock, and a
hung worker can be killed without harm. Starting one costs about a third of a second, so it stays and serves many
calls, until one goes past a limit or crashes it.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from kangaroo.errors import KangarooError, OptionError, VideoError
from kangaroo.video.decode import read_frames
from kangaroo.video.frames import Frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.scale import Resize
from kangaroo.video.source import VideoSource

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a worker may use.

    Attributes:
        time_s: For one call. Starting the worker does not count: on a busy machine it takes seconds.
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
    with Worker(limits) as worker:
        return worker.call(reader, source, sampler, name=source.name, size_px=size_px, resize=resize)


class Worker:
    """A process that calls functions, one at a time. Use it from one thread; `stop` alone may come from another.

    >>> with Worker(Limits(time_s=60)) as worker:
    ...     worker.call(read_info, VideoSource("film.mp4"), name="film.mp4")
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        self._num_served = 0
        self._stopped = False

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.limits,)

    def call(
        self,
        function: Callable[..., Result],
        *arguments: Any,
        name: str,
        doing: str = "decoding it",
        time_s: float | None = None,
        **options: Any,
    ) -> Result:
        """Return what a function returns in the worker.

        Args:
            function: One that a fresh interpreter can import.
            arguments: Its arguments, as far as they can be pickled.
            name: What messages call the film.
            doing: What messages say was done to it.
            time_s: The limit of this call, where it has one of its own.
            options: Its named arguments.

        Raises:
            VideoError: The worker crashes or goes past a limit.
            KangarooError: Whatever of that kind the function raises.
        """
        request = pickle.dumps((function, arguments, options), protocol=pickle.HIGHEST_PROTOCOL)
        limits = self.limits if time_s is None else replace(self.limits, time_s=time_s)
        had_served = self._num_served
        try:
            answer = self.ask(request, limits)
            if isinstance(answer, Gone) and answer.may_be_worn_out and had_served:
                answer = self.ask(request, limits)
        finally:
            self.rest()
        if isinstance(answer, Gone):
            raise VideoError(f"{name}: {doing} {answer.told(limits)}")
        if isinstance(answer, KangarooError):
            raise answer
        return answer

    def stop(self) -> None:
        """End the call that is under way, or the next, which raises then. From any thread."""
        self._stopped = True
        process = self._process
        if process is not None:
            process.kill()

    def rest(self) -> None:
        """Be ready for the next call, which a stop that came too late is not about."""
        if self._stopped:
            self.close()
            self._stopped = False

    def close(self) -> None:
        """End the process; the next call starts another."""
        process, self._process, self._num_served = self._process, None, 0
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # what was not sent yet
                pipe.close()  # type: ignore[union-attr]
        process.wait()

    def ask(self, request: bytes, limits: Limits) -> Any:
        """Return what comes of a pickled call: its result, a `KangarooError`, or how the worker ended."""
        is_new = self._process is None or self._owner != os.getpid()  # a fork must not share its parent's pipes
        if is_new:
            self._process, self._owner = _started(), os.getpid()
        process = self._process
        assert process is not None, "it was started"
        if self._stopped:  # before there was a process to end
            process.kill()
        assert process.stdin is not None, "it was started with pipes"
        assert process.stdout is not None, "it was started with pipes"
        timed_out = threading.Event()

        def give_up() -> None:
            timed_out.set()
            process.kill()

        timer = threading.Timer(limits.time_s, give_up)
        timer.daemon = True
        try:
            if is_new:
                # the paths first, on their own: with them the worker can import what a request refers to
                process.stdin.write(pickle.dumps((sys.path, self.limits.memory_bytes)))
                process.stdin.flush()
                pickle.load(process.stdout)  # it is ready
            timer.start()
            process.stdin.write(request)
            process.stdin.flush()
            answer = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            timer.cancel()
            code = process.wait()
            self.close()
            return Gone(code=code, timed_out=timed_out.is_set())
        finally:
            timer.cancel()
        self._num_served += 1
        if isinstance(answer, Gone):
            self.close()  # out of memory, of which it may hold much
        return answer


@dataclass(frozen=True, kw_only=True)
class Gone:
    """How a worker ended.

    Attributes:
        code: The process's; 0 where it only ran out of memory, negative for a signal.
        timed_out: Whether it was ended for going past its time.
    """

    code: int
    timed_out: bool = False

    @property
    def may_be_worn_out(self) -> bool:
        """Whether the calls before may be to blame. Who is killed was killed on purpose."""
        return not self.timed_out and self.code != -signal.SIGKILL

    def told(self, limits: Limits) -> str:
        """Return how it ended, in words."""
        if self.timed_out:
            return f"took longer than {limits.time_s:g} s; it was stopped"
        if self.code == 0:
            return f"needs more than the {limits.memory_bytes / 2**30:.1f} GiB of memory that it may use"
        how = signal.Signals(-self.code).name if self.code < 0 else f"status {self.code}"
        return f"crashed the decoder ({how})"


def _started() -> "subprocess.Popen[bytes]":
    program = "import pickle, sys; p = pickle.load(sys.stdin.buffer); sys.path[:] = p[0]; "
    program += f"from {__name__} import serve; serve(p[1])"
    # there is a worker for each core: numpy's own threads would only wait for one another, some for minutes
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    return subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )


def serve(memory_bytes: int) -> None:
    """Be the worker: answer requests until the pipe closes, or whoever started it is gone."""
    leave_with_the_parent()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not mix with the answers
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.SIG_IGN)  # they are for who started us; the pipe then closes
    with contextlib.suppress(ImportError):  # no such module on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(ValueError, OSError):  # macOS refuses
            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    pickle.dump(None, answers)
    answers.flush()  # ready
    while True:
        try:
            function, arguments, options = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = function(*arguments, **options)
        except KangarooError as error:
            answer = error
        except MemoryError:
            answer = Gone(code=0)
        pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()


def leave_with_the_parent() -> None:
    """End this process soon after its parent was killed: nobody is left to stop what hangs."""
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
