"""Run a server until it is told to stop; what runs then may end."""

import asyncio
import gc
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from kangaroo.errors import OptionError
from kangaroo.serving.app import Desk, Served, create_app
from kangaroo.serving.settings import Settings

_MOST_CONNECTIONS = 1024
_SWITCH_S = 0.0005


def serve(answerer: Served, settings: Settings, *, ready: Callable[[str], None]) -> None:
    """Serve a model until SIGTERM or Ctrl-C.

    Args:
        answerer: The model.
        settings: The limits.
        ready: Told the server's URL once it answers.

    Raises:
        OptionError: The address cannot be listened at.
    """
    listening = _listen(settings)
    with tempfile.TemporaryDirectory(prefix="kangaroo-serve-") as folder, listening:
        desk = Desk(answerer, settings, Path(folder))
        config = uvicorn.Config(
            create_app(desk),
            http=_PatientProtocol.up_to(settings.body_s),
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=int(settings.drain_s),
        )
        host, port = listening.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
        # what is loaded by now stays: looking for garbage need not look there
        gc.freeze()
        # threads that pick words hold the interpreter; who hands the words on must not wait long for it
        sys.setswitchinterval(_SWITCH_S)
        # uvicorn raises the signal again once it is done, which would end us as if we had failed
        before = signal.signal(signal.SIGTERM, lambda *_: None)
        try:
            asyncio.run(_Server(config, desk, lambda: ready(url)).serve(sockets=[listening]))
        finally:
            signal.signal(signal.SIGTERM, before)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, desk: Desk, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._desk, self._ready = desk, ready
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._desk.admission.close)
        super().handle_exit(sig, frame)


class _PatientProtocol(H11Protocol):
    """HTTP as uvicorn speaks it, with an end to its patience: it waits for ever for headers that drip."""

    patience_s = 0.0

    @classmethod
    def up_to(cls, patience_s: float) -> type["_PatientProtocol"]:
        """Return a protocol that waits so long for a request's headers."""
        return type("_Patient", (cls,), {"patience_s": patience_s})

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._deadline: asyncio.TimerHandle | None = None
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()

    def _expect(self) -> None:
        """Keep the deadline that runs while headers are awaited; drop it while a request is served."""
        served = self.cycle is not None and not self.cycle.response_complete
        if served and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        elif not served and self._deadline is None:
            self._deadline = self.loop.call_later(self.patience_s, self._give_up)

    def _give_up(self) -> None:
        self._deadline = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def _listen(settings: Settings) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise OptionError(
            f"cannot listen at {settings.host}:{settings.port} ({error.strerror}); choose another --host or --port"
        ) from None
    return listening
