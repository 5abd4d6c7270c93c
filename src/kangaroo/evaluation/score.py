"""How sure a share is: Wilson's interval, and a bootstrap over films, since questions about one film go together.

Imports without torch.
"""

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

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
    scores: Sequence[float], clusters: Sequence[Hashable], *, rounds: int = 4000, seed: int = 0
) -> Interval:
    """Return the middle 95 % of the mean score when whole clusters are drawn anew with replacement.

    Args:
        scores: One per question: 0 to 1, or a difference of two such.
        clusters: What each question shares with others: its film.
        rounds: How often clusters are drawn.
        seed: Of the draws.
    """
    assert len(scores) == len(clusters) > 0, f"{len(scores)} scores for {len(clusters)} clusters"
    places = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
    where = np.array([places[cluster] for cluster in clusters])
    sums = np.bincount(where, weights=np.asarray(scores, dtype=np.float64))
    counts = np.bincount(where)
    drawn = np.random.default_rng(seed).integers(len(places), size=(rounds, len(places)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(low), float(high))
