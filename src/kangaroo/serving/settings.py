"""What a server may take and give: every limit in one place."""

from dataclasses import dataclass, field
from pathlib import Path

from kangaroo.errors import OptionError
from kangaroo.video.fetch import is_loopback
from kangaroo.video.isolate import Limits

_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a server is reached and what one request may cost.

    Attributes:
        host: The address to listen at.
        port: 0 takes a free one.
        api_key: What requests must show; None asks for none.
        allow_without_key: Listen where other machines reach us without asking for a key.
        folder: Below it `file://` URLs may name films; None refuses them.
        trusted_hosts: `host:port` of URLs that are fetched though the address is not public.
        num_running: Answers under way at a time.
        num_waiting: Requests that may wait for their turn; further ones are refused with 429.
        remembered_tokens: Tokens of conversations whose keys and values are kept for their next round; 4 GiB of the
            model's device for the 8-billion-parameter network in bfloat16.
        max_body_bytes: The largest request but an upload.
        max_held_bytes: All request bodies in memory together; uploads under way count against `max_stored_bytes`.
        max_upload_bytes: The largest film, uploaded or fetched.
        max_stored_bytes: All films kept on disk together.
        upload_s: How long an upload is kept.
        fetched_s: How long a film is kept that came by URL or within a request, after it was last used.
        body_s: The longest that sending a request's headers or its body may take; an upload may take ten times that.
        fetch_s: The longest that fetching all URLs of one request may take.
        max_film_s: The longest film.
        max_picture_px: The largest picture, width times height.
        max_films: Films and pictures in one request.
        max_frames: Pictures in one list of frames.
        max_frame_bytes: What the pictures of one list of frames may take when decoded.
        max_text_chars: All text of one request together.
        decoding: What a process may use that opens or decodes a film.
        num_decoders: Films decoded at a time.
        drain_s: How long running answers may go on after the signal to stop.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    api_key: str | None = None
    allow_without_key: bool = False
    folder: Path | None = None
    trusted_hosts: tuple[str, ...] = ()
    num_running: int = 16
    num_waiting: int = 64
    remembered_tokens: int = 1 << 15
    max_body_bytes: int = 48 * _MIB
    max_held_bytes: int = 512 * _MIB
    max_upload_bytes: int = 1024 * _MIB
    max_stored_bytes: int = 8192 * _MIB
    upload_s: float = 24 * 3600.0
    fetched_s: float = 3600.0
    body_s: float = 60.0
    fetch_s: float = 60.0
    max_film_s: float = 4 * 3600.0
    max_picture_px: int = 36_000_000
    max_films: int = 64
    max_frames: int = 256
    max_frame_bytes: int = 256 * _MIB
    max_text_chars: int = 1 << 19
    decoding: Limits = field(default_factory=lambda: Limits(time_s=120.0, memory_bytes=4 << 30))
    num_decoders: int = 2
    drain_s: float = 120.0

    def __post_init__(self) -> None:
        if self.api_key is not None and not (
            self.api_key.isascii() and self.api_key.isprintable() and self.api_key.strip()
        ):
            raise OptionError("the API key is empty or not of plain printable characters; give another, or none")
        if self.num_running < 1 or self.num_waiting < 0:
            raise OptionError(f"{self.num_running} running and {self.num_waiting} waiting; give at least 1 and 0")
        if not 0 <= self.port < 1 << 16:
            raise OptionError(f"port is {self.port}; give one from 0 to 65535")
        if self.folder is not None and not self.folder.is_dir():
            raise OptionError(f"{self.folder}: no such folder; name one that holds films")
        if self.api_key is None and not (is_loopback(self.host) or self.allow_without_key):
            raise OptionError(
                f"other machines reach {self.host}, and no API key is set; set KANGAROO_API_KEY, listen at 127.0.0.1, "
                "or say --without-key"
            )
