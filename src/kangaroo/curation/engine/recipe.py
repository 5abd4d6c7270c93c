"""What a curation run is asked for, read from a TOML file: videos, place, machine, and a table for each step."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from kangaroo.curation.settings import read_settings, unknown
from kangaroo.errors import OptionError


class Engine(StrEnum):
    """Where the processes run that decode and compute. LOCAL: on this machine. RAY: on the nodes of a Ray cluster."""

    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a run may use.

    Attributes:
        engine: Where its processes run.
        address: Of the Ray cluster, as `ray.init` takes it; `local` starts one on this machine. By default the one
            that this machine belongs to.
        workers: Processes that decode and compute.
        asking: Clips that wait for models at a time.
        memory_gib: Of each such process.
        limit_s: For one file or clip; a film gets `frame_limit_s` for each of its frames on top.
        frame_limit_s: See above.
    """

    engine: Engine = Engine.LOCAL
    address: str | None = None
    workers: int = 2
    asking: int = 8
    memory_gib: float = 8.0
    limit_s: float = 120.0
    frame_limit_s: float = 0.1

    def __post_init__(self) -> None:
        if self.address is not None and self.engine != Engine.RAY:
            raise OptionError(f'address is {self.address!r}, but engine is {self.engine}; give engine = "ray"')
        for name in ("workers", "asking"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}; give 1 or more")
        for name in ("memory_gib", "limit_s", "frame_limit_s"):
            if not 0 < getattr(self, name) < 1e9:
                raise OptionError(f"{name} is {getattr(self, name):g}; give more than 0")

    def film_limit_s(self, num_frames: int) -> float:
        """Return how long a film of so many frames may take."""
        return self.limit_s + self.frame_limit_s * num_frames


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a score may be, ends included. None is no bound."""

    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise OptionError(f"min {self.min:g} is above max {self.max:g}; nothing could be kept")


class Of(StrEnum):
    """What a rule is about: ALL clips, or FILMS only, since an image has no motion."""

    ALL = "all"
    FILMS = "films"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A threshold: clips whose score is out of bounds are dropped.

    Attributes:
        name: What a recipe calls it, in `[keep.NAME]`.
        score: The step and field that it looks at, such as `text.coverage`.
        bounds: By default.
        of: Which clips it is about.
    """

    name: str
    score: str
    bounds: Bounds
    of: Of = Of.ALL


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole run.

    Attributes:
        videos: Files, folders (searched through), globs, and .txt files that list such, one a line.
        out: The folder that the run writes to; a run that stands there goes on.
        machine: What the run may use.
        steps: Settings of steps, by name.
        keep: Bounds by the names of rules.
    """

    videos: tuple[str, ...]
    out: Path
    machine: Machine = Machine()
    steps: Mapping[str, Any] = field(default_factory=dict)
    keep: Mapping[str, Bounds] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.videos:
            raise OptionError("videos is empty; name files, folders or globs")

    @classmethod
    def read(cls, path: Path, *, steps: Mapping[str, type], rules: tuple[Rule, ...]) -> "Recipe":
        """Read a recipe; relative paths in it count from where the command runs.

        Args:
            path: The file.
            steps: The kind of settings of each step that has any.
            rules: What `[keep]` may name.

        Raises:
            OptionError: The file is missing or no TOML, a key is unknown or missing, or a value is impossible.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise OptionError(f"{path}: no such recipe; recipes/ holds examples") from None
        except (OSError, ValueError) as error:
            raise OptionError(f"{path}: not a recipe ({error})") from None
        own = [one.name for one in fields(cls) if one.name != "steps"]
        for name in values:
            if name not in own and name not in steps:
                raise OptionError(f"{path}: a recipe {unknown(name, [*own, *steps])}")
        tables: dict[str, Any] = {
            name: read_settings(kind, values.get(name, {}), where=f"{path}: [{name}]") for name, kind in steps.items()
        }
        rest = {name: value for name, value in values.items() if name in own}
        recipe = replace(read_settings(cls, rest, where=f"{path}:"), steps=tables)
        return replace(recipe, keep=bounds_of(rules, recipe.keep, where=f"{path}: [keep]"))


def bounds_of(rules: tuple[Rule, ...], asked: Mapping[str, Bounds], *, where: str) -> dict[str, Bounds]:
    """Return the bounds of every rule: what is asked, over what is the default.

    Raises:
        OptionError: No rule has such a name.
    """
    known = {rule.name: rule.bounds for rule in rules}
    for name in asked:
        if name not in known:
            raise OptionError(f"{where} {unknown(name, list(known))}")
    return {name: _over(bounds, asked.get(name)) for name, bounds in known.items()}


def _over(default: Bounds, asked: Bounds | None) -> Bounds:
    if asked is None:
        return default
    given = {name: getattr(asked, name) for name in ("min", "max") if getattr(asked, name) is not None}
    return replace(default, **given)


def read_set(texts: list[str], now: Mapping[str, Bounds]) -> dict[str, Bounds]:
    """Return bounds changed by texts such as `text.max=0.03`; `none` takes a bound away.

    Raises:
        OptionError: A text is not of that form, or names no rule.
    """
    changed = dict(now)
    for text in texts:
        key, equals, value = text.partition("=")
        name, dot, side = key.strip().partition(".")
        if not (equals and dot and side in ("min", "max")):
            raise OptionError(f"--set {text!r} is not of the form text.max=0.03")
        if name not in changed:
            raise OptionError(f"--set {text!r}: [keep] {unknown(name, list(changed))}")
        try:
            number = None if value.strip() == "none" else float(value)
        except ValueError:
            raise OptionError(f"--set {text!r}: {value!r} is no number; give one, or none") from None
        changed[name] = replace(changed[name], **{side: number})
    return changed
