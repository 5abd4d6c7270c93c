"""Open a film with FFmpeg, and nothing but that film.

FFmpeg knows formats that are lists of other files (concat scripts, playlists) or reach the network. Three
fences keep a file from opening anything else: FFmpeg never sees a path, only an open Python file without a
name; only the demuxers of ALLOWED_DEMUXERS may read it; no protocol is allowed inside it.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from kangaroo.errors import VideoError
from kangaroo.video.frames import Frames
from kangaroo.video.source import VideoSource

IMAGE_DEMUXERS = ("bmp_pipe", "gem_pipe", "jpeg_pipe", "jpegxl_pipe", "pam_pipe", "pbm_pipe", "pgm_pipe", "png_pipe",
                  "ppm_pipe", "qoi_pipe", "tiff_pipe", "webp_pipe", "j2k_pipe", "exr_pipe", "hdr_pipe")  # fmt: skip
FILM_DEMUXERS = ("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "gif", "apng", "h264",
                 "hevc", "vvc", "obu", "av1", "ivf", "m4v", "mpegvideo", "mjpeg", "nut", "mxf", "dv", "vc1", "rm",
                 "yuv4mpegpipe", "h263", "wtv", "jpegxl_anim")  # fmt: skip
AUDIO_DEMUXERS = ("mp3", "wav", "flac", "aac", "aiff", "amr", "caf")  # read only to say that they hold no picture
ALLOWED_DEMUXERS = FILM_DEMUXERS + IMAGE_DEMUXERS + AUDIO_DEMUXERS

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # WebM keeps alpha beside the picture
_FILM_OR_IMAGE = frozenset({"gif", "apng"})
_IMAGE_BRANDS = frozenset({b"avif", b"heic", b"mif1"})
_MAX_PIXELS = 1 << 28  # a header of a few bytes may claim a picture that fills all memory
_OPTIONS = {
    "format_whitelist": ",".join(ALLOWED_DEMUXERS),
    "protocol_whitelist": "none",
    "max_pixels": str(_MAX_PIXELS),
}
_BUFFER_BYTES = 1 << 18


def local_path(source: VideoSource) -> Path:
    """Return the path of a source that is a path or file URL.

    Raises:
        VideoError: Nothing is there, or the scheme is not one that is read.
    """
    text = os.fspath(source.value) if isinstance(source.value, Path) else str(source.value)
    if text[:7].lower() == "file://":
        text = unquote(urlsplit(text).path)
    elif "://" in text:
        scheme = text.partition("://")[0]
        raise VideoError(f"{source.name}: {scheme!r} URLs are not read; give a file, or an http, https or data URL")
    if not text:
        raise VideoError("no path is given; name a video")
    path = Path(text).expanduser()
    try:
        missing = not path.exists()
    except (OSError, ValueError) as error:  # too long a name, a zero byte
        raise VideoError(f"{source.name}: not a usable path ({error})") from None
    if missing:
        raise VideoError(f"{source.name}: no such file or folder")
    return path


@contextmanager
def open_container(source: VideoSource) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Lend the open container and its main video stream. The source is a file or bytes.

    Raises:
        VideoError: It cannot be read, or holds no moving or still picture.
    """
    assert not isinstance(source.value, Frames), "frames at hand need no container"
    with open_bytes(source) as file:
        head = file.read(4096)
        file.seek(0)
        if not head:
            raise VideoError(f"{source.name}: the file is empty (0 bytes)")
        try:
            container = av.open(file, "r", options=_OPTIONS, buffer_size=_BUFFER_BYTES, metadata_errors="replace")
        except av.FFmpegError as error:
            raise VideoError(f"{source.name}: {_why_not(head, error)}") from None
        with container:
            yield container, _video_stream(container, source.name)


def holds_one_picture(source: VideoSource) -> bool:
    """Say whether a file is a still image rather than a film that happens to be short.

    Raises:
        VideoError: It cannot be read.
    """
    with open_bytes(source) as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":  # which spares opening most films
        return head[8:12].strip() in _IMAGE_BRANDS
    with open_container(source) as (container, stream):
        if container.format.name in IMAGE_DEMUXERS:
            return True
        if container.format.name in _FILM_OR_IMAGE:
            return sum(packet.size > 0 for packet in islice(container.demux(stream), 2)) == 1
    return False


def decoder_of(stream: VideoStream) -> VideoCodecContext:
    """Return the decoder to use: FFmpeg's own, except where that would drop the film's transparency."""
    context = stream.codec_context
    wanted = _ALPHA_DECODERS.get(context.name) if stream.metadata.get("alpha_mode") == "1" else None
    if wanted is None or wanted not in av.codecs_available:
        return context
    with_alpha = av.CodecContext.create(wanted, "r")
    assert isinstance(with_alpha, VideoCodecContext), f"{wanted} decodes video"
    return with_alpha


def open_bytes(source: VideoSource) -> Any:
    """Return a source's bytes as a file without a name, to be used in a `with` statement.

    Raises:
        VideoError: It cannot be opened.
    """
    if isinstance(source.value, bytes):
        return nullcontext(io.BytesIO(source.value))
    path = local_path(source)
    if not path.is_file():
        raise VideoError(f"{source.name}: neither a file nor a folder")
    try:
        return _unnamed(path)
    except OSError as error:
        raise VideoError(f"{source.name}: cannot be opened ({error.strerror})") from None


def _unnamed(path: Path) -> BinaryIO:
    # opened by number: the file's `name` is then no path, so FFmpeg cannot guess from an ending that may be wrong
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb")


def _video_stream(container: InputContainer, name: str) -> VideoStream:
    pictures = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not pictures:
        heard = " (only sound)" if container.streams.audio else ""
        raise VideoError(f"{name}: the file holds no video{heard}")
    main = next((s for s in pictures if s.disposition & Disposition.default), None)
    if main is None and any(s.disposition & Disposition.dependent for s in pictures):
        raise VideoError(f"{name}: the picture is stored in tiles, which are not read; save it as JPEG")
    stream = main or pictures[0]
    if stream.codec_context is None:
        raise VideoError(f"{name}: this FFmpeg has no decoder for its video")
    stream.codec_context.options = {"max_pixels": str(_MAX_PIXELS)}
    return stream


def _why_not(head: bytes, error: av.FFmpegError) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"#extm3u", b"ffconcat", b"<?xml", b"<mpd", b"[playlist]", b"<svg", b"<!doctype", b"<html")):
        return "a text file that refers to other files is not read; give the video itself"
    if b"ftyp" in head[:12] or b"moov" in head[:64]:
        return "the file is cut off or damaged: its index (moov) cannot be read"
    if not any(byte < 9 for byte in head):
        return "the file is text, not a video"
    reason = (error.strerror or "unknown").lower()
    return f"the file is not a video that can be read, or its header is damaged (FFmpeg: {reason})"
