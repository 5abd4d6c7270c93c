"""How sure a share is: Wilson's interval, and a bootstrap over films, since questions about one film go together.

Imports without torch.
"""

import math
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

Z_95 = 1.959964


class Interval(NamedTuple):
    """A 95 % confidence interval of a share."""

    low: float
    high: float


def wilson(num_right: int, num_asked: int) -> Interval:
    """Return Wilson's score interval (Wilson 1927), which counts every question as independent.

    >>> wilson(8, 10)
    Interval(low=0.4901..., high=0.9433...)
    """
    assert 0 <= num_right <= num_asked != 0, f"{num_right} right of {num_asked}"
    share, squared = num_right / num_asked, Z_95**2
    middle = (share + squared / (2 * num_asked)) / (1 + squared / num_asked)
    half = Z_95 / (1 + squared / num_asked)
    half *= math.sqrt(share * (1 - share) / num_asked + squared / (4 * num_asked**2))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def cluster_bootstrap(
    scores: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    strata: Sequence[Hashable] | None = None,
    rounds: int = 4000,
    seed: int = 0,
) -> Interval:
    """Return the middle 95 % of the mean score when whole clusters are drawn anew with replacement.

    Args:
        scores: One per question: 0 to 1, or a difference of two such.
        clusters: What each question shares with others: its film.
        strata: Where the score is the mean of groups' means, the group of each question.
        rounds: How often clusters are drawn.
        seed: Of the draws.
    """
    assert len(scores) == len(clusters) > 0, f"{len(scores)} scores for {len(clusters)} clusters"
    where, num_clusters = _numbered(clusters)
    group, num_groups = _numbered(strata or [None] * len(scores))
    values = np.asarray(scores, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(num_clusters, size=(rounds, num_clusters))
    means = np.empty((num_groups, rounds))
    for one in range(num_groups):
        own = group == one
        sums = np.bincount(where[own], weights=values[own], minlength=num_clusters)[drawn].sum(axis=1)
        counts = np.bincount(where[own], minlength=num_clusters)[drawn].sum(axis=1)
        # a group of which no cluster was drawn says nothing in that round
        means[one] = np.divide(sums, counts, out=np.full(rounds, np.nan), where=counts > 0)
    low, high = np.nanquantile(np.nanmean(means, axis=0), (0.025, 0.975))
    return Interval(float(low), float(high))


def share(scores: Sequence[float], clusters: Sequence[Hashable]) -> dict[str, Any]:
    """Return the mean score and its interval over clusters, but never a narrower one than Wilson's.

    Clusters that are all right, or one cluster alone, have nothing to be drawn from.
    """
    low, high = cluster_bootstrap(scores, clusters)
    if all(score in (0, 1) for score in scores):
        least, most = wilson(round(sum(scores)), len(scores))
        low, high = min(low, least), max(high, most)
    return {"number": len(scores), "score": sum(scores) / len(scores), "interval": Interval(low, high)}


def _numbered(names: Sequence[Hashable]) -> tuple[np.ndarray, int]:
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([places[name] for name in names]), len(places)
