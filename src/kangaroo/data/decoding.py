"""Open and decode media in a process of their own that serves many, and that a broken film cannot take along.

`kangaroo.video.isolate` starts an interpreter for each film, a third of a second; training reads a film every few
milliseconds. Here the interpreter stays, until a film goes past a limit or crashes it.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

from kangaroo.data.record import Kind
from kangaroo.errors import KangarooError, VideoError
from kangaroo.video.container import holds_one_picture
from kangaroo.video.decode import FramePlan, Resize, plan_frames, read_frames
from kangaroo.video.frames import Frames
from kangaroo.video.isolate import Limits
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is wanted of a medium.

    Attributes:
        size_px: Side of the square that frames come to; None only plans, which decodes nothing.
        resize: How they come to it.
    """

    size_px: int | None
    resize: Resize = Resize.STRETCH

    def at(self, source: VideoSource, kind: Kind, sampler: FrameSampler) -> Frames | FramePlan:
        """Return a medium's frames, or the plan of them.

        Raises:
            VideoError: It is missing, broken, damaged in part, shorter than its clip, or of the other kind.
            OptionError: The clip starts after the film's end.
        """
        if holds_one_picture(source) != (kind is Kind.IMAGE):
            raise VideoError(f"{source.name}: the record calls it {kind}, but it is the other; correct the kind")
        if self.size_px is None:
            seen: Frames | FramePlan = plan_frames(source, sampler)
        else:
            seen = read_frames(source, sampler, size_px=self.size_px, resize=self.resize)
        if seen.notes:
            # chat makes do with what is left of a film; an answer about the rest would teach to invent
            raise VideoError(f"{source.name}: {'; '.join(seen.notes)}")
        return seen


class Decoder:
    """A process that looks at media, one at a time. Use it from one thread.

    >>> with Decoder(Limits(time_s=60)) as decoder:
    ...     decoder.look(Look(size_px=224), VideoSource("film.mp4"), Kind.VIDEO, FrameSampler())
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        self._num_served = 0

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.limits,)

    def look(self, look: Look, source: VideoSource, kind: Kind, sampler: FrameSampler) -> Frames | FramePlan:
        """Return what `Look.at` returns in the decoding process.

        Raises:
            VideoError: As `Look.at`, and when the process crashes or goes past a limit.
            OptionError: As `Look.at`.
        """
        request = pickle.dumps((look, source, kind, sampler), protocol=pickle.HIGHEST_PROTOCOL)
        had_served = self._num_served
        answer = self._asked(request)
        if isinstance(answer, _Gone) and not answer.timed_out and had_served:
            answer = self._asked(request)  # perhaps the films before had worn it out
        if isinstance(answer, _Gone):
            raise VideoError(f"{source.name}: {answer.told(self.limits)}")
        if isinstance(answer, KangarooError):
            raise answer
        assert isinstance(answer, Frames | FramePlan), f"the process answered {type(answer)}"
        return answer

    def close(self) -> None:
        """End the process; the next look starts another."""
        process, self._process, self._num_served = self._process, None, 0
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # what was not sent yet
                pipe.close()  # type: ignore[union-attr]
        process.wait()

    def _asked(self, request: bytes) -> "Frames | FramePlan | KangarooError | _Gone":
        if self._process is None or self._owner != os.getpid():  # a fork must not share its parent's pipes
            self._process, self._owner = _started(self.limits), os.getpid()
        process = self._process
        assert process.stdin is not None, "it was started with pipes"
        assert process.stdout is not None, "it was started with pipes"
        timed_out = threading.Event()

        def stop() -> None:
            timed_out.set()
            process.kill()

        timer = threading.Timer(self.limits.time_s, stop)
        timer.start()
        try:
            process.stdin.write(request)
            process.stdin.flush()
            answer = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            timer.cancel()
            code = process.wait()
            self.close()
            return _Gone(code=code, timed_out=timed_out.is_set())
        finally:
            timer.cancel()
        self._num_served += 1
        if isinstance(answer, _Gone):
            self.close()  # out of memory, of which it may hold much
        return answer


@dataclass(frozen=True, kw_only=True)
class _Gone:
    """How a decoding process ended; code 0 where it only ran out of memory."""

    code: int
    timed_out: bool = False

    def told(self, limits: Limits) -> str:
        if self.timed_out:
            return f"decoding it took longer than {limits.time_s:g} s; it was stopped"
        if self.code == 0:
            return f"decoding it needs more than the {limits.memory_bytes / 2**30:.1f} GiB of memory that it may use"
        how = signal.Signals(-self.code).name if self.code < 0 else f"status {self.code}"
        return f"decoding it crashed the decoder ({how})"


def _started(limits: Limits) -> "subprocess.Popen[bytes]":
    program = "import pickle, sys; p = pickle.load(sys.stdin.buffer); sys.path[:] = p[0]; "
    program += "from kangaroo.data.decoding import serve; serve(p[1])"
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None, "it was started with pipes"
    process.stdin.write(pickle.dumps((sys.path, limits.memory_bytes)))
    return process


def serve(memory_bytes: int) -> None:
    """Be the decoding process: answer requests until the pipe closes."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not mix with the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started us; the pipe then closes
    with contextlib.suppress(ImportError):  # no such module on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(ValueError, OSError):  # macOS refuses
            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    while True:
        try:
            look, source, kind, sampler = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = look.at(source, kind, sampler)
        except KangarooError as error:
            answer = error
        except MemoryError:
            answer = _Gone(code=0)
        pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()
