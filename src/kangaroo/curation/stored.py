"""Make a result again from the plain values that it was stored as. Imports without torch."""

import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Result = TypeVar("Result")


def restore(kind: type[Result], values: Any) -> Result:
    """Return the dataclass whose `asdict`, through JSON or not, gave these values.

    >>> restore(Captions, json.loads(json.dumps(asdict(captions)))) == captions
    True

    Raises:
        TypeError: The values are of something else.
    """
    return _restore(kind, values)


def _restore(kind: Any, values: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (kind,) = (one for one in inner if one is not types.NoneType)
        return None if values is None else _restore(kind, values)
    if origin is tuple:
        return tuple(_restore(inner[0], one) for one in values)
    if origin is not None and issubclass(origin, Mapping):
        return {_restore(inner[0], name): _restore(inner[1], one) for name, one in values.items()}
    if is_dataclass(kind):
        if not isinstance(values, Mapping):
            raise TypeError(f"{values!r:.60} is no stored {kind}")
        kinds = get_type_hints(kind)
        return kind(**{name: _restore(kinds[name], one) for name, one in values.items()})  # type: ignore[operator]
    return kind(values) if isinstance(kind, type) and issubclass(kind, Enum) else values
