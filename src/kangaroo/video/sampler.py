"""The one rule that picks the seconds of a film at which the model looks.

Times count from the film's first frame. The same rule is saved with a model and used in training, chat,
serving and evaluation, so that a frame is never picked in two ways.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

import numpy as np
from jaxtyping import Float64

from kangaroo.errors import OptionError

DEFAULT_FPS = 1.0
MOST_FRAMES = 1 << 20  # a number of frames beyond it is a slip, and their times alone would fill a memory
_OPTIONAL = frozenset({"fps", "num_frames", "start_s", "end_s"})


class Align(StrEnum):
    """Where in its share of the clip a frame is taken, the clip being cut into as many equal shares as frames.

    LEFT takes the start of each share, so 1 frame a second falls on whole seconds and the last share's end is
    never seen. MIDDLE takes the middle, which favours neither end. EDGES spreads the frames from the clip's
    first to its last frame, both included.
    """

    LEFT = "left"
    MIDDLE = "middle"
    EDGES = "edges"


class Parity(StrEnum):
    """Whether a count that follows from `fps` is made even: the patchify step folds frames in pairs."""

    ANY = "any"
    EVEN = "even"


@dataclass(frozen=True, kw_only=True)
class FrameSampler:
    """How many frames are looked at, and when.

    >>> FrameSampler().wanted_times(92.3)           # 92 frames, one for each second
    >>> FrameSampler(num_frames=8, start_s=60.0)    # 8 frames of what follows the first minute

    The default is what we infer of the original: 1 frame a second, 16 to 64 frames for films up to 64 s and
    64 to 160 beyond. At 1 frame a second that equals a single clamp to 16..160, which is how it is written.
    The alignment was never published; MIDDLE is our choice (it is what segment-wise samplers do).

    Attributes:
        fps: Frames a second; None exactly when `num_frames` is given.
        num_frames: An exact count, which neither the minimum, the maximum nor the parity alters.
        min_frames: The fewest frames that `fps` may lead to. A film with fewer gives each of its frames once.
        max_frames: The most frames that `fps` may lead to.
        align: Where in its share of the clip each frame is taken.
        start_s: Start of the clip, None for the film's start.
        end_s: End of the clip, None for the film's end; an end past the film's end means the film's end.
        parity: Whether a count that follows from `fps` is made even.
        snap_s: A key frame at most this far from a wanted time is taken instead of the exact frame, since it
            decodes alone. 0 is frame-exact.

    Raises:
        OptionError: A value is impossible, or two contradict each other.
    """

    fps: float | None = DEFAULT_FPS
    num_frames: int | None = None
    min_frames: int = 16
    max_frames: int = 160
    align: Align = Align.MIDDLE
    start_s: float | None = None
    end_s: float | None = None
    parity: Parity = Parity.EVEN
    snap_s: float = 0.0

    def __post_init__(self) -> None:
        if self.num_frames is not None and self.fps == DEFAULT_FPS:  # a bare FrameSampler(num_frames=8)
            object.__setattr__(self, "fps", None)
        if self.num_frames is not None and self.fps is not None:
            raise OptionError(f"both fps {self.fps:g} and num_frames {self.num_frames} are given; give one")
        if self.num_frames is None and self.fps is None:
            raise OptionError("neither fps nor num_frames is given; give one")
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise OptionError(f"fps is {self.fps:g}; give a rate above 0")
        if self.num_frames is not None and self.num_frames < 1:
            raise OptionError(f"num_frames is {self.num_frames}; give 1 or more")
        for name, number in (("num_frames", self.num_frames), ("min_frames", self.min_frames)):
            if number is not None and number > MOST_FRAMES:
                raise OptionError(f"{name} is {number}; give {MOST_FRAMES} or fewer")
        if self.min_frames < 1:
            raise OptionError(f"min_frames is {self.min_frames}; give 1 or more")
        if self.max_frames < self.min_frames:
            raise OptionError(f"max_frames {self.max_frames} is below min_frames {self.min_frames}; raise it")
        if self.parity is Parity.EVEN and self.num_frames is None and self.max_frames < 2:
            raise OptionError(f"max_frames {self.max_frames} leaves no even count; give 2 or more, or parity any")
        for name, value in (("start_s", self.start_s), ("end_s", self.end_s), ("snap_s", self.snap_s)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise OptionError(f"{name} is {value:g}; give 0 or more seconds")
        if self.end_s is not None and self.end_s <= (self.start_s or 0.0):
            raise OptionError(f"the clip ends at {self.end_s:g} s, not after its start at {self.start_s or 0.0:g} s")

    def clip_s(self, duration_s: float) -> tuple[float, float]:
        """Return start and end of the part of a film of `duration_s` seconds that is looked at.

        Raises:
            OptionError: The clip starts at or after the film's end.
        """
        start_s = self.start_s or 0.0
        if start_s > 0 and start_s >= duration_s:
            raise OptionError(f"the clip starts at {start_s:g} s but the film lasts {duration_s:.3f} s; start earlier")
        return start_s, max(start_s, duration_s if self.end_s is None else min(self.end_s, duration_s))

    def wanted_times(self, duration_s: float) -> Float64[np.ndarray, " frame"]:
        """Return the seconds wanted of a film of `duration_s` seconds, in order, from the film's first frame on.

        Raises:
            OptionError: The clip starts at or after the film's end.
        """
        start_s, end_s = self.clip_s(duration_s)
        count = self._count(end_s - start_s)
        if self.align is Align.EDGES:
            return np.linspace(start_s, end_s, count) if count > 1 else np.array([(start_s + end_s) / 2])
        offset = 0.5 if self.align is Align.MIDDLE else 0.0
        return start_s + (np.arange(count) + offset) * ((end_s - start_s) / count)

    def _count(self, span_s: float) -> int:
        if self.num_frames is not None:
            return self.num_frames
        assert self.fps is not None, "checked at construction"
        wanted = math.floor(min(span_s * self.fps, self.max_frames) + 0.5)  # a product may be beyond all numbers
        count = min(max(wanted, self.min_frames), self.max_frames)
        if self.parity is Parity.EVEN and count % 2:
            return count + 1 if count < self.max_frames else count - 1
        return count

    def with_options(
        self,
        *,
        fps: float | None = None,
        num_frames: int | None = None,
        start_s: float | None = None,
        end_s: float | None = None,
        max_frames: int | None = None,
    ) -> "FrameSampler":
        """Return this sampler with what a person asked for; None keeps what it is. A rate replaces a count.

        A new maximum below the minimum lowers the minimum too.

        Raises:
            OptionError: Both a rate and a count are asked for, or a value is impossible.
        """
        if fps is not None and num_frames is not None:
            raise OptionError(f"both fps {fps:g} and num_frames {num_frames} are given; give one")
        changes: dict[str, Any] = {"start_s": start_s, "end_s": end_s, "max_frames": max_frames}
        changes = {name: value for name, value in changes.items() if value is not None}
        if fps is not None or num_frames is not None:
            changes |= {"fps": fps, "num_frames": num_frames}
        if max_frames is not None and max_frames < self.min_frames:
            changes["min_frames"] = max_frames
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {name: str(value) if isinstance(value, StrEnum) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "FrameSampler":
        """Read what `to_dict` gave.

        Raises:
            OptionError: A name is unknown or a value impossible.
        """
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                nearest = get_close_matches(name, known, n=1, cutoff=0.0)[0]
                raise OptionError(f"the frame sampler has no option {name!r}; did you mean {nearest!r}?")
        return cls(**{name: _read(name, value) for name, value in values.items()})


_KINDS: dict[str, Any] = {
    "fps": float,
    "num_frames": int,
    "min_frames": int,
    "max_frames": int,
    "align": Align,
    "start_s": float,
    "end_s": float,
    "parity": Parity,
    "snap_s": float,
}


def _read(name: str, value: Any) -> Any:
    """Return a value as JSON gives it in the type of its field."""
    kind = _KINDS[name]
    if value is None and name in _OPTIONAL:
        return None
    if issubclass(kind, StrEnum):
        if value not in list(kind):
            raise OptionError(f"{name} is {value!r}; choose one of {', '.join(kind)}")
        return kind(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or (kind is int and not float(value).is_integer()):
        raise OptionError(f"{name} is {value!r}; give {'a whole number' if kind is int else 'a number'}")
    return kind(value)
