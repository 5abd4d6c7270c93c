"""Take out of a caption what a captioner should not have said, and say what was cut and why. Imports without torch.

Repeats are found by overlap of content words (Chinese: pairs of characters). The first of two repeats stays, and a
sentence with a number, colour, side or negation that the earlier one lacks is no repeat.
Refining twice is refining once.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from kangaroo.curation.words.sentences import (
    containment,
    content_words,
    has_end,
    join_sentences,
    other_words,
    overlap,
    repetition,
    split_sentences,
    telling_words,
)
from kangaroo.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class RefineSettings:
    """When a sentence repeats an earlier one, and when a caption is worth nothing. The paper gives no numbers.

    Attributes:
        max_overlap: A later sentence goes where its intersection over union with an earlier one is as much.
        max_containment: It goes too where this share of its words was in one earlier sentence.
        max_repetition: A caption goes where this share of its runs of three words was there before. Descriptions of
            600 drawn films, every one in the same few words, come to 0.33 at most; a model that loops to 0.6 and more.
        min_words: It goes where fewer content words are left.
    """

    max_overlap: float = 0.6
    max_containment: float = 0.85
    max_repetition: float = 0.4
    min_words: int = 2

    def __post_init__(self) -> None:
        for name in ("max_overlap", "max_containment", "max_repetition"):
            if not 0 < getattr(self, name) <= 1:
                raise OptionError(f"{name} is {getattr(self, name)}; give a share above 0 and at most 1")
        if self.min_words < 1:
            raise OptionError(f"min_words is {self.min_words}; give 1 or more")


class Flaw(StrEnum):
    """What is wrong with a sentence that was cut, or with a caption that was rejected."""

    REPEATED = "repeated"
    REFUSAL = "refusal"
    BOILERPLATE = "boilerplate"
    UNFINISHED = "unfinished"
    REPETITIVE = "repetitive"
    SHORT = "short"


@dataclass(frozen=True, kw_only=True)
class Removed:
    """Words that were taken out; where they repeat a sentence, which, and how far (0 to 1)."""

    words: str
    flaw: Flaw
    like: str | None = None
    score: float | None = None


@dataclass(frozen=True, kw_only=True)
class Refined:
    """What is left of a caption.

    Attributes:
        text: The sentences that stay; empty where the caption is rejected.
        removed: What was taken out, in the caption's order.
        repetition: Share of runs of three content words that were there before, in the caption as it came.
        rejected: Why nothing is left, None where something is.
    """

    text: str
    removed: tuple[Removed, ...]
    repetition: float
    rejected: Flaw | None = None


_MEDIUM = "(?:image|picture|photo(?:graph)?|frame|video|film|clip|scene)"
_MEDIUM_ZH = "(?:图片|照片|图像|画面|视频|影片)"


def _at_start(*patterns: str) -> re.Pattern[str]:
    return re.compile(rf"^(?:{'|'.join(patterns)})", re.I)


# what a sentence must not be
_REFUSALS = _at_start(
    r"i(?:'m| am) (?:sorry|unable|not able|afraid)",
    r"(?:sorry|unfortunately, i)\b",
    r"i apologi[sz]e",
    r"i (?:can(?:no|')t|do not|don't) (?:see|view|help|assist|provide|describe|identify|determine|answer|tell)",
    r"as an? (?:ai|language model|assistant)\b",
    "很?抱歉|对不起",
    "我(?:无法|不能|没有办法)",
    "作为(?:一个|一名)?(?:人工智能|AI|语言模型)",
    "无法(?:识别|描述|查看)",
)
_EMPTY_PHRASES = _at_start(
    r"let me know\b|feel free to|i hope (?:this|that)|is there anything|please (?:note|provide|let)|note that",
    r"(?:sure|certainly|of course|okay)\b.{0,80}[:!]$",
    r"here(?:'s| is| are)\b.{0,80}:$",
    rf"overall, (?:the|this) {_MEDIUM} (?:conveys|evokes|captures|has|creates|suggests)",
    "希望(?:这|以上)|如果你?您?(?:还有|需要)|请(?:注意|提供|告诉)|以上(?:就?是)",
    "以下是.{0,40}[:：]$",
    "好的[,，!！。]?$",
    rf"(?:总的来说|总之|整体而言).{{0,6}}{_MEDIUM_ZH}.{{0,6}}(?:给人|营造|传达|展现)",
)
# what a sentence may begin with but need not
_OPENERS = _at_start(
    rf"(?:in|within) (?:the|this) {_MEDIUM}\s*,\s*",
    rf"(?:the|this) {_MEDIUM} (?:shows|depicts|displays|features|presents|captures|is (?:of|about))\s+",
    r"(?:we|you) (?:can )?see\s+",
    r"(?:first|then|finally|next|sure|certainly|of course|okay)\s*[,!]\s*",
    rf"在?(?:这|该)?[一张幅个段]*{_MEDIUM_ZH}[里中]?(?:展示了?|显示了?|描绘了?|呈现了?|有|是)",
    rf"在?(?:这|该)[一张幅个段]*{_MEDIUM_ZH}[里中]?[，,]",
    "(?:一开始|首先|然后|接着|最后)[，,]",
)


def refine(caption: str, settings: RefineSettings = RefineSettings(), *, is_cut_off: bool = False) -> Refined:
    """Return a caption without refusals, boiler-plate, repeats and, where it was cut off, its unfinished end.

    >>> refine("The image shows a dog. A dog is in the image.").text
    'A dog.'
    """
    sentences = split_sentences(caption)
    removed: list[Removed] = []
    if is_cut_off and sentences and not has_end(sentences[-1]):
        removed.append(Removed(words=sentences.pop(), flaw=Flaw.UNFINISHED))
    kept: list[_Said] = []
    for sentence in sentences:
        if _REFUSALS.search(sentence):
            removed.append(Removed(words=sentence, flaw=Flaw.REFUSAL))
        elif _EMPTY_PHRASES.search(sentence):
            removed.append(Removed(words=sentence, flaw=Flaw.BOILERPLATE))
        else:
            opener, rest = _open(sentence)
            if opener:
                removed.append(Removed(words=opener, flaw=Flaw.BOILERPLATE))
            said = _Said.of(rest)
            if said.words:
                repeat = _repeat(said, kept, settings)
                kept += [] if repeat else [said]
                removed += [repeat] if repeat else []
    flaw = _flaw(kept, removed, settings)
    return Refined(
        text="" if flaw else join_sentences([said.text for said in kept]),
        removed=tuple(removed),
        repetition=repetition(content_words(caption)),
        rejected=flaw,
    )


class _Said(NamedTuple):
    """A sentence and what it tells. Where two agree in the telling words, the others say whether they repeat."""

    text: str
    words: list[str]
    telling: frozenset[str]
    others: list[str]

    @classmethod
    def of(cls, text: str) -> "_Said":
        return cls(
            text=text,
            words=content_words(text),
            telling=telling_words(text),
            others=other_words(text) or content_words(text),
        )


def _open(sentence: str) -> tuple[str, str]:
    """Return the opener of a sentence, empty where it has none, and the rest as a sentence of its own."""
    rest = sentence
    while found := _OPENERS.match(rest):
        rest = rest[found.end() :].lstrip(" ,，:：")
    return sentence[: len(sentence) - len(rest)].strip(), rest[:1].upper() + rest[1:]


def _repeat(said: _Said, kept: list[_Said], settings: RefineSettings) -> Removed | None:
    for earlier in kept:
        if said.telling <= earlier.telling:
            shared, held = overlap(said.others, earlier.others), containment(said.others, earlier.others)
            if shared >= settings.max_overlap or held >= settings.max_containment:
                return Removed(words=said.text, flaw=Flaw.REPEATED, like=earlier.text, score=max(shared, held))
    return None


def _flaw(kept: list[_Said], removed: list[Removed], settings: RefineSettings) -> Flaw | None:
    words = [word for said in kept for word in said.words]
    if len(words) < settings.min_words:
        return Flaw.REFUSAL if any(one.flaw is Flaw.REFUSAL for one in removed) else Flaw.SHORT
    return Flaw.REPETITIVE if repetition(words) >= settings.max_repetition else None
