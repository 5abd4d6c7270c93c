"""Which kinds of instruction records there are, and which of them a clip gives. Imports without torch.

A clip's kinds depend on its id and the shares alone, so that a clip more or less changes no other clip's records, and
no model is asked again.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum

from kangaroo.curation.words.asking import ModelSettings
from kangaroo.curation.words.balance import draw
from kangaroo.errors import OptionError
from kangaroo.playground.vocabulary import Language

BY_RULE = "written by rule"
"""What a record says where no model wrote it."""


class Task(StrEnum):
    """What a record teaches; the record's `task` says so."""

    DETAILED = "detailed"
    SHORT = "short"
    CAPTION_ZH = "caption_zh"
    CHOICE = "choice"
    OPEN = "open"
    SINGLE = "single"
    SINGLE_ZH = "single_zh"
    ROUNDS = "rounds"
    ROUNDS_ZH = "rounds_zh"

    @property
    def language(self) -> Language:
        """The language that it is in."""
        return Language.ZH if self.value.endswith("_zh") else Language.EN


# thousands of records, read off the angles of the published chart, right to about 10
PUBLISHED = {
    Task.DETAILED: 351.0,
    Task.SHORT: 68.0,
    Task.CAPTION_ZH: 58.0,
    Task.CHOICE: 619.0,
    Task.OPEN: 210.0,
    Task.SINGLE: 358.0,
    Task.SINGLE_ZH: 402.0,
    Task.ROUNDS: 86.0,
    Task.ROUNDS_ZH: 88.0,
}


@dataclass(frozen=True, kw_only=True)
class InstructSettings:
    """What records clips give.

    Attributes:
        shares: Of each task, in any unit; the published mix by default. A task that is not named gets none.
        num_records: Records of one clip, each of another task.
        model: The language model that writes questions and answers; None writes by rule.
        source: What records name as their data set.
        licence: Of the videos.
        seed: Another one gives clips other tasks.
    """

    shares: Mapping[str, float] = field(default_factory=lambda: {str(task): share for task, share in PUBLISHED.items()})
    num_records: int = 1
    model: ModelSettings | None = None
    source: str = "curated"
    licence: str = "unknown"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, share in self.shares.items():
            if name not in tuple(Task):
                near = get_close_matches(name, tuple(Task), n=1)
                raise OptionError(
                    f"no task is called {name!r}{f'; {near[0]}?' if near else ''} There are {', '.join(Task)}"
                )
            if not 0 <= share < math.inf:
                raise OptionError(f"the share of {name} is {share}; give 0 or more")
        if not any(self.shares.values()):
            raise OptionError("all shares are 0, so no record would be written; give one task more")
        if not 1 <= self.num_records <= len(Task):
            raise OptionError(f"num_records is {self.num_records}; give 1 to {len(Task)}")
        if not (self.source.strip() and self.licence.strip()):
            raise OptionError("source or licence is empty; say what it is, or unknown")

    @property
    def how(self) -> str:
        """What a record says of who wrote it."""
        return BY_RULE if self.model is None else f"written by {self.model.name}"


def tasks_of(clip_id: str, settings: InstructSettings) -> list[Task]:
    """Return every task that has a share, the one that this clip gives first; over many clips firsts keep the shares.

    The next ones stand in where the clip cannot give the first. (Weighted order: Efraimidis and Spirakis 2006.)
    """

    def arrival(task: Task) -> float:
        return -math.log(1 - draw(clip_id, f"{task} {settings.seed}")) / settings.shares[task]

    return sorted((task for task in Task if settings.shares.get(task)), key=arrival)


def languages_of(clip_id: str, settings: InstructSettings) -> tuple[Language, ...]:
    """Return the languages in which a clip has to be captioned."""
    return tuple(dict.fromkeys(task.language for task in tasks_of(clip_id, settings)[: settings.num_records]))


def languages_wanted(settings: InstructSettings) -> tuple[Language, ...]:
    """Return the languages that any clip may have to be captioned in."""
    return tuple(dict.fromkeys(task.language for task in Task if settings.shares.get(task)))
