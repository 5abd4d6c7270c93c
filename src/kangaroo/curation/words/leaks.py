"""Keep what a benchmark shows and asks out of training data. Imports without torch."""

from dataclasses import dataclass
from pathlib import Path

from kangaroo.errors import OptionError
from kangaroo.playground.wording import LETTER_ONLY

ORDERS = tuple(phrase for phrases in LETTER_ONLY.values() for phrase in phrases)  # everybody's words


@dataclass(frozen=True, kw_only=True)
class LeakSettings:
    """What training may not hold.

    Attributes:
        fingerprints: Files that `kangaroo evaluate fingerprint` wrote, one a benchmark.
        share: A clip goes that shows a benchmark's films in so much of its pictures.
        bits: Pictures are the same that differ in so many of 64 bits or fewer.
    """

    fingerprints: tuple[Path, ...] = ()
    share: float = 0.3
    bits: int = 10

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise OptionError(f"share is {self.share:g}; give more than 0, at most 1")
        if not 0 <= self.bits < 32:
            raise OptionError(f"bits is {self.bits}; give 0 to 31")
