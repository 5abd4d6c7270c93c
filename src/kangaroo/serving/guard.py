"""The gate before all routes: who asks, how much they send and how slowly. Nothing of a body is read before that."""

import ctypes
import gc
import hmac
import logging
import secrets
from asyncio import timeout_at
from asyncio.events import get_running_loop
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kangaroo.serving.errors import ApiError, as_api_error, error_response
from kangaroo.serving.metrics import Metrics
from kangaroo.serving.settings import Settings
from kangaroo.video.fetch import is_loopback

_OPEN = frozenset({"/healthz"})
_UPLOADS = "/v1/files"
_DISCARDED = 4  # how many times the limit is read and thrown away, so that a client hears why it is refused
_UPLOAD_PATIENCE = 10
_LARGE_BYTES = 4 << 20
_SOON_S = 0.1  # by then the last frames that held the body are gone
_log = logging.getLogger(__name__)


class Guard:
    """ASGI middleware.

    Args:
        app: What is guarded.
        settings: The limits.
        metrics: Counts every request.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._held_bytes = {_Kind.BODY: 0, _Kind.UPLOAD: 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = secrets.token_hex(8)
        started = False

        async def tell(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] += [(b"x-request-id", name.encode()), (b"x-content-type-options", b"nosniff")]
                self._metrics.requests.labels(_route(scope), message["status"]).inc()
            await send(message)

        body = _Body(self, self._settings, scope, receive)
        try:
            self._check_caller(Headers(scope=scope), scope["path"])
            await body.check_announced()
            await self._app(scope, body.receive, tell)
        except Exception as error:
            if not isinstance(error, ApiError):
                _log.exception("request %s to %s failed", name, _route(scope))
            if not started:
                await error_response(as_api_error(error))(scope, receive, tell)
        finally:
            self._held_bytes[body.kind] -= body.num_held
            if body.kind is _Kind.BODY and body.num_held > _LARGE_BYTES:
                get_running_loop().call_later(_SOON_S, get_running_loop().run_in_executor, None, _give_back_memory)

    def _check_caller(self, headers: Headers, path: str) -> None:
        """Ask for the key; where there is none, for a caller on this machine that is no page of somebody's site."""
        key = self._settings.api_key
        if key is not None:
            kind, _, shown = headers.get("authorization", "").partition(" ")
            known = hmac.compare_digest(shown.strip().encode(), key.encode())
            if path not in _OPEN and not (kind.lower() == "bearer" and known):
                raise ApiError(
                    401,
                    "the API key is missing or wrong; send it as a bearer token",
                    code="invalid_api_key",
                    headers={"WWW-Authenticate": "Bearer"},
                )
            return
        # a site that a person visits could ask us through the browser, by a name of its own that leads here
        names = f"//{headers.get('host', '')}", headers.get("origin", "//localhost")
        if not self._settings.allow_without_key and not all(map(_is_here, names)):
            raise ApiError(403, "without an API key only this machine may ask, by the name localhost")

    def hold(self, num_bytes: int, kind: "_Kind") -> None:
        """Count bytes that come into memory, or in uploads to disk.

        Raises:
            ApiError: All requests together hold too many.
        """
        settings = self._settings
        most = settings.max_held_bytes if kind is _Kind.BODY else settings.max_stored_bytes
        if self._held_bytes[kind] + num_bytes > most:
            raise ApiError(503, "too many large requests at a time; try again later", code="overloaded", retry_s=5)
        self._held_bytes[kind] += num_bytes


class _Kind(Enum):
    BODY = "body"
    UPLOAD = "upload"


class _Body:
    """One request's body on its way in."""

    def __init__(self, guard: Guard, settings: Settings, scope: Scope, receive: Receive) -> None:
        is_upload = scope["path"].rstrip("/") == _UPLOADS
        self.kind, self.num_held = _Kind.UPLOAD if is_upload else _Kind.BODY, 0
        self._guard, self._receive = guard, receive
        self._most = settings.max_upload_bytes if is_upload else settings.max_body_bytes
        patience_s = settings.body_s * (_UPLOAD_PATIENCE if is_upload else 1)
        self._deadline_s = get_running_loop().time() + patience_s
        headers = Headers(scope=scope)
        self._announced, self._waits = headers.get("content-length", ""), "expect" in headers
        self._num_bytes, self._ended = 0, False

    async def check_announced(self) -> None:
        """Refuse a body that says of itself that it is too large."""
        if self._announced.isdecimal() and int(self._announced) > self._most:
            await self._refuse()

    async def receive(self) -> Message:
        """Return the next part of the body, or that the client has left."""
        if self._ended:
            return await self._receive()
        message = await self._next()
        num_bytes = len(message.get("body", b""))
        self._num_bytes += num_bytes
        if self._num_bytes > self._most:
            await self._refuse()
        self._guard.hold(num_bytes, self.kind)
        self.num_held += num_bytes
        return message

    async def _next(self) -> Message:
        try:
            async with timeout_at(self._deadline_s):
                message = await self._receive()
        except TimeoutError:
            raise ApiError(408, "the body did not come in time", code="timeout") from None
        self._ended = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message

    async def _refuse(self) -> None:
        # a client that is still sending would see a broken connection rather than the answer
        num_bytes = 0
        with suppress(ApiError):
            while not (self._ended or self._waits) and num_bytes < _DISCARDED * self._most:
                num_bytes += len((await self._next()).get("body", b""))
        raise ApiError(413, f"the body is larger than the {self._most} bytes taken here", code="too_large")


def _is_here(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:  # half an IPv6 address
        return False


def _give_back_memory() -> None:
    """Return to the system what a large body took; Python and the C library would both keep it for later."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _route(scope: Mapping[str, Any]) -> str:
    """Return what a request asked for, ids and nonsense left out: metrics must not grow with what strangers write."""
    route = scope.get("route")
    return str(getattr(route, "path", "other"))
