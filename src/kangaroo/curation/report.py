"""Write what a curation run did as one HTML file that needs nothing else: no server, no network, no other file.

Everything that comes from videos, models or recipes is escaped, and the page forbids itself to load anything.
Imports without torch.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kangaroo.curation.words.asking import Cost
from kangaroo.curation.words.balance import Balance

if TYPE_CHECKING:
    from jinja2 import Template

_BINS = 40


@dataclass(frozen=True, kw_only=True)
class Remaining:
    """What is left after a step: clips (or videos) and hours."""

    step: str
    number: int
    hours: float


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """How a score is spread.

    Attributes:
        score: Its name, with the unit.
        counts: Clips in each of equal bins; scores past the ends are counted in the outermost.
        first: Where the first bin begins.
        last: Where the last one ends.
        low: Clips below are dropped, None for no such threshold.
        high: Clips above are dropped, None for no such threshold.
    """

    score: str
    counts: tuple[int, ...]
    first: float
    last: float
    low: float | None = None
    high: float | None = None

    def share(self, value: float) -> float:
        """Return where a value stands between first and last, 0 to 1."""
        return min(1.0, max(0.0, (value - self.first) / (self.last - self.first)))


def histogram(score: str, values: Sequence[float], *, low: float | None = None, high: float | None = None) -> Histogram:
    """Return how a score is spread, from its first to its 99th percentile and always over its thresholds."""
    assert values, f"{score} was measured on no clip"
    bounds = [bound for bound in (low, high) if bound is not None]
    edges = [*np.quantile(values, (0.01, 0.99)).tolist(), *bounds]
    first, last = min(edges), max(edges)
    last = last if last > first else first + 1.0
    counts, _ = np.histogram(np.clip(values, first, last), bins=_BINS, range=(first, last))
    return Histogram(score=score, counts=tuple(counts.tolist()), first=first, last=last, low=low, high=high)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A clip that the report shows.

    Attributes:
        id: The clip's.
        video: The name of its source.
        start_s: Where it begins there.
        end_s: Where it ends.
        reasons: Why it was dropped; empty where it stays.
        category: Of what kind it is, empty where nobody said.
        claims: The sentences of its caption and how many captioners make each.
        jpeg: One of its pictures, None where none could be taken.
        scores: What was measured.
    """

    id: str
    video: str
    start_s: float
    end_s: float
    reasons: tuple[str, ...] = ()
    category: str = ""
    claims: tuple[tuple[str, int], ...] = ()
    jpeg: bytes | None = None
    scores: tuple[tuple[str, float], ...] = ()

    @property
    def picture(self) -> str | None:
        """Its picture as a data URL."""
        return None if self.jpeg is None else f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode('ascii')}"


@dataclass(frozen=True, kw_only=True)
class Broken:
    """What was left out, in which step, and why."""

    subject: str
    step: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A model that was asked.

    Attributes:
        name: Who, and for what.
        clips: Clips that it was asked about.
        blocked: Clips that wait because it failed.
        cost: Of all its answers.
    """

    name: str
    clips: int
    blocked: int
    cost: Cost


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that the page tells.

    Attributes:
        about: What was run: recipe, version, time; by name.
        funnel: What was left after each step, in order.
        reasons: How many clips each reason dropped; one may have several.
        histograms: One a score.
        broken: The first things that were left out because they are broken.
        num_broken: How many there are in all.
        balance: Categories before and after, None where nothing was balanced.
        asked: Who was asked.
        tasks: Wanted share and number of records of each task.
        shown: Clips to look at.
    """

    about: Mapping[str, str]
    funnel: tuple[Remaining, ...]
    reasons: Mapping[str, int]
    histograms: tuple[Histogram, ...]
    broken: tuple[Broken, ...]
    num_broken: int
    balance: Balance | None
    asked: tuple[Asked, ...]
    tasks: Mapping[str, tuple[float, int]]
    shown: tuple[Shown, ...]

    @property
    def marks_lone(self) -> bool:
        """Whether a claim of one captioner alone says something: there were several."""
        return any(makers > 1 for clip in self.shown for _, makers in clip.claims)

    def html(self) -> str:
        """Return the page."""
        return _template().render(report=self, records=sum(number for _, number in self.tasks.values()))

    def write(self, path: Path) -> None:
        """Write the page."""
        path.write_text(self.html(), encoding="utf-8", errors="replace")  # file names may be no text


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = files("kangaroo.curation").joinpath("report.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(page)
