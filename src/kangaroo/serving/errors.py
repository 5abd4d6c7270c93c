"""Everything that goes wrong, in OpenAI's form; nothing in it tells of this machine."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from kangaroo.errors import ContextError, EndpointError, KangarooError, VideoError

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
_MOST_CHARS = 500
_UNREADABLE = "There was an error parsing the body"  # FastAPI's, of numbers too long and of bytes that are no text
_NO_OBJECT = ("model_type", "model_attributes_type", "dict_type")


class ApiError(HTTPException):
    """A refusal or failure that a client is told.

    Args:
        status: HTTP's.
        message: One line that says what to do.
        code: A word for programs.
        param: Which part of the request is to blame.
        retry_s: When it may be worth to try again.
        headers: Further headers of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_s: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        again = {} if retry_s is None else {"Retry-After": str(retry_s)}
        # what strangers wrote may be quoted in it
        super().__init__(status, " ".join(message.split())[:_MOST_CHARS], dict(headers or {}) | again or None)
        self.code, self.param = code, param and param[:_MOST_CHARS]


def as_api_error(error: Exception) -> ApiError:
    """Return how a client is told of an error. What is no mistake of the client's is not described."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):
        if error.detail == _UNREADABLE:
            return ApiError(400, "the body is not JSON", code="invalid_json")
        return ApiError(error.status_code, str(error.detail), headers=error.headers)
    if isinstance(error, ContextError):
        return ApiError(400, str(error), code="context_length_exceeded", param="messages")
    if isinstance(error, VideoError):
        return ApiError(400, str(error), code="video_error", param="messages")
    if isinstance(error, EndpointError):
        return ApiError(502, "the model behind this server does not answer", code="upstream_error")
    if isinstance(error, KangarooError):
        return ApiError(400, str(error), code="invalid_value")
    return ApiError(500, "something went wrong here; the server's log says what", code="internal_error")


def error_body(error: ApiError) -> dict[str, Any]:
    """Return what OpenAI's clients read."""
    kind = _TYPES.get(error.status_code, "server_error" if error.status_code >= 500 else "invalid_request_error")
    return {"error": {"message": error.detail, "type": kind, "param": error.param, "code": error.code}}


def error_response(error: ApiError) -> JSONResponse:
    """Return the refusal as a response."""
    return JSONResponse(error_body(error), error.status_code, headers=error.headers)


def invalid_request(problems: Sequence[Mapping[str, Any]], body: Any) -> ApiError:
    """Return what is told of a body that pydantic finds wrong: its first problem, by the name of the parameter."""
    first = problems[0]
    kind = first["type"]
    if kind == "json_invalid":
        return ApiError(400, "the body is not JSON", code="invalid_json")
    param = _param(first["loc"], body, missing=kind == "missing")
    if kind == "extra_forbidden":
        said = f"{param} is not supported here; leave it out"
        return ApiError(400, said, code="unsupported_parameter", param=param)
    said = str(first["msg"]).removeprefix("Value error, ")
    if "UploadFile" in said:  # FastAPI's words for text in a file's place
        said = "send a file with a name, as multipart/form-data"
    elif kind in _NO_OBJECT:
        said = "give an object" if param else "send a JSON object, with Content-Type: application/json"
    return ApiError(400, f"{param}: {said}" if param else said, code="invalid_value", param=param or None)


def _param(loc: Sequence[str | int], body: Any, *, missing: bool) -> str:
    """Return a place in the body as people write it; pydantic puts names of its own variants between."""
    if loc[0] != "body":
        return ".".join(map(str, loc[1:]))
    written, here = "", body
    for step in loc[1:-1] if missing else loc[1:]:
        if isinstance(here, Mapping) and step in here:
            here = here[step]
            written += f".{step}" if written else str(step)
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
            written += f"[{step}]"
    if missing and len(loc) > 1:
        written += f".{loc[-1]}" if written else str(loc[-1])
    return written
