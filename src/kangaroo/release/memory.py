"""What memory a question about a film takes, by arithmetic: weights, keys and values, and the largest step between.

One conversation at a time, read whole. Its keys and values are kept with a quarter more room and, when the answer
begins, once more in the running batch; by then the work of reading is over.
"""

import math
from dataclasses import dataclass

from kangaroo.model.configuration import KangarooConfig
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
class Need:
    """Bytes that a question about so many frames takes."""

    weights: float
    cache: float
    work: float

    @property
    def total(self) -> float:
        """What must be free before the weights are loaded."""
        return self.weights + max(1.25 * self.cache + self.work, 2.25 * self.cache) + _OVERHEAD


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

    def need(self, num_frames: int) -> Need:
        """Return what a question about a film of so many frames takes."""
        text, vision, each = self._config.text_config, self._config.vision_config, self._precision.bytes_each
        tokens = self._layout.num_tokens(num_frames) + WORDS
        cache = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * each * tokens
        patches = min(num_frames, self._config.vision_chunk_frames) * (
            1 + (vision.image_size // vision.patch_size) ** 2
        )
        # a block's inner width three times, its own width six times; queries and keys turn in float32
        seeing = patches * (each * (3 * vision.intermediate_size + 6 * vision.hidden_size) + 8 * vision.hidden_size)
        reading = tokens * each * (3 * text.intermediate_size + 6 * text.hidden_size)
        # one matrix of int8 is widened at a time
        widened = each * text.intermediate_size * text.hidden_size if self._precision.int8 else 0
        return Need(weights=self._weights, cache=float(cache), work=float(max(seeing, reading + widened)))

    def frames_within(self, num_bytes: int | float) -> int:
        """Return the most frames of a film that so much memory serves, at most those of the context; 0 for none."""
        fold = self._layout.kernel[0]
        groups = range(0, self.most_frames // fold + 1)
        fits = [count for count in groups if count and self.need(count * fold).total <= num_bytes]
        return max(fits, default=0) * fold

    def _held(self, name: str, shape: tuple[int, ...]) -> int:
        narrow = self._precision.int8 and _INT8_PART in name and len(shape) == 2
        return (
            math.prod(shape) * (1 if narrow else self._precision.bytes_each)
            + narrow * shape[0] * self._precision.bytes_each
        )
