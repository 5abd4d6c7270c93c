"""What memory a question about films takes beside the weights, by arithmetic.

Its keys and values are kept with a quarter more room; when the answer begins they go over to the running batch layer by
layer, which takes no more.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from kangaroo.model.configuration import KangarooConfig


@dataclass(frozen=True, kw_only=True)
class Need:
    """Bytes that a question takes: keys and values of its tokens, and the largest step on the way to them."""

    cache: float
    work: float

    @property
    def total(self) -> float:
        """What must be free before it is read."""
        return 1.25 * self.cache + self.work


def needed(config: KangarooConfig, *, num_frames: int, num_tokens: int, bytes_each: int, int8: bool = False) -> Need:
    """Return what one conversation takes, read whole.

    Args:
        config: The network's.
        num_frames: Of its films together.
        num_tokens: Films, words and the longest answer.
        bytes_each: Of one number, as the network computes.
        int8: Whether the language model's matrices are held in eight bits: two are widened at a time.
    """
    text, vision = config.text_config, config.vision_config
    cache = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * bytes_each * num_tokens
    patches = min(num_frames, config.vision_chunk_frames) * (1 + (vision.image_size // vision.patch_size) ** 2)
    # a block's inner width three times, its own width six times; queries and keys turn in float32
    seeing = patches * (bytes_each * (3 * vision.intermediate_size + 6 * vision.hidden_size) + 8 * vision.hidden_size)
    reading = num_tokens * bytes_each * (3 * text.intermediate_size + 6 * text.hidden_size)
    widened = 2 * bytes_each * text.intermediate_size * text.hidden_size if int8 else 0
    return Need(cache=float(cache), work=float(max(seeing, reading + widened)))


def most_frames_that(fits: Callable[[int], bool], config: KangarooConfig, *, limit: int) -> int:
    """Return the largest number of frames up to a limit, in whole groups that fold together, that fits; 0 for none.

    Where a number fits, fewer do.
    """
    fold = config.layout().kernel[0]
    return fold * bisect_left(range(fold, limit + 1, fold), True, key=lambda count: not fits(count))
