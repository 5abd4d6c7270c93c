"""What a machine fixes of a training run, read from a small TOML file. Imports without torch."""

import difflib
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_type_hints

from kangaroo.errors import OptionError
from kangaroo.training.curriculum import CURRICULA, Drawn, Records, Stage

_SEEDS = 1 << 63


class Recompute(StrEnum):
    """What of a block's forward pass the backward pass does again, rather than keep it in memory.

    SELECTIVE keeps what matrix products and attention gave and computes again what is cheap; FULL keeps the block's
    input alone.
    """

    NONE = "none"
    SELECTIVE = "selective"
    FULL = "full"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Which curriculum, on what data, where to write, on what machine.

    Attributes:
        out: The run folder; a run that stands there goes on.
        curriculum: A name of `CURRICULA`.
        start: A model's folder to start from: its weights and tokenizer; None starts at random.
        data: Paths of records by the names that the curriculum calls them.
        samples: How many samples each stage sees, instead of the curriculum's own number: one for all, or one each.
        rows: Packed rows in one step over all GPUs, likewise.
        device: Where to train: `cpu`, `cuda` or one of several GPUs, `cuda:1`.
        workers: Processes that read, draw and pack.
        lookahead: Samples that each row chooses among; more fill rows better and hold more films in memory.
        rows_per_pass: Packed rows that pass a GPU together; a step's other rows follow, gradients added up.
        recompute: What the backward pass computes again.
        context_gpus: GPUs that share each row, for rows longer than one GPU holds.
        lora_rank: Above 0 the language model's matrices stay and low-rank additions train instead.
        seed: Of weights, order and films.
        minutes: Stop, saved, after so long; None runs to the end.
        log_every: Steps between lines of metrics.
        save_every: Steps between checkpoints.
        probe_every: Steps between probes on playground films; 0 never probes.
        probe_films: Films of a probe.
        gpus: How many GPUs `--dry-run` reckons with.
        gpu_teraflops: Matrix products of one of them in a second, in 10^12 operations, for `--dry-run`.
        utilisation: Share of that which training reaches, for `--dry-run`.
    """

    out: Path
    curriculum: str = "joey"
    start: Path | None = None
    data: Mapping[str, Path] = field(default_factory=dict)
    samples: int | tuple[int, ...] | None = None
    rows: int | None = None
    device: str = "cuda"
    workers: int = 8
    lookahead: int = 32
    rows_per_pass: int = 1
    recompute: Recompute = Recompute.NONE
    context_gpus: int = 1
    lora_rank: int = 0
    seed: int = 0
    minutes: float | None = None
    log_every: int = 50
    save_every: int = 500
    probe_every: int = 0
    probe_films: int = 96
    gpus: int = 8
    gpu_teraflops: float = 750.0
    utilisation: float = 0.5

    def __post_init__(self) -> None:
        if self.curriculum not in CURRICULA:
            raise OptionError(f"no curriculum is called {self.curriculum!r}; known: {', '.join(CURRICULA)}")
        for name in ("workers", "lora_rank", "probe_every"):
            if getattr(self, name) < 0:
                raise OptionError(f"{name} is {getattr(self, name)}; give 0 or more")
        for name in ("lookahead", "rows_per_pass", "context_gpus", "log_every", "save_every", "probe_films", "gpus"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}; give 1 or more")
        if len(self._samples) != (known_stages := len(CURRICULA[self.curriculum])):
            raise OptionError(
                f"samples names {len(self._samples)} numbers; give one, or one for each of {known_stages} stages"
            )
        for name, value in (("rows", self.rows), *(("samples", one) for one in self._samples)):
            if value is not None and value < 1:
                raise OptionError(f"{name} is {value}; give 1 or more, or leave it out")
        if not 0 < self.utilisation <= 1:
            raise OptionError(f"utilisation is {self.utilisation:g}; give a share above 0, at most 1")
        if not (math.isfinite(self.gpu_teraflops) and self.gpu_teraflops > 0):
            raise OptionError(f"gpu_teraflops is {self.gpu_teraflops:g}; give more than 0")
        if self.minutes is not None and not (math.isfinite(self.minutes) and self.minutes >= 0):
            raise OptionError(f"minutes is {self.minutes:g}; give 0 or more, or leave it out")
        if not 0 <= self.seed < _SEEDS:
            raise OptionError(f"seed is {self.seed}; give 0 or more, less than 2^63")
        if not re.fullmatch(r"cpu|cuda(:\d{1,3})?", self.device, re.ASCII):
            raise OptionError(f"device is {self.device!r}; give cpu, cuda, or cuda:1 for one of several")
        silent = [stage.name for stage in self.stages if not any(isinstance(one, Drawn) for one in stage.data)]
        if self.probe_every and silent:
            raise OptionError(f"probe_every: probes ask about drawn films, which {silent[0]} has none of; leave it out")
        known = {one.name for stage in self.stages for one in stage.data if isinstance(one, Records)}
        for name in self.data:
            if name not in known:
                raise OptionError(f"[data] {_unknown(name, sorted(known), f'the curriculum {self.curriculum!r}')}")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The curriculum's stages, as this recipe changes them."""
        return tuple(
            replace(stage, samples=seen or stage.samples, rows=self.rows or stage.rows)
            for stage, seen in zip(CURRICULA[self.curriculum], self._samples, strict=True)
        )

    @property
    def _samples(self) -> tuple[int | None, ...]:
        each = self.samples
        return each if isinstance(each, tuple) else (each,) * len(CURRICULA[self.curriculum])

    def check_shared(self, stage: Stage, num_gpus: int) -> None:
        """Refuse a number of GPUs that cannot share a stage's rows.

        Raises:
            OptionError: With the numbers.
        """
        groups, left = divmod(num_gpus, self.context_gpus)
        if left:
            raise OptionError(
                f"context_gpus = {self.context_gpus} does not divide {num_gpus} GPUs; use a multiple of it"
            )
        if stage.rows % groups:
            raise OptionError(
                f"stage {stage.name} has {stage.rows} rows in a step, which {num_gpus} GPUs, {self.context_gpus} to a "
                "row, cannot share evenly; use a number that divides it, or other rows"
            )
        if stage.context_tokens % self.context_gpus:
            raise OptionError(
                f"stage {stage.name} has rows of {stage.context_tokens} tokens, which context_gpus = "
                f"{self.context_gpus} does not divide; give another number"
            )

    @property
    def machine(self) -> str:
        """What `--dry-run` reckons with, in words."""
        gpus = "1 GPU" if self.gpus == 1 else f"{self.gpus} GPUs"
        return f"{gpus} of {self.gpu_teraflops:g} TFLOP/s, used at {self.utilisation:.0%}"

    def span(self, stages: str | None) -> tuple[int, int]:
        """Return numbers of the first and last stage that `3` or `3-5` names; all for None.

        Raises:
            OptionError: There are no such stages.
        """
        most = len(self.stages)
        if stages is None:
            return 1, most
        found = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", stages, re.ASCII)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 1 <= first <= last <= most:
            raise OptionError(f"--stages {stages} names none of stages 1-{most}; give one, such as 3, or a span, 3-5")
        return first, last

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Read a recipe; relative paths in it count from where the command runs.

        Raises:
            OptionError: The file is missing or no TOML, a key is unknown or missing, or a value has the wrong kind.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise OptionError(f"{path}: no such recipe; recipes/ holds examples") from None
        except (OSError, ValueError, RecursionError) as error:
            raise OptionError(f"{path}: not a recipe ({error})") from None
        kinds = get_type_hints(cls)
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise OptionError(f"{path}: {_unknown(name, known, 'a recipe')}")
        if "out" not in values:
            raise OptionError(f"{path}: out is missing; name the folder that the run writes to")
        try:
            return cls(**{name: _read(name, value, kinds[name]) for name, value in values.items()})
        except OptionError as error:
            raise OptionError(f"{path}: {error}") from None


def _unknown(name: str, known: list[str], where: str) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"{where} has no {name!r}; " + (f"did you mean {near[0]!r}?" if near else "it takes no such names")


def _path(name: str, text: str) -> Path:
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise OptionError(f"{name} = {text!r}: there is no such user") from None
    if not text or "\0" in text:
        raise OptionError(f"{name} = {text!r} is no path")
    return path


def _read(name: str, value: Any, kind: Any) -> Any:
    """Return a TOML value in the type of its field."""
    if kind in (Path, Path | None) and isinstance(value, str):
        return _path(name, value)
    if name == "data" and isinstance(value, dict) and all(isinstance(path, str) for path in value.values()):
        return {key: _path(f"[data] {key}", path) for key, path in value.items()}
    if kind is Recompute and value in list(Recompute):
        return Recompute(value)
    if kind is str and isinstance(value, str):
        return value
    if name == "samples" and isinstance(value, list) and all(type(one) is int for one in value):
        return tuple(value)
    if int in (kind, *get_args(kind)) and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind in (float, float | None) and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    wanted = f"one of {', '.join(Recompute)}" if kind is Recompute else None
    if int in (kind, *get_args(kind)):
        wanted = "a whole number" + (", or a list of them" if name == "samples" else "")
    elif wanted is None:
        wanted = "a number" if kind in (float, float | None) else "text in quotes"
    raise OptionError(f"{name} = {value!r} is not {'a table of paths' if name == 'data' else wanted}")
