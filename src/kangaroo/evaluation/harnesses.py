"""How lmms-eval 0.7.3 and VLMEvalKit read a letter out of an answer, their traps included.

Written from what they do, to give their verdicts on the same text; `parse.py` is how we read. Imports without torch.
"""

import re
from collections.abc import Iterator
from string import ascii_uppercase

_PHRASES = (
    *(f"{a}{b} is" for a in ("the ", "") for b in ("answer", "correct answer", "best answer", "correct option")),
    *(f"{a}{b} is" for a in ("the ", "") for b in ("best option", "choice", "correct choice")),
    *("i choose", "i select", "i pick", "my answer is", "my choice is"),
    *("옵션", "정답은", "답은", "답:", "答案是", "答案为", "选", "答えは"),
)
_LVB_PREFIXES = (
    *("The best answer is", "The correct answer is", "The answer is", "The answer"),
    *("The best option is", "The correct option is", "Best answer:", "Best option:"),
)
# two commas are missing in VLMEvalKit's list, so that these four are two prefixes that nobody says
_VLM_PREFIXES = (*_LVB_PREFIXES[:4], "The best option isThe correct option is", "Best answer:Best option:")
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'


def lmms_eval_letter(text: str, letters: str) -> str | None:
    """Read as `extract_mcq_answer` does: the most trusted form, of several in that form the last.

    A word that begins with a letter's capital counts where no better form is found.
    """
    text = text.strip()
    for mark in ",.!?;:'\"":
        text = text.strip(mark)
    if not text.strip():
        return None
    found = list(_forms(f" {text} ", letters))
    if not found:
        found = [(0, f" {text} ".rfind(letter), letter) for letter in letters if letter in text]
    best = max(found, key=lambda one: one[:2], default=None)  # of equals the first
    return None if best is None else best[2]


def _forms(text: str, letters: str) -> Iterator[tuple[int, int, str]]:
    """Yield how far a form is trusted, where it stands, and its letter."""
    for trust, form in ((6, "({})"), (5, "{}."), (4, "{}:"), (3, "{})"), (2, "{} ")):
        for letter in letters:
            if (place := text.rfind(form.format(letter))) >= 0:
                yield trust, place, letter
    for phrase in _PHRASES:
        if (place := text.lower().find(phrase)) >= 0:
            for letter in letters:
                if (after := text.find(letter, place + len(phrase))) >= 0:
                    yield 7, after, letter
    bare = text.strip()
    if bare[0] in letters and not bare[1:2].isalpha():
        yield 10, 0, bare[0]
    if bare[-1] in letters and not bare[-2:-1].isalpha():
        yield 9, len(text) - 1, bare[-1]


def lmms_eval_mvbench_letter(text: str) -> str | None:
    """Read as lmms-eval's MVBench does: `A. ...` at the start, else the first letter A to E that stands alone."""
    if found := re.match(r"([A-E])\.\s*.+$", text.strip(), re.IGNORECASE):
        return found[1].upper()
    said = text.replace("\n", " ").replace("\t", " ").strip()
    whole = said
    for mark in _PUNCTUATION:
        is_loose = f"{mark} " in whole or f" {mark}" in whole or re.search(r"\d,\d", whole)
        said = said.replace(mark, "" if is_loose else " ")
    said = re.sub(r"\.(?!\d)", "", said, count=32)  # a flag passed in the place of a count
    alone = re.search(r"\b([a-e])\b", said.strip("'").strip('"').strip().lower())
    return alone[1].upper() if alone else None


def lmms_eval_mmmu_letter(text: str, options: tuple[str, ...]) -> str | None:
    """Read as lmms-eval's EgoSchema does, after MMMU: of several marked letters the one whose last place is first.

    None where it would pick at random.
    """
    letters = ascii_uppercase[: len(options)]
    for mark in ",.!?;:'":
        text = text.strip(mark)
    text = f" {text} "
    forms = [form.format(letter) for form in ("({})", "{} ", "{}.") for letter in letters]
    if found := [form for form in forms if form in text]:
        return min(found, key=text.rfind).strip("(). ")
    if len(text.split()) <= 5:
        return None
    lower = text.lower()
    held = [(lower.rfind(words.lower()), letter) for letter, words in zip(letters, options, strict=True)]
    return min((one for one in held if one[0] >= 0), key=lambda one: one[0], default=(0, None))[1]


def longvideobench_letter(text: str, letters: str) -> str | None:
    """Read as LongVideoBench's authors and lmms-eval do: the first capital after phrases are taken out.

    None where they would pick at random.
    """
    return _first_capital(text, letters, _LVB_PREFIXES)


def vlmevalkit_letter(text: str, letters: str) -> str | None:
    """Read as VLMEvalKit's Video-MME does: the first capital, so that "A man ..." is A.

    None where it would ask a judge.
    """
    return _first_capital(text, letters, _VLM_PREFIXES)


def first_character(text: str, letters: str) -> str | None:
    """Read the first character alone, as SEED-Bench in lmms-eval."""
    return text.strip()[:1] if text.strip()[:1] in tuple(letters) else None


def _first_capital(text: str, letters: str, prefixes: tuple[str, ...]) -> str | None:
    text = text.strip()
    for prefix in prefixes:
        text = text.replace(prefix, "")
    found = re.search(f"[{letters}]", text)
    return found[0] if found else None
