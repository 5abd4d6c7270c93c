"""Make text safe to show as Markdown, and its times links that seek the player: `[13 seconds](#t=13)`."""

import re

_MOMENT = re.compile(
    r"(?<![\w.:])(?:(?P<hours>\d+):)?(?P<minutes>\d{1,2}):(?P<clock>\d{2}(?:\.\d+)?)(?![\w:])"  # 1:02:03.5, 0:07
    r"|(?:(?<![\w.])|第\s?)(?:(?P<long>\d+)\s?(?:minutes?,?(?:\s+and)?\s|min\s|分钟?))?"  # 2 minutes and, 2 分
    r"(?P<seconds>\d+(?:\.\d+)?)\s?(?:seconds?\b|secs?\b|s\b|秒)"  # 5.5 seconds, 第5秒
)
# what would make a link, a picture, a formula, HTML or a directive of Streamlit's out of somebody's words
_MEANT = re.compile(r"[\\\[\]<>$~:]")


def plain(text: str) -> str:
    """Return a person's words as Markdown that shows them as they are."""
    return "  \n".join(re.sub(r"([\\`*_{}\[\]<>()#+.!|$~:-])", r"\\\1", line) for line in text.splitlines())


def linked(text: str, *, duration_s: float) -> str:
    """Return a model's words as Markdown; each moment that lies within the film is a link.

    Its emphasis, lists and code stay; links, pictures, formulas and HTML are shown as they were written.
    """
    parts, done = [], 0
    for found in _MOMENT.finditer(text):
        second = _second(found)
        if second <= duration_s:
            parts += [_safe(text[done : found.start()]), f"[{_safe(found[0])}](#t={second:g})"]
            done = found.end()
    return "".join([*parts, _safe(text[done:])])


def clock(second: float) -> str:
    """Return a moment as players show it: `1:02.5`."""
    minutes, seconds = divmod(round(second, 1), 60)
    return f"{minutes:.0f}:{seconds:04.1f}"


def _second(found: re.Match[str]) -> float:
    minutes = float(found["minutes"] or found["long"] or 0) + 60 * float(found["hours"] or 0)
    return 60 * minutes + float(found["clock"] or found["seconds"])


def _safe(text: str) -> str:
    return _MEANT.sub(r"\\\g<0>", text)
