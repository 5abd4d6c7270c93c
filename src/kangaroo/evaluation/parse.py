"""Read what a free answer means: which letter, yes or no, which words. Imports without torch.

Nothing is guessed: an answer that chooses nothing, or several options, gives None, which is counted as wrong and
counted apart.
"""

import re
import unicodedata
from collections.abc import Sequence
from string import ascii_uppercase

# no Latin letter on either side; Chinese characters may touch
_LEFT = r"(?<![A-Za-z])(?<![A-Za-z]\.)"
_RIGHT = r"(?![A-Za-z'])"
_PHRASE = (
    r"(?:(?:answer|option|choice)(?:\s+is|\s*:)?|答案(?:应该|应)?(?:是|为|选)?|(?:应该|应|我)?选(?:择|项)?(?:是|为)?)"
    r"[\s:>\"'(\[]*(?:option\s+|选项\s*)?[\"'(\[]*"
)
_JOINED = r"\s*(?:,|;|/|&|、|\bor\b|\band\b|或者|或|和|与)\s*"
_NOT = r"(?:\bnot|n't|不是|不选择?|并非|不)\s*(?:(?:option|the answer)\s+|选项\s*)?"
_LONGEST = 4000  # characters; what goes on beyond is no answer, and would take long to read
_TRAILING = " .,;:!?。，；：！？、\"'“”‘’「」"


def parse_letter(text: str, options: Sequence[str]) -> str | None:
    """Return the letter of the option that an answer chooses, None where it chooses none or several.

    Read in this order: a letter alone; what follows "the answer is" or "答案是" (the last one said); a marked letter
    at the start ("A.", "(A)"); the only bracketed letter; an option's own words; the only capital letter that stands
    alone and is not the article "A".

    Args:
        text: The answer as it came; its first 4,000 characters are read.
        options: The words of each option, A first.
    """
    assert 2 <= len(options) <= 26, f"{len(options)} options cannot be lettered"
    letters = ascii_uppercase[: len(options)]
    text = re.sub(r"[*_`#]|\\boxed|\$", "", unicodedata.normalize("NFKC", text[:_LONGEST])).strip()
    one = f"[{letters}]"
    # what is ruled out is not chosen
    text = re.sub(rf"{_NOT}[(\[]?{one}[)\]]?{_RIGHT}", " ", text).strip()
    if found := re.fullmatch(rf"[\s({{\[<\"'“‘]*([{letters}{letters.lower()}])[\s)}}\]>.,;:!。、\"'”’]*", text):
        return found[1].upper()
    if re.search(rf"{_LEFT}[(\[]?{one}[)\]\"']*{_JOINED}(?:{_PHRASE})?[(\[]?{one}(?![A-Za-z])", text):
        return None
    if said := list(re.finditer(rf"(?i:{_PHRASE})({one}){_RIGHT}", text)):
        return _letter_said(said[-1][1], text[said[-1].start(1) :], options, letters)
    marked = rf"(?:[(\[]({one})[)\]]|{_LEFT}({one})[.):](?![A-Za-z]*\.))"
    all_marked = {first or second for first, second in re.findall(marked, text)}
    if len(all_marked) > 1:
        return None
    if found := re.match(marked, text):
        return found[1] or found[2]
    bracketed = set(re.findall(rf"[(\[]({one})[)\]]", text))
    if len(bracketed) == 1:
        return str(bracketed.pop())
    if (letter := _letter_of_words(text, options, letters)) is not None:
        return letter
    # "A man" and "I see" choose nothing, "A 选项" and "B is right" do
    alone = set(re.findall(rf"{_LEFT}(?![AI]\s+[a-z])({one}){_RIGHT}", text))
    return str(alone.pop()) if len(alone) == 1 else None


def _letter_said(letter: str, text: str, options: Sequence[str], letters: str) -> str:
    """Return the letter that a text begins with, unless it begins an option's words: `A man walks`, `I see it`."""
    if not re.match(r"[AI]\s+[a-z]", text):
        return letter
    said = normalise(text)
    begun = [
        (len(words), place)
        for place, option in enumerate(options)
        if (words := normalise(option)) and re.match(rf"{re.escape(words)}(?![a-z0-9])", said)
    ]
    return letters[max(begun)[1]] if begun else letter


def _letter_of_words(text: str, options: Sequence[str], letters: str) -> str | None:
    """Return the letter of the only option whose words the text holds; of two within each other the longer counts."""
    said, words = normalise(text), [normalise(option) for option in options]
    if said and words.count(said) == 1:
        return letters[words.index(said)]
    held = [(place, option) for place, option in enumerate(words) if option and _holds(said, option)]
    longest = [place for place, option in held if not any(option != other and option in other for _, other in held)]
    return letters[longest[0]] if len(longest) == 1 else None


def _holds(text: str, words: str) -> bool:
    """Whether a text holds these words whole: `red` is not in `bored`, nor `1` in `12`."""
    left = r"(?<![a-z0-9])" if re.match(r"[a-z0-9]", words) else ""
    right = r"(?![a-z0-9])" if re.search(r"[a-z0-9]$", words) else ""
    return re.search(f"{left}{re.escape(words)}{right}", text) is not None


def parse_yes_no(text: str) -> bool | None:
    """Return whether an answer says yes, None where it says neither or its first words say both."""
    said = normalise(text)
    if re.match(r"(?:no|not|nope|false|不|没|否|错|非)(?![a-z])", said):
        return False
    if re.match(r"(?:yes|yeah|yep|true|correct|是|对|有|会|正确|出现|看到)(?![a-z])", said):
        return not re.match(r"(?:yes|是)\s*(?:and|or|和|或|还是)?\s*(?:no|不是|否)(?![a-z])", said) or None
    return None


def parse_second(text: str) -> int | None:
    """Return the whole second that an answer names, None where it names none or several.

    >>> parse_second("At 12 seconds.") == parse_second("第12秒") == 12
    True
    """
    said = set(re.findall(r"\d+", unicodedata.normalize("NFKC", text)))
    found = said.pop() if len(said) == 1 else ""
    return int(found) if 0 < len(found) < 10 else None


def parse_marks(text: str, allowed: str) -> list[int]:
    """Return the marks that a judge gives, of one digit within a range such as `1-5`; 4.5 and 14 hold no 4.

    >>> parse_marks("4 and 2", "1-5")
    [4, 2]
    """
    return [int(mark) for mark in re.findall(rf"(?<![\d.])[{allowed}](?![\d.]*\d)", text)]


def normalise(text: str) -> str:
    """Return a text without what does not matter for equality: case, width, articles, punctuation, extra spaces.

    >>> normalise("The Red  circle.") == normalise("red circle")
    True
    """
    text = unicodedata.normalize("NFKC", text).casefold().strip(_TRAILING)
    text = re.sub(r"[.,;:!?。，；：！？、\"“”‘’「」()]", " ", text)
    text = re.sub(r"\b(?:the|a|an)\b", " ", text)
    return re.sub(r"(?<=[^\x00-\x7f]) | (?=[^\x00-\x7f])", "", " ".join(text.split()))
