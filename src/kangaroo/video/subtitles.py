"""Read subtitles (SRT or WebVTT) and turn them into lines with times for a prompt."""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kangaroo.errors import VideoError

_CLOCK = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIMING = re.compile(rf"^\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?$")
_ASIDE = re.compile(r"\s*(?:NOTE|STYLE|REGION)(?:\s|$)")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}")
_ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


@dataclass(frozen=True)
class Subtitle:
    """Words and the seconds, counted from the film's first frame, between which they are shown."""

    start_s: float
    end_s: float
    text: str


def read_subtitles(path: str | Path) -> tuple[Subtitle, ...]:
    """Read an SRT or WebVTT file, in order of time. Markup is dropped; empty entries are left out.

    Raises:
        VideoError: The file is missing, is no text, or a block is malformed; the message names the line.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # the latter where a path holds a zero byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise VideoError(f"{path}: the subtitles cannot be read ({reason})") from None
    lines = _decode(data, path).splitlines()
    found = [item for item in _blocks(lines, path) if item.text]
    return tuple(sorted(found, key=lambda item: (item.start_s, item.end_s)))


def subtitles_text(subtitles: Sequence[Subtitle], *, start_s: float = 0.0, end_s: float | None = None) -> str:
    """Return the lines shown at some time between `start_s` and `end_s`, as `[12.0-15.5] hello`.

    Times stay those of the film, as the frames' do. None means to the film's end.
    """
    until_s = float("inf") if end_s is None else end_s
    shown = [item for item in subtitles if item.end_s > start_s and item.start_s < until_s]
    return "\n".join(f"[{item.start_s:.1f}-{item.end_s:.1f}] {item.text}" for item in shown)


def _decode(data: bytes, path: Path) -> str:
    encoding = next((name for mark, name in _ENCODINGS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise VideoError(f"{path}, line {line}: not {encoding} text; save the subtitles as UTF-8") from None
    if "\0" in text:
        raise VideoError(f"{path}: not a subtitle file, it holds zero bytes")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _blocks(lines: list[str], path: Path) -> Iterator[Subtitle]:
    is_vtt = bool(lines) and lines[0].strip().startswith("WEBVTT")
    position = _next_blank(lines, 0) if is_vtt else 0
    while position < len(lines):
        if not lines[position].strip():
            position += 1
        elif is_vtt and _is_aside(lines[position : position + 2]):
            position = _next_blank(lines, position)
        else:
            end = _block_end(lines, position)
            yield _block(lines, position, end, path)
            position = end


def _is_aside(lines: list[str]) -> bool:
    """Say whether a WebVTT block that starts with these two lines is no cue; a cue may be named like one."""
    return _ASIDE.match(lines[0]) is not None and not any("-->" in line for line in lines)


def _next_blank(lines: list[str], position: int) -> int:
    while position < len(lines) and lines[position].strip():
        position += 1
    return position


def _block_end(lines: list[str], start: int) -> int:
    """Return where the block ends: at a blank line, or where the next one's times or number follow without one."""
    is_timed = False
    for row in range(start, len(lines)):
        if not lines[row].strip():
            return row
        if _TIMING.match(lines[row]):
            if is_timed:
                return row - 1 if lines[row - 1].strip().isdecimal() else row
            is_timed = True
    return len(lines)


def _block(lines: list[str], start: int, end: int, path: Path) -> Subtitle:
    """Read a block: an optional number or name, the times, the words."""
    for row in range(start, min(start + 2, end)):
        if "-->" in lines[row]:
            start_s, end_s = _times(lines[row], row, path)
            return Subtitle(start_s, end_s, _plain(lines[row + 1 : end]))
    raise VideoError(
        f"{path}, line {start + 1}: expected a number and then times like "
        f"00:01:02,500 --> 00:01:04,000, found {lines[start].strip()[:40]!r}"
    )


def _times(line: str, row: int, path: Path) -> tuple[float, float]:
    match = _TIMING.match(line)
    if match is None:
        raise VideoError(
            f"{path}, line {row + 1}: {line.strip()[:60]!r} is not a pair of times like 00:01:02,500 --> 00:01:04,000"
        )
    groups = match.groups()
    start_s, end_s = _seconds(groups[:4]), _seconds(groups[4:])
    if end_s < start_s:
        raise VideoError(f"{path}, line {row + 1}: ends at {end_s:g} s, before its start at {start_s:g} s")
    return start_s, end_s


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    whole_s = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return (whole_s * 1000 + int(fraction.ljust(3, "0"))) / 1000


def _plain(lines: list[str]) -> str:
    words = " ".join(_TAG.sub("", line).strip() for line in lines)
    return " ".join(html.unescape(words).split())
