"""Worker processes on the nodes of a Ray cluster, called as if they stood on this machine.

An actor keeps one worker, so time and memory are limited where the work is done, and a film fails there in the same
words as here. Only what decodes and computes goes to the cluster; the ledger stays with the run that was started.
"""

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kangaroo
from kangaroo.curation.engine.ledger import CurationError
from kangaroo.curation.engine.recipe import Machine
from kangaroo.errors import OptionError
from kangaroo.video.isolate import Gone, Limits, Worker

_ROOM_S = 300.0  # for a node to come and start an actor
_SLACK_S = 60.0  # past a call's own limit: the way there and back, and starting the process
_KNOCK_S = 10.0
_TRIES = 2  # a node may go for reasons of its own; a film that takes two actors along is to blame
HERE = "local"


@contextmanager
def joined(machine: Machine, *, shared: Sequence[Path]) -> Iterator[Callable[[Limits], Worker]]:
    """Join a cluster for the length of the block, and lend what makes its workers.

    Args:
        machine: Names the cluster.
        shared: Files that every node must see under the same paths.

    Raises:
        OptionError: Ray is not installed, or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # what is curated is nobody else's business
    try:
        import ray
    except ModuleNotFoundError:
        raise OptionError("engine is \"ray\", but ray is missing; pip install 'kangaroo-video[ray]'") from None

    address = machine.address or "auto"
    room: dict[str, Any] = {"num_cpus": machine.workers, "include_dashboard": False} if address == HERE else {}
    is_ours = not ray.is_initialized()
    if is_ours:
        try:
            _knock(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **room)
        except (OSError, RuntimeError, ValueError) as error:
            raise OptionError(
                f"no Ray cluster at {address!r} ({str(error).splitlines()[0]}); start one with `ray start --head`, or "
                f'give address = "{HERE}" to start one for this run'
            ) from None
    try:
        yield lambda limits: ActorWorker(limits, shared=[str(path.absolute()) for path in shared])
    finally:
        if is_ours:
            ray.shutdown()


def _knock(address: str) -> None:
    """Fail at once where nobody listens, which Ray finds out in minutes."""
    node, _, port = address.removeprefix("ray://").rpartition(":")
    if node and port.isdigit():
        socket.create_connection((node, int(port)), timeout=_KNOCK_S).close()


class Host:
    """The actor: keeps a worker on its node. `paths` are where the caller imports from."""

    def __init__(self, paths: list[str]) -> None:
        sys.path += [path for path in paths if path not in sys.path]
        self._worker: Worker | None = None

    def introduce(self, shared: list[str]) -> tuple[str, str, list[str]]:
        """Return the node's name, its version of this package, and which of the shared files it does not see."""
        return socket.gethostname(), kangaroo.__version__, [path for path in shared if not os.path.exists(path)]

    def ask(self, request: bytes, limits: Limits) -> Any:
        """Return what `Worker.ask` returns on this node."""
        self._worker = self._worker or Worker(limits)
        return self._worker.ask(request, limits)


class ActorWorker(Worker):
    """A worker on some node; where its node or actor is lost, another one is asked, once."""

    def __init__(self, limits: Limits, *, shared: list[str]) -> None:
        super().__init__(limits)
        self._shared = shared
        self._actor: Any = None

    def ask(self, request: bytes, limits: Limits) -> Any:
        """Return what comes of a pickled call, as `Worker.ask`.

        Raises:
            CurationError: The cluster has no room for this worker, or its node is not set up for the run.
        """
        import ray

        for _ in range(_TRIES):
            if self._actor is None:
                self._actor = self._hired()
            try:
                return ray.get(self._actor.ask.remote(request, limits), timeout=limits.time_s + _SLACK_S)
            except ray.exceptions.GetTimeoutError:  # the node itself hangs
                self.close()
                return Gone(code=0, timed_out=True)
            except ray.exceptions.RayActorError:
                self.close()
                if self._stopped:
                    break
        return Gone(code=-signal.SIGKILL)

    def stop(self) -> None:
        """End the call that is under way, which raises then. From any thread."""
        self._stopped = True
        self._dismiss(self._actor)

    def close(self) -> None:
        """End the actor; the next call starts another."""
        actor, self._actor = self._actor, None
        self._dismiss(actor)

    def _hired(self) -> Any:
        import ray

        host: Any = ray.remote(num_cpus=1)(Host)
        actor = host.remote(sys.path)
        try:
            node, version, missing = ray.get(actor.introduce.remote(self._shared), timeout=_ROOM_S)
        except ray.exceptions.GetTimeoutError:
            self._dismiss(actor)
            cores = ray.cluster_resources().get("CPU", 0)
            raise CurationError(
                f"the cluster has no room for one more worker within {_ROOM_S:g} s, it has {cores:g} cores; lower "
                "[machine] workers or add nodes, and the same command goes on"
            ) from None
        except ray.exceptions.RayError as error:
            raise CurationError(
                f"no worker can start on the cluster ({str(error).splitlines()[0]}); install this package on every "
                "node, and the same command goes on"
            ) from None
        if version != kangaroo.__version__:
            raise CurationError(f"node {node} has version {version}, this is {kangaroo.__version__}; install the same")
        if missing:
            raise CurationError(f"node {node} does not see {missing[0]}; every node must, under the same path")
        return actor

    def _dismiss(self, actor: Any) -> None:
        import ray

        if actor is not None and ray.is_initialized():
            ray.kill(actor)
