"""Balance clips over categories: heads are thinned by a hash of the clip's id, tails weighed up and never copied.

Who is kept depends on a clip's id, its category's share and nothing else: not on order, not on shards. A smaller share
keeps a part of what a larger one kept. Imports without torch.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from kangaroo.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class BalanceSettings:
    """What shares categories come to.

    Attributes:
        shares: Wanted share of each category, in any unit; empty for `flatness`. One that is not named gets none.
        flatness: Without shares, category c gets n_c to this power: 1 leaves all as it is, 0 makes all equal.
        max_weight: A rare category's clips weigh no more than so many.
        max_per_video: Of one video so many clips stay on average; None for all.
        seed: Another one keeps others.
    """

    shares: Mapping[str, float] = field(default_factory=dict)
    flatness: float = 0.5
    max_weight: float = 3.0
    max_per_video: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if any(not 0 <= share < math.inf for share in self.shares.values()):
            raise OptionError(f"shares are {dict(self.shares)}; give 0 or more for each category")
        if self.shares and not sum(self.shares.values()):
            raise OptionError("all shares are 0, so nothing would be kept; give one category more")
        if not 0 <= self.flatness <= 1:
            raise OptionError(f"flatness is {self.flatness}; give 0 (all categories equal) to 1 (as they are)")
        if not 1 <= self.max_weight < math.inf:
            raise OptionError(f"max_weight is {self.max_weight}; give 1 or more")
        if self.max_per_video is not None and self.max_per_video < 1:
            raise OptionError(f"max_per_video is {self.max_per_video}; give 1 or more")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A clip as balancing sees it."""

    category: str
    video: str


@dataclass(frozen=True, kw_only=True)
class Share:
    """What became of a category.

    Attributes:
        before: Clips there were.
        kept: Clips that stay.
        target: Share that was wanted, 0 to 1.
        keep: Chance at which a clip stays.
        weight: What each clip that stays counts in training.
    """

    before: int
    kept: int
    target: float
    keep: float
    weight: float


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Who stays, and what that does.

    Attributes:
        weights: Of each clip that stays; who is not here goes.
        shares: Every category.
        entropy_before: Of the categories, in bits.
        entropy_kept: Of those of the clips that stay, each counted once.
        entropy_weighed: Of those of the clips that stay, by weight.
    """

    weights: Mapping[str, float]
    shares: Mapping[str, Share]
    entropy_before: float
    entropy_kept: float
    entropy_weighed: float


def balance(clips: Mapping[str, Kind], settings: BalanceSettings = BalanceSettings()) -> Balance:
    """Return who stays.

    Args:
        clips: Each clip's id and kind.
        settings: Which shares are wanted.
    """
    before = Counter(kind.category for kind in clips.values())
    of_video = Counter(kind.video for kind in clips.values())
    targets = _targets(before, settings)
    keep = {name: min(1.0, len(clips) * targets[name] / count) for name, count in before.items()}
    weight = {
        name: min(settings.max_weight, max(1.0, len(clips) * targets[name] / count)) for name, count in before.items()
    }
    most = settings.max_per_video or max(of_video.values(), default=1)
    weights = {
        id: weight[kind.category]
        for id, kind in clips.items()
        if draw(id, f"balance {settings.seed}") < keep[kind.category] * min(1.0, most / of_video[kind.video])
    }
    kept = Counter(clips[id].category for id in weights)
    return Balance(
        weights=weights,
        shares={
            name: Share(before=count, kept=kept[name], target=targets[name], keep=keep[name], weight=weight[name])
            for name, count in sorted(before.items())
        },
        entropy_before=entropy(before),
        entropy_kept=entropy(kept),
        entropy_weighed=entropy({name: count * weight[name] for name, count in kept.items()}),
    )


def draw(id: str, purpose: str) -> float:
    """Return the number in [0, 1) that an id always draws for a purpose."""
    digest = hashlib.sha256(f"{purpose}\0{id}".encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / (1 << 53)  # as many bits as a float holds, so never 1


def entropy(counts: Mapping[str, int] | Mapping[str, float]) -> float:
    """Return the entropy of counts, in bits; 0 where there is one category or none."""
    total = sum(counts.values())
    return -sum(count / total * math.log2(count / total) for count in counts.values() if count) + 0.0


def _targets(before: Mapping[str, int], settings: BalanceSettings) -> dict[str, float]:
    if settings.shares:
        wanted = {name: settings.shares.get(name, 0.0) for name in before}
        # shares of categories that no clip has go to the others
        total = sum(wanted.values())
        if not total and before:
            raise OptionError(
                f"no clip is of a category with a share ({', '.join(settings.shares)}); there are {', '.join(before)}"
            )
    else:
        wanted = {name: count**settings.flatness for name, count in before.items()}
        total = sum(wanted.values())
    return {name: share / total for name, share in wanted.items()}
