"""What memory a network and a question about a film take, by arithmetic. One conversation at a time."""

import math
from dataclasses import dataclass

from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.memory import Need, most_frames_that, needed
from kangaroo.release.model import expected_shapes

WORDS = 1024
"""Tokens of the question and of the longest answer."""

_OVERHEAD = 0.6e9  # what a device's own libraries take
_INT8_PART = ".layers."


@dataclass(frozen=True, kw_only=True)
class Precision:
    """In what numbers a network is held: bytes of one, and whether the language model's matrices take one byte."""

    name: str
    bytes_each: int
    int8: bool = False


@dataclass(frozen=True, kw_only=True)
class Whole:
    """Bytes that a network and a question about so many frames take."""

    weights: float
    question: Need

    @property
    def total(self) -> float:
        """What must be free before the weights are loaded."""
        return self.weights + self.question.total + _OVERHEAD


class Fit:
    """Which films a network can be asked about.

    Args:
        config: The network's.
        precision: How it is held.
    """

    def __init__(self, config: KangarooConfig, precision: Precision) -> None:
        self._config, self._precision = config, precision
        self._layout = config.layout()
        self._weights = float(sum(self._held(name, shape) for name, shape in expected_shapes(config).items()))

    @property
    def most_frames(self) -> int:
        """The most frames that the context holds."""
        return self._layout.most_frames(self._config.text_config.max_position_embeddings - WORDS)

    def need(self, num_frames: int) -> Whole:
        """Return what a question about a film of so many frames takes; of none, what its words take."""
        question = needed(
            self._config,
            num_frames=num_frames,
            num_tokens=(self._layout.num_tokens(num_frames) if num_frames else 0) + WORDS,
            bytes_each=self._precision.bytes_each,
            int8=self._precision.int8,
        )
        return Whole(weights=self._weights, question=question)

    def frames_within(self, num_bytes: int | float) -> int:
        """Return the most frames of a film that so much memory serves, at most those of the context; 0 for none."""
        return most_frames_that(lambda count: self.need(count).total <= num_bytes, self._config, limit=self.most_frames)

    def _held(self, name: str, shape: tuple[int, ...]) -> int:
        narrow = self._precision.int8 and _INT8_PART in name and len(shape) == 2
        return (
            math.prod(shape) * (1 if narrow else self._precision.bytes_each)
            + narrow * shape[0] * self._precision.bytes_each
        )
