"""Read plain values, of TOML or JSON, into a frozen dataclass; what does not fit is refused with the nearest name."""

import difflib
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from kangaroo.errors import OptionError

Settings = TypeVar("Settings")
_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    Path: "a path in quotes",
    bool: "true or false",
}


def read_settings(kind: type[Settings], values: Any, *, where: str) -> Settings:
    """Return a dataclass of the values of a table, or the one whose `asdict`, through JSON or not, gave these values.

    >>> read_settings(CutSettings, {"min_s": 3}, where="[cut]")

    Raises:
        OptionError: A key is unknown or missing, or a value has the wrong kind or is impossible.
    """
    if not isinstance(values, Mapping):
        raise OptionError(f"{where} is {values!r:.80}; give a table")
    kinds = get_type_hints(kind)
    names = [field.name for field in fields(kind) if field.init]  # type: ignore[arg-type]
    for name in values:
        if name not in names:
            raise OptionError(f"{where} {unknown(name, names)}")
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise OptionError(f"{where} {field.name} is missing")
    read = {name: _read(kinds[name], value, where=f"{where} {name}") for name, value in values.items()}
    try:
        return kind(**read)
    except OptionError as error:
        raise OptionError(f"{where} {error}") from None


def unknown(name: str, known: list[str]) -> str:
    """Return what to say of a name that is none of the known ones."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"has no {name!r}; did you mean {near[0]!r}?" if near else f"has no {name!r}; it takes no settings"


def _read(kind: Any, value: Any, *, where: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):  # an optional one; TOML leaves it out, JSON says null
        (kind,) = (one for one in inner if one is not type(None))
        return None if value is None else _read(kind, value, where=where)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = [inner[0]] * len(value) if inner[-1] is ... else inner
        return tuple(_read(kinds[at], one, where=f"{where}[{at}]") for at, one in enumerate(value))
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {
            _read(inner[0], name, where=where): _read(inner[1], one, where=f"{where}.{name}")
            for name, one in value.items()
        }
    if is_dataclass(kind):
        return read_settings(kind, value, where=where)  # type: ignore[arg-type]
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        if value not in list(kind):
            raise OptionError(f"{where} is {value!r:.80}; choose one of {', '.join(kind)}")
        return kind(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    is_right = (
        isinstance(value, int | float if kind is float else kind) if kind in _WORDS and kind is not Path else False
    )
    if is_right and (kind is bool or not isinstance(value, bool)):
        return float(value) if kind is float else value
    wanted = "a list" if origin is tuple else "a table" if origin is not None else _WORDS[kind]
    raise OptionError(f"{where} is {value!r:.80}; give {wanted}")
