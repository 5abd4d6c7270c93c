"""What a machine fixes of a training run, read from a small TOML file. Imports without torch."""

import difflib
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from kangaroo.errors import OptionError
from kangaroo.training.curriculum import CURRICULA

_TEXTS = ("out", "curriculum", "start", "device")
_FRACTIONS = ("minutes",)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Which curriculum, where to write, on what, for how long.

    Attributes:
        out: The run folder; a run that stands there goes on.
        curriculum: A name of `CURRICULA`.
        start: A model's folder to start from: its weights and tokenizer; None starts at random.
        device: Where to train.
        workers: Processes that draw films.
        seed: Of weights and films.
        minutes: Stop, saved, after so long; None runs to the end.
        log_every: Steps between lines of metrics.
        probe_every: Steps between probes.
        save_every: Steps between saved states.
        probe_films: Films of a probe.
    """

    out: Path
    curriculum: str = "joey"
    start: Path | None = None
    device: str = "cuda"
    workers: int = 8
    seed: int = 0
    minutes: float | None = None
    log_every: int = 50
    probe_every: int = 500
    save_every: int = 500
    probe_films: int = 96

    def __post_init__(self) -> None:
        if self.curriculum not in CURRICULA:
            raise OptionError(f"no curriculum is called {self.curriculum!r}; known: {', '.join(CURRICULA)}")
        if self.workers < 0:
            raise OptionError(f"workers is {self.workers}; give 0 (draw in the training process) or more")
        for name in ("log_every", "probe_every", "save_every", "probe_films"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}; give 1 or more")

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Read a recipe; relative folders in it count from where the command runs.

        Raises:
            OptionError: The file is missing or no TOML, a key is unknown or missing, or a value has the wrong kind.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise OptionError(f"{path}: no such recipe; recipes/ holds examples") from None
        except (OSError, ValueError) as error:
            raise OptionError(f"{path}: not a recipe ({error})") from None
        known = [field.name for field in fields(cls)]
        for name, value in values.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
                raise OptionError(f"{path}: no key is called {name!r}; did you mean {near[0]!r}?")
            kind, called = _kind(name)
            if isinstance(value, bool) or not isinstance(value, kind):
                raise OptionError(f"{path}: {name} = {value!r} is not {called}")
        if "out" not in values:
            raise OptionError(f"{path}: out is missing; name the folder that the run writes to")
        for name in ("out", "start"):
            if name in values:
                values[name] = Path(values[name])
        return cls(**values)


def _kind(name: str) -> tuple[type | tuple[type, ...], str]:
    if name in _TEXTS:
        return str, "text in quotes"
    return ((int, float), "a number") if name in _FRACTIONS else (int, "a whole number")
