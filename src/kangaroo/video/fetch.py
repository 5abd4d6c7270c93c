"""Bring a film's bytes here: from an http(s) URL to a file, or out of a data URL.

Every fetch goes through `download`, so rules about who may be asked have one place: `PublicHosts`, for URLs that
strangers give. There the address is checked and then connected to, not the name, which could mean another a moment
later; and a redirect is a new question.
"""

import base64
import importlib
import ipaddress
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote_to_bytes, urljoin, urlsplit

from kangaroo.errors import VideoError

MAX_BYTES = 4 << 30
CONNECT_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 30.0
TOTAL_TIMEOUT_S = 900.0
_MAX_REDIRECTS = 5
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class PublicHosts:
    """Who may be asked for strangers: hosts whose every address is public, and those trusted by name.

    Attributes:
        trusted: `host:port`, as URLs give them; asked whatever their addresses are.
    """

    trusted: tuple[str, ...] = ()

    def address_of(self, parts: SplitResult) -> str:
        """Return the address to connect to.

        Raises:
            VideoError: The host has none, or one that is not public.
        """
        host = parts.hostname
        if parts.scheme not in _PORTS or not host:
            raise VideoError(f"{_short(parts.geturl())}: not an http or https URL")
        if parts.username is not None or parts.password is not None:
            raise VideoError(f"{_short(parts.geturl())}: a URL with a user or password is not fetched")
        port = parts.port or _PORTS[parts.scheme]
        try:
            found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError):
            raise VideoError(f"{_short(parts.geturl())}: cannot be fetched (no such host)") from None
        if f"{host}:{port}" not in self.trusted:
            for address in found:
                if not is_public(address):
                    # which address it was would tell strangers what the inner network looks like
                    raise VideoError(f"{_short(parts.geturl())}: the host is not public; upload the film instead")
        return found[0]


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the open internet, whichever way it is written or wrapped."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def is_loopback(host: str) -> bool:
    """Say whether a host, as a person types it, is this machine alone."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@contextmanager
def fetch_to_file(
    url: str,
    *,
    max_bytes: int = MAX_BYTES,
    total_timeout_s: float = TOTAL_TIMEOUT_S,
    hosts: PublicHosts | None = None,
) -> Iterator[Path]:
    """Lend the path of a temporary file that holds what `url` answers. Arguments and errors are those of `download`."""
    with tempfile.TemporaryDirectory(prefix="kangaroo-") as folder:
        path = Path(folder) / "film"
        download(url, path, max_bytes=max_bytes, total_timeout_s=total_timeout_s, hosts=hosts)
        yield path


def download(
    url: str,
    path: Path,
    *,
    max_bytes: int = MAX_BYTES,
    total_timeout_s: float = TOTAL_TIMEOUT_S,
    hosts: PublicHosts | None = None,
) -> None:
    """Write what `url` answers to a file.

    Args:
        url: An http or https URL.
        path: The file; what it held is lost.
        max_bytes: More than this is refused, by what the server announces or by what it sends.
        total_timeout_s: The longest the whole transfer may take.
        hosts: Who may be asked; None asks anyone.

    Raises:
        VideoError: The server may not be asked, cannot be reached, refuses, stalls, or sends too much.
    """
    from huggingface_hub import get_session

    # huggingface_hub 1 speaks httpx and 2 its successor; both name their errors alike
    http = importlib.import_module(type(get_session()).__module__.partition(".")[0])
    timeout = http.Timeout(STALL_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    deadline_s = time.monotonic() + total_timeout_s
    num_bytes = 0
    try:
        asked = get_session().stream("GET", url, timeout=timeout) if hosts is None else _ask(http, url, hosts, timeout)
        with asked as response, path.open("wb") as file:
            if response.status_code != 200:
                raise VideoError(f"{_short(url)}: the server answers {response.status_code} {response.reason_phrase}")
            announced = response.headers.get("content-length", "")
            if announced.isdecimal() and int(announced) > max_bytes:
                raise VideoError(f"{_short(url)}: {announced} bytes are more than the {max_bytes} that are fetched")
            # in the pieces in which they come: a server that drips would fill none of a given size for long
            for chunk in response.iter_bytes():
                num_bytes += len(chunk)
                if num_bytes > max_bytes:
                    raise VideoError(f"{_short(url)}: more than the {max_bytes} bytes that are fetched")
                if time.monotonic() > deadline_s:
                    raise VideoError(
                        f"{_short(url)}: only {num_bytes} bytes came in {total_timeout_s:g} s; "
                        "fetch the file yourself and give its path"
                    )
                file.write(chunk)
    except (http.HTTPError, http.InvalidURL, OSError, ValueError) as error:
        reason = (str(error) or type(error).__name__) if hosts is None else type(error).__name__
        raise VideoError(f"{_short(url)}: cannot be fetched ({reason})") from None


@contextmanager
def _ask(http: Any, url: str, hosts: PublicHosts, timeout: Any) -> Iterator[Any]:
    """Lend the response of a URL, following redirects ourselves; no proxy of the environment is used."""
    with http.Client(trust_env=False, follow_redirects=False, timeout=timeout) as client:
        for _ in range(_MAX_REDIRECTS + 1):
            parts = urlsplit(url)
            address = hosts.address_of(parts)
            host = (parts.hostname or "").encode("idna").decode("ascii")
            literal, named = (f"[{name}]" if ":" in name else name for name in (address, host))
            port = parts.port or _PORTS[parts.scheme]
            target = parts._replace(netloc=f"{literal}:{port}", fragment="").geturl()
            headers = {"Host": named if port == _PORTS[parts.scheme] else f"{named}:{port}"}
            with client.stream("GET", target, headers=headers, extensions={"sni_hostname": host}) as response:
                if not response.has_redirect_location:
                    yield response
                    return
                url = urljoin(url, response.headers["location"])
    raise VideoError(f"{_short(url)}: more than {_MAX_REDIRECTS} redirects")


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
        raise VideoError(f"data URL: holds {kind[:60]}, expected video/* or image/*")
    if not head.replace(" ", "").lower().endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body, validate=True)
    except ValueError as error:  # letters beyond ASCII too
        raise VideoError(f"data URL: its base64 is damaged ({error})") from None
