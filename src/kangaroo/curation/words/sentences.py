"""Sentences and what they say: English by its words, Chinese by pairs of characters. Imports without torch.

Small words are left out, so that two sentences are alike when they tell the same. Numbers, colours, sides and
negations are marked apart: two sentences that differ in one of these tell different things however alike they are.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from kangaroo.playground.vocabulary import Language

_HAN = r"\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_HAN}]+|\d+(?:\.\d+)?|[a-z]+(?:'[a-z]+)?", re.I)
# a full stop that ends no abbreviation and no initial, or any other mark, with the quotes that close after it
_END = re.compile(
    r"((?:(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bDr)(?<!\bSt)(?<!\bvs)(?<!e\.g)(?<!i\.e)(?<!\b[A-Z])\.|[!?])[\"'”’)]*)\s+"
    r"|([。！？][”’」）]*)"
)
_MARKED, _MARKED_ZH = re.compile(r"[.!?。！？][\"'”’)」）]*$"), re.compile("[。！？][”’」）]*$")
_BULLET = re.compile(r"^\s*(?:(?:[-*•#>]+|\d{1,2}[.)、])\s+)+", re.M)


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split())


_SMALL = frozenset(
    _listed(
        "a an the this that these those there here it its is are was were be been being am as at by for from in into "
        "of off on onto out over to up with and or but so while then also his her their they he she who which has have "
        "had do does did can could may might will would seem seems image picture photo photograph frame video film clip"
    )
)
_SMALL_HAN = re.compile("[的了着]")
_BETWEEN_HAN = re.compile("在|图片|照片|图像|画面|视频|影片")
NUMBERS = _listed("zero one two three four five six seven eight nine ten eleven twelve")
_SAME = {word: str(number) for number, word in enumerate(NUMBERS)} | {
    "gray": "grey",
    "center": "centre",
    "middle": "centre",
}
_NUMBERS_ZH = "零一二三四五六七八九十两"
COLOURS = _listed("red orange yellow green blue purple violet pink brown black white grey gray gold silver")
_COLOURS_ZH = "红橙黄绿蓝紫粉棕黑白灰金银"
_SIDES_EN = _listed("left right top bottom up down front behind inside outside above below centre")
_SIDES_ZH = "左右上下前后里外"
NEGATIONS = frozenset(_listed("no not never nobody nothing without 不 没 无"))
_TELLING_EN = frozenset((*COLOURS, *_SIDES_EN, *NEGATIONS))
_TELLING_ZH = re.compile(
    rf"[{_COLOURS_ZH}]色|[{_NUMBERS_ZH}]+[个只条辆位名次匹张头人秒]|正?[{_SIDES_ZH}]+[边方侧面角]|正?中[间央心]|[不没无]"
)
_UNTOLD_ZH = re.compile("[色个只条辆位名次匹张头人秒正边方侧面角间央心]")


def language_of(text: str) -> Language:
    """Return Chinese where at least a third of the letters are, else English."""
    han = len(re.findall(rf"[{_HAN}]", text))
    return Language.ZH if 2 * han >= len(re.findall(r"[a-z]", text, re.I)) and han else Language.EN


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text, bullets taken off; each has at least one letter or digit."""
    lines = _END.sub(r"\1\2\n", _BULLET.sub("", unicodedata.normalize("NFC", text))).splitlines()
    pieces = [_BULLET.sub("", " ".join(line.split())).strip("*_` ") for line in lines]
    return [piece for piece in pieces if _WORD.search(piece)]


def join_sentences(sentences: Sequence[str]) -> str:
    """Return a text that `split_sentences` takes apart again; every sentence ends with a mark."""
    text = ""
    for sentence in sentences:
        ended = sentence if has_end(sentence) else sentence + _mark(sentence)
        text += (" " if text and not _MARKED_ZH.search(text) else "") + ended
    return text


def has_end(sentence: str) -> bool:
    """Whether a sentence ends with a mark."""
    return _MARKED.search(sentence) is not None


def _mark(sentence: str) -> str:
    return "。" if language_of(sentence) is Language.ZH else "."


def content_words(text: str) -> list[str]:
    """Return what a text tells, in order: English words without endings and small ones, pairs of Chinese characters.

    >>> content_words("Two dogs are running.")
    ['2', 'dog', 'run']
    >>> content_words("红色的球")
    ['红色', '色球']
    """
    words: list[str] = []
    for run in _WORD.findall(_BETWEEN_HAN.sub(" ", unicodedata.normalize("NFKC", text).casefold())):
        if re.match(rf"[{_HAN}]", run):
            han = _SMALL_HAN.sub("", run)
            words += [han[place : place + 2] for place in range(max(1, len(han) - 1)) if han]
        elif run not in _SMALL:
            words.append(_SAME.get(run) or _stem(run))
    return words


def telling_words(text: str) -> frozenset[str]:
    """Return the numbers, colours, sides and negations of a text: what two sentences may not differ in."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    english = {_SAME.get(word, word) for word in re.findall(r"[a-z]+|\d+(?:\.\d+)?", folded)}
    chinese = {_UNTOLD_ZH.sub("", found) for found in _TELLING_ZH.findall(folded)}
    return frozenset(word for word in english if word in _TELLING_EN or word[0].isdigit()) | chinese


def other_words(text: str) -> list[str]:
    """Return the content words that are no telling ones: what two sentences are about, if they agree in the telling."""
    folded = _TELLING_ZH.sub(" ", unicodedata.normalize("NFKC", text).casefold())
    return [word for word in content_words(folded) if not word[0].isdigit() and word not in _TELLING_STEMS]


def _stem(word: str) -> str:
    """Take common endings off, so that `runs`, `running` and `run` are one word."""
    word = re.sub(r"(?:'s|')$", "", word)
    for ending, least in (("ing", 6), ("ed", 5), ("ies", 5), ("es", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            stem = word[: -len(ending)] + ("y" if ending == "ies" else "")
            return re.sub(r"([bdgmnprt])\1$", r"\1", stem).removesuffix("e")
    return word.removesuffix("e") if len(word) >= 4 else word


_TELLING_STEMS = _TELLING_EN | frozenset(map(_stem, _TELLING_EN))


def overlap(first: Sequence[str], second: Sequence[str]) -> float:
    """Return what two lists of content words share, over what either holds (intersection over union, 0 to 1)."""
    left, right = set(first), set(second)
    return len(left & right) / len(left | right) if left | right else 0.0


def containment(words: Sequence[str], within: Sequence[str]) -> float:
    """Return the share (0 to 1) of distinct content words that another list holds too."""
    own = set(words)
    return len(own & set(within)) / len(own) if own else 0.0


def repetition(words: Sequence[str], *, length: int = 3) -> float:
    """Return the share (0 to 1) of runs of `length` content words that were there before."""
    runs = Counter(zip(*(words[start:] for start in range(length)), strict=False))
    return 1 - len(runs) / runs.total() if runs else 0.0
