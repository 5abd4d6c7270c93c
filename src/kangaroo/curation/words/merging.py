"""Merge what several captioners say of a clip into one caption, by rule or by a language model. Imports without torch.

Every sentence of the result is a claim that knows which captioners make it. A claim of one captioner alone is marked;
one that no captioner makes, which only a model can write, is cut. A captioner makes a claim where one of its frames'
captions holds all numbers, colours, sides and negations of the claim and most of its other words.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

from kangaroo.curation.words.asking import NOTHING, Asker, Cost, ModelSettings
from kangaroo.curation.words.captioning import RefinedCaptions
from kangaroo.curation.words.refining import Flaw, RefineSettings, refine
from kangaroo.curation.words.sentences import containment, join_sentences, other_words, split_sentences, telling_words
from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import OptionError
from kangaroo.playground.vocabulary import Language


class Lone(StrEnum):
    """What happens to a claim that one captioner alone makes, where there are several."""

    KEEP = "keep"
    DROP = "drop"


_PROMPT_EN = (
    "Captioners described single frames of one video; the second of each frame stands before its captions. Write one "
    "paragraph that tells what happens in the whole video, in order. Say each thing once, add nothing that no caption "
    "says, and do not mention frames, captions or captioners."
)
_PROMPT_ZH = (
    "下面是几位描述者对同一段视频中若干帧的描述，每帧前注明了秒数。请写一段话，按时间顺序说明整段视频的内容。"
    "每件事只说一次，不要添加描述中没有的内容，也不要提到帧、描述或描述者。"
)


@dataclass(frozen=True, kw_only=True)
class MergeSettings:
    """How captions become one.

    Attributes:
        model: The language model that writes the caption; None merges by rule.
        prompt_en: What it is asked to do, before the captions.
        prompt_zh: The same in Chinese.
        lone: What happens to claims that one of several captioners makes.
        support: Share of a claim's words, besides numbers, colours, sides and negations, that a caption must hold to
            make the claim too; of those it must hold all.
        refine: When two claims are one.
    """

    model: ModelSettings | None = None
    prompt_en: str = _PROMPT_EN
    prompt_zh: str = _PROMPT_ZH
    lone: Lone = Lone.KEEP
    support: float = 0.6
    refine: RefineSettings = field(default_factory=RefineSettings)

    def __post_init__(self) -> None:
        if not 0 < self.support <= 1:
            raise OptionError(f"support is {self.support}; give a share above 0 and at most 1")
        if not (self.prompt_en.strip() and self.prompt_zh.strip()):
            raise OptionError("a prompt of the merger is empty; write what it is to do")

    @property
    def asked(self) -> dict[str, Any] | None:
        """What the model's caption depends on besides its input, for whoever remembers it; None by rule."""
        return None if self.model is None else {**self.model.asked, "prompts": (self.prompt_en, self.prompt_zh)}

    @property
    def how(self) -> str:
        """What a record says of who merged it."""
        return "merged by rule" if self.model is None else f"merged by {self.model.name}"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of a merged caption.

    Attributes:
        text: The sentence.
        captioners: Who makes it, in the recipe's order.
        times_s: Of the key frames whose captions make it.
    """

    text: str
    captioners: tuple[str, ...]
    times_s: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The caption of a clip.

    Attributes:
        text: The claims that stay, in order; empty where no captioner said anything worth keeping.
        language: The language of the captions.
        claims: The claims that stay.
        dropped: Those that do not: made by nobody, or by one alone where the settings drop these.
        num_captioners: How many captioners were asked; where it is 1, every claim is one captioner's.
        rejected: Why the text is empty although something was said, None where that is not so.
        how: Who merged.
        cost: Of the merger, where one was asked.
    """

    text: str
    language: Language
    claims: tuple[Claim, ...]
    dropped: tuple[Claim, ...]
    num_captioners: int
    rejected: Flaw | None
    how: str
    cost: Cost = NOTHING

    @property
    def lone(self) -> tuple[Claim, ...]:
        """The claims that one captioner alone makes."""
        return tuple(claim for claim in self.claims if len(claim.captioners) == 1)

    @property
    def sure(self) -> tuple[Claim, ...]:
        """The claims that questions are asked about: made by two or more, or by the only captioner there is."""
        return self.claims if self.num_captioners == 1 else tuple(one for one in self.claims if len(one.captioners) > 1)

    @property
    def agreement(self) -> float:
        """The share of claims, the dropped ones too, that two captioners or more make; 0 where there are none."""
        everything = self.claims + self.dropped
        return sum(len(claim.captioners) > 1 for claim in everything) / len(everything) if everything else 0.0


def merge(
    captions: Sequence[RefinedCaptions], settings: MergeSettings = MergeSettings(), asker: Asker | None = None
) -> Merged:
    """Return one caption of a clip.

    >>> merge([joey, other]).text

    Args:
        captions: Of every captioner, in one language.
        settings: How.
        asker: The model of the settings, opened; None where there is none.

    Raises:
        BlockedError: The merger cannot be asked now; the clip waits.
    """
    assert (asker is None) == (settings.model is None), "a model that merges is opened, and no other"
    assert len({one.language for one in captions}) == 1, "captions of one clip are merged in one language"
    language = captions[0].language
    pieces = [sentence for _, _, text in _in_time(captions) for sentence in split_sentences(text)]
    if asker is None or not pieces:
        return _judged(join_sentences(pieces), captions, settings)
    prompt = settings.prompt_zh if language is Language.ZH else settings.prompt_en
    reply = asker.ask(Conversation().ask(f"{prompt}\n\n{_listing(captions)}"))
    merged = _judged(reply.text, captions, settings, is_cut_off=reply.is_cut_off)
    return replace(merged, cost=reply.cost)


def _in_time(captions: Sequence[RefinedCaptions]) -> list[tuple[float, int, str]]:
    """Return the second, the captioner's place and the text of every caption that is worth something, in order."""
    return sorted((time_s, place, text) for place, one in enumerate(captions) for time_s, text in one.told)


def _listing(captions: Sequence[RefinedCaptions]) -> str:
    lines: list[str] = []
    last_s: float | None = None
    for time_s, place, text in _in_time(captions):
        lines += [f"[{time_s:.1f} s]"] if time_s != last_s else []
        lines.append(f"{place + 1}: {text}")
        last_s = time_s
    return "\n".join(lines)


def _judged(
    text: str, captions: Sequence[RefinedCaptions], settings: MergeSettings, *, is_cut_off: bool = False
) -> Merged:
    kept: list[Claim] = []
    dropped: list[Claim] = []
    refined, heard = refine(text, settings.refine, is_cut_off=is_cut_off), _heard(captions)
    for sentence in split_sentences(refined.text):
        claim = _claim(sentence, heard, settings.support)
        is_lone = len(claim.captioners) == 1 and len(captions) > 1 and settings.lone is Lone.DROP
        (dropped if is_lone or not claim.captioners else kept).append(claim)
    return Merged(
        text=join_sentences([claim.text for claim in kept]),
        language=captions[0].language,
        claims=tuple(kept),
        dropped=tuple(dropped),
        num_captioners=len(captions),
        rejected=refined.rejected if text else None,
        how=settings.how,
    )


class _Heard(NamedTuple):
    """A caption of one frame, as claims are compared with it."""

    captioner: str
    time_s: float
    words: list[str]
    telling: frozenset[str]


def _heard(captions: Sequence[RefinedCaptions]) -> list[_Heard]:
    return [
        _Heard(one.captioner, time_s, other_words(text), telling_words(text))
        for one in captions
        for time_s, text in one.told
    ]


def _claim(sentence: str, heard: Sequence[_Heard], support: float) -> Claim:
    words, telling = other_words(sentence), telling_words(sentence)
    own = [one for one in heard if telling <= one.telling and (not words or containment(words, one.words) >= support)]
    return Claim(
        text=sentence,
        captioners=tuple(dict.fromkeys(one.captioner for one in own)),
        times_s=tuple(sorted({one.time_s for one in own})),
    )
