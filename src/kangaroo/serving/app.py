"""The routes: OpenAI's chat completions, models and files, and what operators look at."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Protocol, TypeVar, runtime_checkable

from fastapi import FastAPI, Form, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from kangaroo.chat.answerer import Answer
from kangaroo.chat.session import Ask
from kangaroo.errors import KangarooError, VideoError
from kangaroo.serving.admission import Admission
from kangaroo.serving.answering import Run
from kangaroo.serving.errors import ApiError, as_api_error, error_body, error_response, invalid_request
from kangaroo.serving.guard import Guard
from kangaroo.serving.media import Media, Reading, told_at
from kangaroo.serving.memories import Memories
from kangaroo.serving.metrics import Metrics
from kangaroo.serving.replies import Reply, event, file_object
from kangaroo.serving.schema import CompletionRequest, UploadForm, UploadsQuery
from kangaroo.serving.settings import Settings
from kangaroo.serving.shelf import Shelf, Upload
from kangaroo.video.sampler import FrameSampler

_log = logging.getLogger(__name__)
_HUNG_UP = 499  # nobody reads it; the metrics show it
Result = TypeVar("Result")


@runtime_checkable
class Served(Protocol):
    """What a server knows of a model: an `Answerer` that opens sessions."""

    @property
    def name(self) -> str:
        """What the model is called."""
        ...

    @property
    def frame_sampler(self) -> FrameSampler:
        """The rule that picks the frames of a film that names no other."""
        ...

    def remembering(self) -> Ask:
        """Return what one conversation is answered with."""
        ...


class Desk:
    """What the routes share: the queue, the films, the memories, the threads.

    Args:
        answerer: The model.
        settings: The limits.
        folder: Where films are kept: ours alone.
    """

    def __init__(self, answerer: Served, settings: Settings, folder: Path) -> None:
        self.answerer, self.settings = answerer, settings
        self.admission = Admission(num_running=settings.num_running, num_waiting=settings.num_waiting)
        self.shelf = Shelf(
            folder, max_bytes=settings.max_stored_bytes, upload_s=settings.upload_s, fetched_s=settings.fetched_s
        )
        self.media = Media(settings, self.shelf)
        self.metrics = Metrics(self.admission, self.shelf)
        self._memories = Memories(answerer.remembering, max_tokens=settings.remembered_tokens)
        self._threads = ThreadPoolExecutor(settings.num_running, thread_name_prefix="answer")

    def close(self) -> None:
        """End what is left."""
        self.media.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def begin(self, request: CompletionRequest) -> Run:
        """Wait for a turn and begin to answer.

        Raises:
            ApiError: The queue is full, or there is no such model.
        """
        if request.model != self.answerer.name:
            raise ApiError(
                404, f"the model here is called {self.answerer.name!r}", code="model_not_found", param="model"
            )
        came_s = perf_counter()
        await self.admission.enter()
        entered_s = perf_counter()

        def finished(answer: Answer | None) -> None:
            now_s = perf_counter()
            self.admission.leave(took_s=now_s - entered_s)
            if answer is not None:
                self.metrics.count(answer)
                self.metrics.answer_s.observe(now_s - came_s)

        rule = self.answerer.frame_sampler
        run = Run(request, media=self.media, memories=self._memories, rule=rule, finished=finished)
        run.start(self._threads)
        return run

    def take(self, form: UploadForm, reading: Reading) -> Upload:
        """Keep an uploaded film. Blocks, until it is opened or the reading is cancelled.

        Raises:
            KangarooError: It cannot be opened or is more than is taken.
        """
        # a client may choose how a name is spelt: not all of it need be text
        name = (form.file.filename or "film").encode("utf-8", "replace").decode()[:120]
        path = self.shelf.new_path()
        try:
            with path.open("wb") as file:
                while chunk := form.file.file.read(1 << 20):
                    file.write(chunk)
            with self.shelf.keep(path) as film:
                with told_at("file"):
                    reading.source(film, name)
                    if reading.is_cancelled:
                        raise VideoError(f"{name}: nobody waits for it any more")
                return self.shelf.add_upload(film, filename=name, purpose=form.purpose)
        finally:
            path.unlink(missing_ok=True)


def create_app(desk: Desk) -> FastAPI:
    """Return the web application."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()

    app = FastAPI(title="Kangaroo", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, settings=desk.settings, metrics=desk.metrics)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    for kind in (HTTPException, KangarooError):
        app.add_exception_handler(kind, _tell)
    _add_chat(app, desk)
    _add_files(app, desk)
    _add_information(app, desk)
    return app


def _add_chat(app: FastAPI, desk: Desk) -> None:
    @app.post("/v1/chat/completions")
    async def chat(asked: CompletionRequest, request: Request) -> Response:
        came_s = perf_counter()
        reply = Reply(model=desk.answerer.name)
        run: Run | None = None

        async def first() -> tuple[Run, AsyncIterator[Any], Any]:
            nonlocal run
            run = await desk.begin(asked)
            pieces = aiter(run)
            piece = await anext(pieces, None)
            desk.metrics.first_token_s.observe(perf_counter() - came_s)
            return run, pieces, piece

        async def whole() -> JSONResponse:
            begun, pieces, _ = await first()
            async for _ in pieces:
                pass
            assert begun.answer is not None, "it ended without an error"
            return JSONResponse(reply.whole(begun.answer))

        try:
            if not asked.stream:
                return await _unless_hung_up(request, whole())
            begun, pieces, piece = await _unless_hung_up(request, first())
        except BaseException:
            if run is not None:
                run.cancel()
            raise

        async def chunks() -> AsyncIterator[bytes]:
            if piece is None:
                yield reply.begin()
            else:
                yield reply.begin() + reply.piece(piece.text)
                # who asks for more has handed the first bytes to the socket
                desk.metrics.first_byte_delay_s.observe(perf_counter() - piece.said_s)
            try:
                async for later in pieces:
                    yield reply.piece(later.text)
            except Exception as error:
                if not isinstance(error, KangarooError):
                    _log.exception("an answer broke off")
                yield event(error_body(as_api_error(error)))
                return
            assert begun.answer is not None, "it ended without an error"
            usage = asked.stream_options is not None and asked.stream_options.include_usage
            yield reply.end(begun.answer, usage=usage)

        return _Stream(begun, chunks())


class _Stream(StreamingResponse):
    """A stream that cancels its answer however it ends."""

    media_type = "text/event-stream"

    def __init__(self, run: Run, chunks: AsyncIterator[bytes]) -> None:
        super().__init__(chunks, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._run.cancel()


def _add_files(app: FastAPI, desk: Desk) -> None:
    shelf = desk.shelf

    async def upload(form: Annotated[UploadForm, Form()], request: Request) -> dict[str, Any]:
        with Reading(media=desk.media) as reading:
            try:
                return file_object(await _unless_hung_up(request, asyncio.to_thread(desk.take, form, reading)))
            finally:
                reading.cancel()

    app.router.add_api_route("/v1/files", upload, methods=["POST"], route_class_override=_OneFileRoute)

    @app.get("/v1/files")
    async def uploads(query: Annotated[UploadsQuery, Query()]) -> dict[str, Any]:
        found = [one for one in shelf.uploads() if query.purpose in (None, one.purpose)]
        found.sort(key=lambda one: one.created_s, reverse=query.order == "desc")
        if query.after is not None:
            places = [place for place, one in enumerate(found, start=1) if one.id == query.after]
            if not places:
                raise _no_file(query.after)
            found = found[places[0] :]
        data = [file_object(one) for one in found[: query.limit]]
        return {"object": "list", "data": data, "has_more": len(found) > query.limit}

    @app.get("/v1/files/{file_id}")
    async def describe(file_id: str) -> dict[str, Any]:
        for upload in shelf.uploads():
            if upload.id == file_id:
                return file_object(upload)
        raise _no_file(file_id)

    @app.delete("/v1/files/{file_id}")
    async def delete(file_id: str) -> dict[str, Any]:
        if not shelf.delete_upload(file_id):
            raise _no_file(file_id)
        return {"id": file_id, "object": "file", "deleted": True}


class _OneFile(Request):
    """A form of one film, all of which but that film is small."""

    def form(self, **_: Any) -> Any:
        """Return the form, as `Request.form` does."""
        return super().form(max_files=1, max_fields=4)


class _OneFileRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_one(request: Request) -> Response:
            return await handle(_OneFile(request.scope, request.receive))

        return handle_one


def _add_information(app: FastAPI, desk: Desk) -> None:
    name = desk.answerer.name
    model = {"id": name, "object": "model", "created": 0, "owned_by": "kangaroo"}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [model]}

    @app.get("/v1/models/{model_id:path}")
    async def describe(model_id: str) -> dict[str, Any]:
        if model_id != name:
            raise ApiError(404, f"the model here is called {name!r}", code="model_not_found", param="model")
        return model

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(desk.metrics.text(), media_type="text/plain; version=0.0.4")


async def _unless_hung_up(request: Request, work: Awaitable[Result]) -> Result:
    """Return what `work` comes to, which is cancelled when the client leaves before."""

    async def hung_up() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task, left = asyncio.ensure_future(work), asyncio.ensure_future(hung_up())
    both: Sequence[asyncio.Future[Any]] = (task, left)
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ApiError(_HUNG_UP, "the client has left")
        return task.result()
    finally:
        for one in both:
            one.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await one


async def _tell(_request: Request, error: Exception) -> Response:
    return error_response(as_api_error(error))


async def _tell_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), f"registered for it alone, not for {type(error)}"
    return error_response(invalid_request(error.errors(), error.body))


def _no_file(file_id: str) -> ApiError:
    return ApiError(404, f"no file has the id {file_id[:60]!r}; it may have expired", code="file_not_found")
