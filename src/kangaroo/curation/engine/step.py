"""A step as a plain value, and the signature that tells whether its results still hold.

A unit of work is a subject (a file, a video's content or a clip) and a step's signature: the hash of the step's name,
code version, settings and the signatures of what it needs. Subjects are named by the hash of their content, so what a
unit was made from is in its name, and a unit that is recorded never needs to be made again.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any


class Seen(StrEnum):
    """What a step may need that looks at pictures; all steps share one decoding.

    STILLS: a few frames of a clip. PAIRS: two frames shown shortly after one another, then two others, and so on.
    GLANCES: two small frames a second. CHANGES: what changes from frame to frame. These are for workers; KEY_FRAMES,
    which models are shown, are for steps that run here.
    """

    STILLS = "stills"
    PAIRS = "pairs"
    GLANCES = "glances"
    CHANGES = "changes"
    KEY_FRAMES = "key_frames"


class Runs(StrEnum):
    """Where a step runs.

    WORKER: in a process that can be killed, for whatever decodes or computes. HERE: in a thread of this process, for
    what waits for a model; only clips that were kept get there, and an endpoint that fails leaves the clip blocked.
    """

    WORKER = "worker"
    HERE = "here"


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is found out about a clip.

    >>> Step(name="text", version=1, settings=TextSettings(), needs=(Seen.STILLS,), function=measure_text)

    Attributes:
        name: Names the results, and the settings' table in a recipe.
        version: To be raised when the code's results change.
        settings: A frozen dataclass.
        needs: Names of steps, and what is seen of the clip.
        function: Called with the clip, what it needs by name, and the settings. Returns a dataclass or plain values
            that JSON can hold. For a worker it must be one that a fresh interpreter can import.
        runs: Where.
        depends_on: What the results depend on, where that is less than all settings: not an endpoint's time limit.
    """

    name: str
    version: int
    settings: Any
    needs: tuple[str, ...]
    function: Callable[..., Any]
    runs: Runs = Runs.WORKER
    depends_on: Any = None

    @property
    def looks(self) -> bool:
        """Whether it needs the pictures."""
        return any(name in set(Seen) for name in self.needs)


def in_order(steps: Sequence[Step]) -> list[Step]:
    """Return steps so that each stands behind what it needs."""
    named = {step.name: step for step in steps}
    assert len(named) == len(steps), "two steps have one name"
    graph = {step.name: [name for name in step.needs if name not in set(Seen)] for step in steps}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(f"steps need one another: {error.args[1]}") from None
    assert set(order) <= named.keys(), f"nobody makes {sorted(set(order) - named.keys())}"
    return [named[name] for name in order]


def signatures(steps: Sequence[Step], *, seen: Mapping[Seen, Any]) -> dict[str, str]:
    """Return each step's signature. `seen` holds the settings by which pictures are taken."""
    found = {str(name): _hash(name, settings) for name, settings in seen.items()}
    for step in in_order(steps):
        counts = plain(step.settings if step.depends_on is None else step.depends_on)
        found[step.name] = _hash(step.name, step.version, counts, [found[name] for name in step.needs])
    return {step.name: found[step.name] for step in steps}


def plain(value: Any) -> Any:
    """Return values that JSON holds, for a dataclass of such, a path or an enum."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def dumps(value: Any) -> str:
    """Return the one spelling of plain values, so that equal results are equal bytes.

    Raises:
        ValueError: A number is not finite: a step that cannot measure must say so, not return NaN.
    """
    return json.dumps(plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _hash(*values: Any) -> str:
    return hashlib.sha256(dumps(list(values)).encode()).hexdigest()[:16]
