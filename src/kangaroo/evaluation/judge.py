"""Decide whether an answer is right: one rule for each way of asking. Imports without torch."""

import re
from dataclasses import dataclass

from kangaroo.evaluation.parse import normalise, parse_letter, parse_second, parse_yes_no
from kangaroo.evaluation.playground import Facts, Item, Part
from kangaroo.playground.rounds import LETTERS

# "At 12 seconds, ...", "Then at 12 seconds, ...", "First, ...": when, which is asked apart
_MOMENT = re.compile(r"^(?:first|then|一开始|然后)?\s*(?:at \d+ seconds?|第\d+秒)?\s*")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What an answer was read as and what it is worth.

    Attributes:
        parsed: The letter, `yes` or `no`, or the words compared; None where nothing could be read.
        score: 1 right, 0 wrong; for a description the share of the film's facts that it tells.
        truth: Of a description, the share of its sentences that are true; else None.
        off_s: Where a time was asked and told, how far it is from the truth.
    """

    parsed: str | None
    score: float
    truth: float | None = None
    off_s: float | None = None

    @property
    def right(self) -> bool:
        """Whether nothing is wrong or missing."""
        return self.score == 1


def judge(item: Item, output: str) -> Verdict:
    """Return the verdict on an answer. What cannot be read is wrong."""
    match item.part:
        case Part.LETTERED | Part.NO_FILM:
            letter = parse_letter(output, item.options)
            chosen = "" if letter is None else item.options[LETTERS.index(letter)]
            return Verdict(parsed=letter, score=float(letter == item.expected), off_s=_off_s(item, chosen))
        case Part.YES_NO:
            said, wanted = parse_yes_no(output), parse_yes_no(item.expected)
            parsed = None if said is None else "yes" if said else "no"
            return Verdict(parsed=parsed, score=float(said is wanted))
        case Part.OPEN:
            words = normalise(output)
            right = float(words == normalise(item.expected))
            return Verdict(parsed=words or None, score=right, off_s=_off_s(item, output))
        case Part.DESCRIBE:
            assert item.facts is not None, f"{item.id} has no facts"
            return _judge_description(item.facts, output)


def _off_s(item: Item, said: str) -> float | None:
    second = parse_second(said)
    return None if item.second_s is None or second is None else abs(second - item.second_s)


def _judge_description(facts: Facts, output: str) -> Verdict:
    """Count the things and actions that are told, and the sentences that say one of the film's facts and no more."""
    sentences = [normalise(part) for part in re.split(r"[.。!！\n]", output)]
    sentences = [_MOMENT.sub("", sentence) for sentence in sentences if sentence]
    told = " | ".join(sentences)
    true = {normalise(fact) for fact in (*facts.actions, *facts.places)}
    wanted = [*map(normalise, facts.things)]
    found = sum(name in told for name in wanted) + sum(normalise(action) in sentences for action in facts.actions)
    score = found / (len(wanted) + len(facts.actions))
    truth = sum(sentence in true for sentence in sentences) / len(sentences) if sentences else 0.0
    return Verdict(parsed=" ".join(told.split()) or None, score=score, truth=truth)
