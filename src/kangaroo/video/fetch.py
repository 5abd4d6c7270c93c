"""Bring a film's bytes here: from an http(s) URL to a temporary file, or out of a data URL.

Every fetch goes through `fetch_to_file`, so rules about who may be asked have one place.
"""

import base64
import binascii
import importlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from kangaroo.errors import VideoError

MAX_BYTES = 4 << 30
CONNECT_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 30.0
TOTAL_TIMEOUT_S = 900.0
_CHUNK_BYTES = 1 << 20


@contextmanager
def fetch_to_file(url: str, *, max_bytes: int = MAX_BYTES, total_timeout_s: float = TOTAL_TIMEOUT_S) -> Iterator[Path]:
    """Lend the path of a temporary file that holds what `url` answers.

    Args:
        url: An http or https URL.
        max_bytes: More than this is refused, by what the server announces or by what it sends.
        total_timeout_s: The longest the whole transfer may take.

    Raises:
        VideoError: The server cannot be reached, refuses, stalls, or sends too much.
    """
    with tempfile.TemporaryDirectory(prefix="kangaroo-") as folder:
        path = Path(folder) / "film"
        _download(url, path, max_bytes=max_bytes, total_timeout_s=total_timeout_s)
        yield path


def _download(url: str, path: Path, *, max_bytes: int, total_timeout_s: float) -> None:
    from huggingface_hub import get_session

    client = get_session()
    # huggingface_hub 1 speaks httpx and 2 its successor; both name their errors alike
    http = importlib.import_module(type(client).__module__.partition(".")[0])
    timeout = http.Timeout(STALL_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    deadline_s = time.monotonic() + total_timeout_s
    num_bytes = 0
    try:
        with client.stream("GET", url, timeout=timeout) as response, path.open("wb") as file:
            if response.status_code != 200:
                raise VideoError(f"{_short(url)}: the server answers {response.status_code} {response.reason_phrase}")
            announced = response.headers.get("content-length", "")
            if announced.isdecimal() and int(announced) > max_bytes:
                raise VideoError(f"{_short(url)}: {announced} bytes are more than the {max_bytes} that are fetched")
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                num_bytes += len(chunk)
                if num_bytes > max_bytes:
                    raise VideoError(f"{_short(url)}: more than the {max_bytes} bytes that are fetched")
                if time.monotonic() > deadline_s:
                    raise VideoError(
                        f"{_short(url)}: only {num_bytes} bytes came in {total_timeout_s:g} s; "
                        "fetch the file yourself and give its path"
                    )
                file.write(chunk)
    except (http.HTTPError, http.InvalidURL, OSError) as error:
        reason = str(error) or type(error).__name__
        raise VideoError(f"{_short(url)}: cannot be fetched ({reason})") from None


def _short(url: str) -> str:
    """Return the URL without what may be secret: user, password and query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "<malformed URL>"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"[:200]


def decode_data_url(url: str) -> bytes:
    """Return the bytes in a data URL of a video or image.

    Raises:
        VideoError: It is malformed or holds something else.
    """
    head, comma, body = url[5:].partition(",")
    kind = head.partition(";")[0].strip().lower()
    if not comma:
        raise VideoError("data URL: no comma separates its type from its data")
    if kind and kind.partition("/")[0] not in ("video", "image") and kind != "application/octet-stream":
        raise VideoError(f"data URL: holds {kind}, expected video/* or image/*")
    if not head.lower().endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise VideoError(f"data URL: its base64 is damaged ({error})") from None
