"""Mix sources by weight: sample number n is always the same record, so the state of the stream is one integer.

Samples come in blocks that hold each source by its share, in shuffled order. Each source is walked through in a
permutation of its own for each of its epochs, computed number by number; nothing grows with the data.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from kangaroo.data.record import DataError, Record
from kangaroo.data.sources import RecordSource
from kangaroo.errors import OptionError

_LEAST_A_BLOCK = 64  # of the rarest source, so that rounding moves no share by more than one part in 128
_BLOCKS = (256, 1 << 20)
_ROUNDS = 6
_WORD = (1 << 64) - 1


@runtime_checkable
class Numbered(Protocol):
    """Anything that holds samples by number, 0 up to its length, and knows the files behind them."""

    def __len__(self) -> int: ...

    def files(self) -> tuple[Path, ...]:
        """Return those files."""


@dataclass(frozen=True, kw_only=True)
class Ingredient:
    """A source and how much of the mixture it makes up, against the sum of all weights."""

    source: Numbered
    weight: float


@dataclass(frozen=True)
class Pick:
    """Which record a sample is: the name of its source and its number there."""

    name: str
    number: int


class Mixture:
    """Endless samples over named sources. Safe to use from several threads and processes.

    >>> mixture = Mixture({"films": Ingredient(source=open_source(folder), weight=1.0)}, seed=0)
    >>> mixture.read(mixture.pick(123))

    Raises:
        OptionError: There is no source, or a weight is impossible or too small to be kept exactly.
        DataError: A source holds no record.
    """

    def __init__(self, ingredients: Mapping[str, Ingredient], *, seed: int) -> None:
        if not ingredients:
            raise OptionError("the mixture has no source; name one")
        self.ingredients, self.seed = dict(ingredients), seed
        for name, one in self.ingredients.items():
            if not (math.isfinite(one.weight) and one.weight > 0):
                raise OptionError(f"the weight of {name!r} is {one.weight:g}; give more than 0, or leave it out")
            if not len(one.source):
                raise DataError(f"the source {name!r} holds no record; leave it out")
        self._names = list(self.ingredients)
        self._counts = _block_counts({name: one.weight for name, one in self.ingredients.items()})
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.ingredients, self.seed)

    def pick(self, number: int, *, skipped: int = 0) -> Pick:
        """Return which record sample `number` is; the one that is `skipped` places further on in its source.

        What takes a bad sample's place comes from the same source, so shares stay what they are.
        """
        block, place = divmod(number, sum(self._counts))
        which, rank = (int(one[place]) for one in self._order(block))
        name = self._names[which]
        size = len(self.ingredients[name].source)
        epoch, offset = divmod(block * self._counts[which] + rank + skipped, size)
        return Pick(name, permuted(offset, size, key=_key(self.seed, name, epoch)))

    def read(self, pick: Pick) -> Record:
        """Return a picked record.

        Raises:
            DataError: It is broken.
        """
        return self.source(pick).read(pick.number)

    def source(self, pick: Pick) -> RecordSource:
        """Return the source of a picked record."""
        source = self.ingredients[pick.name].source
        assert isinstance(source, RecordSource), f"{pick.name} holds no records"
        return source

    def manifest(self) -> list[dict[str, Any]]:
        """Return what was mixed, as plain values: a run that resumes on other data can tell."""
        return [
            {
                "name": name,
                "weight": one.weight,
                "records": len(one.source),
                "files": [{"path": str(path), "bytes": path.stat().st_size} for path in one.source.files()],
            }
            for name, one in self.ingredients.items()
        ]

    def _shuffled(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        """Return for each place of a block which source it takes, and how many of that source stand before it."""
        which = np.repeat(np.arange(len(self._counts)), self._counts)
        np.random.Generator(np.random.Philox(_key(self.seed, "", block))).shuffle(which)
        ranks = np.empty_like(which)
        for source, count in enumerate(self._counts):
            ranks[which == source] = np.arange(count)
        return which, ranks


def permuted(offset: int, size: int, *, key: int) -> int:
    """Return where a seeded permutation of `size` numbers sends `offset`.

    A Feistel network over the next even power of two, walked on until it lands inside (Black and Rogaway, "Ciphers
    with arbitrary finite domains", 2002).
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = offset >> half, offset & mask
        for turn in range(_ROUNDS):
            left, right = right, left ^ (_mixed(right + (turn << 40) ^ key) & mask)
        offset = left << half | right
        if offset < size:
            return offset


def _mixed(value: int) -> int:
    """Scramble 64 bits (the finaliser of SplitMix64)."""
    value = (value + 0x9E3779B97F4A7C15) & _WORD
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _WORD
    return value ^ value >> 31


def _key(seed: int, name: str, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}\0{name}\0{number}".encode()).digest()[:8], "little")


def _block_counts(weights: Mapping[str, float]) -> Sequence[int]:
    """Return how many samples of each source a block holds."""
    total = sum(weights.values())
    rarest = min(weights, key=weights.__getitem__)
    size = max(_BLOCKS[0], math.ceil(_LEAST_A_BLOCK * total / weights[rarest]))
    if size > _BLOCKS[1]:
        raise OptionError(
            f"the weight of {rarest!r} is {weights[rarest] / total:.2g} of all; give at least "
            f"{_LEAST_A_BLOCK / _BLOCKS[1]:.2g} or leave it out"
        )
    return [round(weight / total * size) for weight in weights.values()]


def _rebuilt(ingredients: Mapping[str, Ingredient], seed: int) -> Mixture:
    return Mixture(ingredients, seed=seed)
