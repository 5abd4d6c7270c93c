"""What of a conversation the language model has read: ids, and the keys and values that they left.

One rule serves every turn: what the new prompt and the memory begin with in common is not read again. A second
question, an answer told anew, a reset and a cancelled answer are all this one case.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from kangaroo.chat.cache import GrowingCache
from kangaroo.chat.features import FilmFeatures


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompt:
    """Ids, with a placeholder for each row of the films' features."""

    ids: Sequence[int]
    films: Sequence[FilmFeatures] = ()


@dataclass(kw_only=True, eq=False)
class Memory:
    """The keys and values of one conversation. Serves one answer at a time.

    Attributes:
        cache: Empty while an answer is under way in a batch, whose slot holds it.
        ids: What was read for certain.
        films: Which films the placeholders among `ids` stood for.
        num_recalled: How many ids of the last prompt needed not be read.
    """

    cache: GrowingCache = field(default_factory=GrowingCache)
    ids: list[int] = field(default_factory=list)
    films: list[Hashable] = field(default_factory=list)
    num_recalled: int = 0

    def recall(self, prompt: Prompt, *, film_start_id: int) -> Prompt:
        """Forget what the prompt does not begin with, and return the rest of the prompt, which must be read."""
        # the last id is always read, because its logits pick the first word
        known = _common(self.ids, prompt.ids[:-1])
        starts = [place for place, id in enumerate(prompt.ids) if id == film_start_id]
        new = [film.key for film in prompt.films]
        assert len(starts) == len(new), f"the prompt has {len(starts)} films, {len(new)} were given"
        different = _common(self.films, new)
        if different < len(new):
            known = min(known, starts[different])
        num_films = sum(start < known for start in starts)
        self.ids, self.films, self.num_recalled = self.ids[:known], new[:num_films], known
        if known:
            self.cache.keep_first(known)
        else:
            self.cache = GrowingCache()
        return Prompt(ids=prompt.ids[known:], films=prompt.films[num_films:])

    def forget(self) -> None:
        """Forget everything."""
        self.cache, self.ids, self.films = GrowingCache(), [], []

    def has_read(self, prompt: Prompt) -> None:
        """Note what was read since."""
        self.ids += prompt.ids
        self.films += [film.key for film in prompt.films]


def _common(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Return how many entries both begin with."""
    pairs = zip(first, second, strict=False)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))
