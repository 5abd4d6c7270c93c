"""Write questions and answers about a clip by rule, from the claims of its caption. Imports without torch.

Nothing is told that no caption tells. What a rule cannot ask, a clip does not give: it returns None.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from kangaroo.curation.words.merging import Claim, Merged
from kangaroo.curation.words.sentences import (
    COLOURS,
    NUMBERS,
    containment,
    content_words,
    join_sentences,
    telling_words,
)
from kangaroo.curation.words.tasks import Task
from kangaroo.playground.rounds import LETTERS, with_options
from kangaroo.playground.vocabulary import Language, Phrase
from kangaroo.playground.wording import LETTER_ONLY

_MOST_ROUNDS = 4
_ASKS = {
    (Language.EN, "whole"): (
        "Describe the video in detail.",
        "What happens in this video? Tell me everything.",
        "Give a detailed description of the video.",
    ),
    (Language.ZH, "whole"): ("请详细描述这段视频。", "这段视频里发生了什么？", "请描述视频的内容。"),
    (Language.EN, "short"): (
        "Describe the video in one sentence.",
        "Give a short caption of the video.",
        "What is the video about, in a sentence?",
    ),
    (Language.ZH, "short"): ("请用一句话描述这段视频。", "用一句话概括视频内容。"),
    (Language.EN, "start"): ("What can be seen at the start?", "What does the video begin with?"),
    (Language.ZH, "start"): ("视频开头能看到什么？", "视频一开始是什么？"),
    (Language.EN, "end"): ("What can be seen at the end?", "What does the video end with?"),
    (Language.ZH, "end"): ("视频结尾能看到什么？", "视频最后是什么？"),
    (Language.EN, "true"): ("Which of these is true of the video?", "Which of these can be seen in the video?"),
}
_OPTIONS = COLOURS[:6] + COLOURS[7:12]
_UNITS = r"(?:seconds?|minutes?|hours?|times?|years?)\b"
_COLOURED = re.compile(rf"\b({'|'.join(_OPTIONS)}) ([a-z]+)\b", re.I)
_COUNTED = re.compile(rf"\b({'|'.join(NUMBERS[2:11])}) (?!{_UNITS})([a-z]+s)\b", re.I)
_PLACED_EN = re.compile(
    r"^(?:The|A|An) ([a-z ]{2,40}?) (?:is|stands|sits|lies) ((?:at|in|on|under|behind|beside|next to) [a-z ]+)[.!]?$",
    re.I,
)
_PLACED_ZH = re.compile(r"^([\u4e00-\u9fff]{1,8}?)(?:位于|在)([\u4e00-\u9fff]{1,8})[。！]?$")


@dataclass(frozen=True)
class Round:
    """A question and its answer."""

    question: str
    answer: str


@dataclass(frozen=True)
class Detail:
    """A question with a short answer, and answers that are wrong; none where nobody knows any."""

    round: Round
    wrong: tuple[str, ...]


def by_rule(task: Task, merged: Merged, rng: random.Random, *, others: Sequence[str] = ()) -> tuple[Round, ...] | None:
    """Return the rounds of a record, or None where the caption does not give them.

    Args:
        task: What is wanted.
        merged: The clip's caption, in the task's language.
        rng: Picks wordings, options and their order.
        others: Sentences about other clips: wrong options where a choice has no better ones.
    """
    if not merged.claims:
        return None
    language = merged.language
    match task:
        case Task.DETAILED | Task.CAPTION_ZH:
            return (Round(_ask("whole", language, rng), merged.text),)
        case Task.SHORT:
            return (_short(merged, rng),)
        case Task.SINGLE | Task.SINGLE_ZH:
            return (rng.choice(_moments(merged, rng) or [Round(_ask("whole", language, rng), merged.text)]),)
        case Task.OPEN:
            asked = [detail.round for detail in details(merged)] or _moments(merged, rng)
            return (rng.choice(asked),) if asked else None
        case Task.CHOICE:
            return _choice(merged, rng, others)
        case Task.ROUNDS | Task.ROUNDS_ZH:
            asked = [detail.round for detail in details(merged)]
            rng.shuffle(asked)
            rounds = [_short(merged, rng), *_moments(merged, rng), *asked][:_MOST_ROUNDS]
            return tuple(rounds) if len(rounds) > 1 else None


def details(merged: Merged) -> list[Detail]:
    """Return what can be asked about single things: only where the caption says one answer and no other."""
    found: dict[str, list[Detail]] = {}
    for claim in merged.sure:
        for detail in _details_of(claim, merged):
            found.setdefault(detail.round.question, []).append(detail)
    return [told[0] for told in found.values() if len({detail.round.answer for detail in told}) == 1]


def _details_of(claim: Claim, merged: Merged) -> list[Detail]:
    if merged.language is Language.ZH:
        placed = _PLACED_ZH.match(claim.text)
        return [Detail(Round(f"{placed[1]}在哪里？", f"在{placed[2]}。"), ())] if placed else []
    found: list[Detail] = []
    said = telling_words(merged.text)
    for colour, thing in _COLOURED.findall(claim.text):
        wrong = tuple(other.capitalize() for other in _OPTIONS if other not in said)
        found.append(Detail(Round(f"What colour is the {thing.lower()}?", colour.capitalize()), wrong))
    for number, things in _COUNTED.findall(claim.text):
        place = NUMBERS.index(number.lower())
        near = [NUMBERS[other] for other in (place - 1, place + 1, place + 2, place - 2) if 1 <= other < len(NUMBERS)]
        found.append(
            Detail(
                Round(f"How many {things.lower()} can be seen?", number.capitalize()),
                tuple(word.capitalize() for word in near),
            )
        )
    if placed := _PLACED_EN.match(claim.text):
        found.append(
            Detail(Round(f"Where is the {placed[1].lower()}?", f"{placed[2][:1].upper()}{placed[2][1:]}."), ())
        )
    return found


def _ask(what: str, language: Language, rng: random.Random) -> str:
    return rng.choice(_ASKS[language, what])


def _short(merged: Merged, rng: random.Random) -> Round:
    """Ask for one sentence: the one that most captioners say, of these the one that tells most."""
    best = max(merged.claims, key=lambda claim: (len(claim.captioners), len(content_words(claim.text))))
    return Round(_ask("short", merged.language, rng), join_sentences([best.text]))


def _moments(merged: Merged, rng: random.Random) -> list[Round]:
    """Ask for what the first and the last key frame show, where they do not show the same."""
    times_s = [time_s for claim in merged.sure for time_s in claim.times_s]
    rounds = []
    for what, time_s in (("start", min(times_s, default=0.0)), ("end", max(times_s, default=0.0))):
        own = [claim.text for claim in merged.sure if time_s in claim.times_s]
        rounds.append(Round(_ask(what, merged.language, rng), join_sentences(own)))
    return rounds if rounds[0].answer != rounds[1].answer else []


def _choice(merged: Merged, rng: random.Random, others: Sequence[str]) -> tuple[Round, ...] | None:
    asked = [detail for detail in details(merged) if len(detail.wrong) >= 3]
    if asked:
        detail = rng.choice(asked)
        return (lettered(detail.round.question, detail.round.answer, rng.sample(detail.wrong, 3), rng),)
    words, told = content_words(merged.text), telling_words(merged.text)
    strange = [
        other
        for other in dict.fromkeys(others)
        if containment(content_words(other), words) < 0.5 or telling_words(other) - told
    ]
    if not merged.sure or len(strange) < 3:
        return None
    right = rng.choice(merged.sure).text
    return (lettered(_ask("true", Language.EN, rng), right, rng.sample(strange, 3), rng),)


def lettered(question: str, right: str, wrong: Sequence[str], rng: random.Random) -> Round:
    """Return a question with four options, the letter of the right one for an answer."""
    assert len(wrong) == 3, f"{len(wrong)} wrong options"
    place = rng.randrange(4)
    options = [*wrong[:place], right, *wrong[place:]]
    asked = with_options(
        question, [Phrase(option, option) for option in options], Language.EN, rng.choice(LETTER_ONLY[Language.EN])
    )
    return Round(asked, LETTERS[place])
