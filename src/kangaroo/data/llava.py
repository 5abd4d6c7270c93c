"""Read the layout that LLaVA's data sets share: `{"conversations": [{"from": "human", "value": ...}], "video": ...}`.

It says neither source nor licence, so whoever converts says them; nothing is taken for this layout unasked.
"""

from collections.abc import Collection, Mapping
from typing import Any

from kangaroo.data.layout import place_media, read_list, read_object, read_text, split_placeholders
from kangaroo.data.record import DataError, Kind, Medium, Record, Said
from kangaroo.dialogue.conversation import Role

_ROLES = {"system": Role.SYSTEM, "human": Role.USER, "gpt": Role.ASSISTANT}
_KEYS = ("id", *Kind)


def from_llava(
    values: Any, *, source: str, language: str, licence: str, task: str, ignore: Collection[str] = ()
) -> Record:
    """Return one entry of such a data set as a record.

    Images come before videos where an entry has both. In an entry with videos alone `<image>` means a video, as in
    LLaVA-Video's own files. White space beside a placeholder is left out, since chat writes none.

    >>> from_llava(entry, source="my films", language="en", licence="CC0-1.0", task="caption", ignore=["model"])

    Args:
        values: The entry, as JSON gives it.
        source: As in `Record`.
        language: As in `Record`.
        licence: As in `Record`.
        task: As in `Record`.
        ignore: Keys that may be there and say nothing that is wanted.

    Raises:
        DataError: It is no such entry, or its placeholders do not match its media.
    """
    known = {key: one for key, one in values.items() if key not in ignore} if isinstance(values, Mapping) else values
    fields = read_object(known, "the entry", required=("conversations", "id"), optional=_KEYS)
    paths = {kind: _paths(fields.get(kind), kind) for kind in (Kind.IMAGE, Kind.VIDEO)}
    media = [Medium(kind=kind, path=path) for kind, found in paths.items() for path in found]
    only_videos = bool(media) and all(medium.kind is Kind.VIDEO for medium in media)
    left, turns = iter(media), []
    for number, one in enumerate(read_list(fields["conversations"], "conversations"), start=1):
        turn = read_object(one, f"turn {number}", required=("from", "value"))
        if turn["from"] not in list(_ROLES):
            raise DataError(f"turn {number} is from {turn['from']!r:.60}; known: {', '.join(_ROLES)}")
        role, text = _ROLES[turn["from"]], read_text(turn["value"], f"turn {number}")
        if role is not Role.USER:
            turns.append(Said(role, (text,)))
            continue
        pieces = list(split_placeholders(text.replace("<image>", "<video>") if only_videos else text))
        trimmed = (_beside(pieces, place) for place in range(len(pieces)))
        turns.append(Said(role, tuple(place_media((one for one in trimmed if one), left, f"turn {number}"))))
    if unused := list(left):
        raise DataError(f"{unused[0].path} is shown by no placeholder; write one for each medium")
    id = str(fields["id"]) if type(fields["id"]) is int else read_text(fields["id"], "id")
    return Record(id=id, source=source, language=language, licence=licence, task=task, turns=tuple(turns))


def _paths(value: Any, kind: Kind) -> list[str]:
    if value is None:
        return []
    return [read_text(one, str(kind)) for one in (value if isinstance(value, list) else [value])]


def _beside(pieces: list[str | Kind], place: int) -> str | Kind:
    """Return a piece, without white space at an end that touches a placeholder."""
    piece = pieces[place]
    if isinstance(piece, Kind):
        return piece
    if place > 0:
        piece = piece.lstrip()
    return piece.rstrip() if place < len(pieces) - 1 else piece
