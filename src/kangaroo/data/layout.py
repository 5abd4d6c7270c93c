"""How a record is written as one JSON object, and read strictly: nothing unknown, nothing guessed.

Media stand in a list of their own. A turn's `content` is a text in which `<video>` and `<image>` stand for them in
order, or a list of parts where text is taken word for word: `{"type": "text", "text"}`, `{"type": "video"}`.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

from kangaroo.data.record import PROVENANCE, DataError, Kind, Medium, Record, Said
from kangaroo.dialogue.conversation import Role
from kangaroo.errors import OptionError
from kangaroo.video.sampler import FrameSampler

MAX_RECORD_BYTES = 4 << 20  # a conversation is kilobytes; what is larger is no conversation
_PLACEHOLDER = re.compile("|".join(f"<{kind}>" for kind in Kind))
_CLIP = ("start_s", "end_s")


def to_json(record: Record) -> dict[str, Any]:
    """Return a record as plain values, which `from_json` reads back to an equal one."""
    values: dict[str, Any] = {name: getattr(record, name) for name in PROVENANCE}
    values["media"] = [_medium_values(medium) for medium in record.media]
    values["turns"] = [{"role": str(turn.role), "content": _content(turn)} for turn in record.turns]
    return values | ({} if record.weight == 1 else {"weight": record.weight})


def dumps(record: Record) -> str:
    """Return a record as one line of JSON."""
    return json.dumps(to_json(record), ensure_ascii=False)


def loads(text: bytes) -> Record:
    """Read a record from the bytes of one JSON object.

    Raises:
        DataError: It is too large, no JSON, or not a record; the message does not say where it stands.
    """
    return from_json(parse(text))


def parse(text: bytes) -> Any:
    """Return the values of one JSON text; a name given twice, NaN and Infinity are refused.

    Raises:
        DataError: It is too large or no JSON.
    """
    if len(text) > MAX_RECORD_BYTES:
        raise DataError(f"the record is larger than {MAX_RECORD_BYTES:,} bytes; keep media in files beside it")
    try:
        values = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
        if b"\\u" in text:
            json.dumps(values, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except RecursionError:
        raise DataError("not JSON that can be read: it is nested too deeply") from None
    except DataError:
        raise
    except ValueError as error:  # wrong JSON, wrong UTF-8, a number of thousands of digits
        raise DataError(f"not JSON ({str(error).splitlines()[0]:.120})") from None
    return values


def from_json(values: Any) -> Record:
    """Read a record from plain values.

    Raises:
        DataError: A key is unknown or missing, a value has the wrong type, or placeholders do not match the media.
    """
    fields = read_object(values, "the record", required=(*PROVENANCE, "turns"), optional=("media", "weight"))
    media = [_medium(one, number) for number, one in enumerate(read_list(fields.get("media", []), "media"), start=1)]
    left = iter(media)
    turns = [_turn(one, number, left) for number, one in enumerate(read_list(fields["turns"], "turns"), start=1)]
    if unused := list(left):
        shown = len(media) - len(unused)
        raise DataError(f"{len(media)} media are listed but the turns show {shown}; write one placeholder for each")
    provenance = {name: read_text(fields[name], name) for name in PROVENANCE}
    return Record(**provenance, turns=tuple(turns), weight=_number(fields.get("weight", 1.0), "the weight"))


def split_placeholders(text: str) -> Iterator[str | Kind]:
    """Yield the pieces of a text between its placeholders, and the placeholders; empty pieces are left out."""
    done = 0
    for match in _PLACEHOLDER.finditer(text):
        if match.start() > done:
            yield text[done : match.start()]
        yield Kind(match[0][1:-1])
        done = match.end()
    if done < len(text):
        yield text[done:]


def read_object(
    value: Any, name: str, *, required: Collection[str], optional: Collection[str] = ()
) -> Mapping[str, Any]:
    """Return a JSON object whose keys are all known and which lacks none that it needs; else raise `DataError`."""
    if not isinstance(value, Mapping):
        raise DataError(f"{name} is {_shown(value)}, not an object")
    known = [*required, *optional]
    for key in value:
        if key not in known:
            near = get_close_matches(str(key), known, n=1, cutoff=0.0)[0]
            raise DataError(f"{name} has an unknown key {key!r:.60}; did you mean {near!r}?")
    if missing := [key for key in required if key not in value]:
        raise DataError(f"{name} lacks {', '.join(missing)}; add it")
    return value


def read_list(value: Any, name: str) -> list[Any]:
    """Return a JSON list; else raise `DataError`."""
    if not isinstance(value, list):
        raise DataError(f"{name} is {_shown(value)}, not a list")
    return value


def read_text(value: Any, name: str) -> str:
    """Return a JSON text; else raise `DataError`."""
    if not isinstance(value, str):
        raise DataError(f"{name} is {_shown(value)}, not text")
    return value


def _medium(value: Any, number: int) -> Medium:
    name = f"medium {number}"
    fields = read_object(value, name, required=("kind", "path"), optional=(*_CLIP, "sampler"))
    if fields["kind"] not in list(Kind):
        raise DataError(f"{name} is of kind {_shown(fields['kind'])}; known: {', '.join(Kind)}")
    try:
        return Medium(
            kind=Kind(fields["kind"]),
            path=read_text(fields["path"], f"{name}'s path"),
            sampler=_sampler(fields.get("sampler")),
            **{key: _number(fields[key], f"{name}'s {key}") for key in _CLIP if fields.get(key) is not None},
        )
    except OptionError as error:
        raise DataError(f"{name}: {error}") from None


def _sampler(value: Any) -> FrameSampler | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise DataError(f"a sampler is {_shown(value)}, not an object")
    instead_of_rate = {"fps": None} if "num_frames" in value else {}
    return FrameSampler.from_dict(instead_of_rate | dict(value))


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{name} is {_shown(value)}, not a number")
    try:
        return float(value)
    except OverflowError:
        raise DataError(f"{name} is beyond any number that is meant") from None


def _turn(value: Any, number: int, media: Iterator[Medium]) -> Said:
    name = f"turn {number}"
    fields = read_object(value, name, required=("role", "content"))
    if fields["role"] not in list(Role):
        raise DataError(f"{name} has the role {_shown(fields['role'])}; known: {', '.join(Role)}")
    content = fields["content"]
    pieces = split_placeholders(content) if isinstance(content, str) else _pieces(read_list(content, name), name)
    return Said(Role(fields["role"]), tuple(place_media(pieces, media, name)))


def place_media(pieces: Iterator[str | Kind], media: Iterator[Medium], name: str) -> Iterator[str | Medium]:
    """Yield pieces with the next medium in the place of each placeholder; raise `DataError` where they disagree."""
    for piece in pieces:
        if not isinstance(piece, Kind):
            yield piece
            continue
        medium = next(media, None)
        if medium is None:
            raise DataError(f"{name} holds a placeholder <{piece}> but no medium is left for it; list one for each")
        if medium.kind is not piece:
            raise DataError(f"{name} holds <{piece}> where the next medium, {medium.path}, is of kind {medium.kind}")
        yield medium


def _pieces(parts: list[Any], name: str) -> Iterator[str | Kind]:
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text":
            yield read_text(read_object(part, f"{name}'s text part", required=("type", "text"))["text"], name)
        elif kind in list(Kind):
            read_object(part, f"{name}'s {kind} part", required=("type",))
            yield Kind(str(kind))
        else:
            raise DataError(f"{name} has a part {_shown(part)}; give {{'type': 'text', 'text'}}, 'video' or 'image'")


def _medium_values(medium: Medium) -> dict[str, Any]:
    values: dict[str, Any] = {"kind": str(medium.kind), "path": medium.path}
    values |= {key: getattr(medium, key) for key in _CLIP if getattr(medium, key) is not None}
    if medium.sampler is not None:
        values["sampler"] = {name: one for name, one in medium.sampler.to_dict().items() if name not in _CLIP}
    return values


def _content(turn: Said) -> str | list[dict[str, str]]:
    joined = "".join(part if isinstance(part, str) else f"<{part.kind}>" for part in turn.parts)
    as_read = tuple(split_placeholders(joined))
    if as_read == tuple(part if isinstance(part, str) else part.kind for part in turn.parts):
        return joined
    # a text that spells a placeholder, or texts that would be read as one
    return [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": str(part.kind)} for part in turn.parts
    ]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise DataError(f"the key {twice!r:.60} is given twice; keep one")
    return values


def _no_constant(text: str) -> NoReturn:
    raise DataError(f"{text} is no JSON number")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
