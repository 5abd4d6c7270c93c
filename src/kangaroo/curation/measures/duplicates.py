"""Find clips that show the same, exactly or nearly, and rank the copies of each cluster, best first.

Pictures that share a quarter of their hash's bits exactly are candidates; two clips are copies when, shifted in time
by one amount, most pictures of the shorter one match. No clip is compared with every other.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from jaxtyping import Float64, Int64, UInt64

from kangaroo.errors import OptionError

_log = logging.getLogger(__name__)
_QUARTERS = 4
_CROWD = 64  # clips that share a quarter; beyond, only neighbours in the order of whole hashes are compared
_GRID_S = 0.5


@dataclass(frozen=True, kw_only=True)
class DuplicateSettings:
    """When two clips are copies.

    Attributes:
        bits: Pictures match when at most so many of the 64 bits of their hashes differ.
        share: Of the shorter clip's pictures that must match at one shift in time.
        pictures: Fewest that must; all of a clip that has fewer.
    """

    bits: int = 8
    share: float = 0.8
    pictures: int = 3

    def __post_init__(self) -> None:
        if not 0 <= self.bits < 32:
            raise OptionError(f"bits is {self.bits}; give 0 to 31")
        if not 0 < self.share <= 1:
            raise OptionError(f"share is {self.share:g}; give more than 0, at most 1")
        if self.pictures < 1:
            raise OptionError(f"pictures is {self.pictures}; give 1 or more")


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A clip among its copies.

    Attributes:
        cluster: Names the cluster: the id of the clip that it was first found with.
        rank: 0 for the best copy.
        size: Clips of the cluster.
    """

    cluster: str
    rank: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Hashed:
    """A clip to compare: its hashes with their seconds, and how good a copy it is (larger is better)."""

    id: str
    hashes: UInt64[np.ndarray, " picture"]
    times_s: Float64[np.ndarray, " picture"]
    quality: tuple[float, ...]


def find_copies(clips: Iterable[Hashed], settings: DuplicateSettings, *, before: Mapping[str, str]) -> dict[str, Copy]:
    """Return the place of every clip among its copies.

    Args:
        clips: In the order of ids.
        settings: When two are copies.
        before: Clusters of runs before, by clip: a cluster keeps its name when it grows.
    """
    known = list(clips)
    groups = _Groups(len(known))
    for first, second in _candidates(known):
        if groups.of(first) != groups.of(second) and _are_copies(known[first], known[second], settings):
            groups.join(first, second)
    members: dict[int, list[int]] = {}
    for index in range(len(known)):
        members.setdefault(groups.of(index), []).append(index)
    found: dict[str, Copy] = {}
    for group in members.values():
        ids = sorted(known[index].id for index in group)
        cluster = min((before[name] for name in ids if name in before), default=ids[0])
        best_first = sorted(group, key=lambda index: ([-one for one in known[index].quality], known[index].id))
        for rank, index in enumerate(best_first):
            found[known[index].id] = Copy(cluster=cluster, rank=rank, size=len(group))
    return found


def _candidates(clips: list[Hashed]) -> Iterator[tuple[int, int]]:
    """Yield pairs of clips that share a quarter of a hash, each once."""
    if not clips:
        return
    owners = np.repeat(np.arange(len(clips)), [len(clip.hashes) for clip in clips])
    hashes = np.concatenate([clip.hashes for clip in clips])
    seen: set[tuple[int, int]] = set()
    crowds = 0
    for quarter in range(_QUARTERS):
        keys = (hashes >> np.uint64(16 * quarter)) & np.uint64(0xFFFF)
        order = np.lexsort((owners, hashes, keys))
        edges = np.flatnonzero(np.diff(keys[order])) + 1
        for group in np.split(owners[order], edges):
            sharing = list(dict.fromkeys(group.tolist()))
            crowded = len(sharing) > _CROWD
            crowds += crowded
            for one, other in pairwise(sharing) if crowded else combinations(sharing, 2):
                pair = (min(one, other), max(one, other))
                if pair not in seen:
                    seen.add(pair)
                    yield pair
    if crowds:
        _log.info("%d groups of more than %d clips with like pictures were compared in part", crowds, _CROWD)


def _are_copies(first: Hashed, second: Hashed, settings: DuplicateSettings) -> bool:
    differing = np.bitwise_count(first.hashes[:, None] ^ second.hashes[None, :])
    rows, columns = np.nonzero(differing <= settings.bits)
    shorter = min(len(first.hashes), len(second.hashes))
    needed = max(min(settings.pictures, shorter), settings.share * shorter)
    if len(rows) < needed:
        return False
    shifts = (first.times_s[rows] - second.times_s[columns]) / _GRID_S
    votes: Int64[np.ndarray, " match"] = np.round(shifts).astype(int)
    shift = np.bincount(votes - votes.min()).argmax() + votes.min()
    at_shift = np.abs(shifts - shift) <= 1
    return min(len(np.unique(rows[at_shift])), len(np.unique(columns[at_shift]))) >= needed


class _Groups:
    """Which clips belong together."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def of(self, index: int) -> int:
        while self._above[index] != index:
            self._above[index] = self._above[self._above[index]]
            index = self._above[index]
        return index

    def join(self, first: int, second: int) -> None:
        low, high = sorted((self.of(first), self.of(second)))
        self._above[high] = low
