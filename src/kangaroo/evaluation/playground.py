"""The playground benchmark: questions about drawn films that training cannot have seen. Imports without torch.

Every film comes from the test split: each look-and-action pair in it is kept from training. Questions use the two
wordings of each kind that training never hears. Every lettered and open question is asked in English and in Chinese,
with the same options behind the same letters. Questions share films, so that a film is looked at once, but each is a
conversation of its own.
"""

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.errors import OptionError
from kangaroo.evaluation.balance import Candidate, is_clear, pick_balanced
from kangaroo.playground.film import Film, does
from kangaroo.playground.questions import CHOICE_FAMILIES, Family, questions
from kangaroo.playground.rounds import LETTERS, in_words, options_for, phrase_in, with_options
from kangaroo.playground.script import Split, make_film
from kangaroo.playground.vocabulary import PLACES, Language, Phrase, common_sprites, sprites
from kangaroo.playground.wording import LETTER_ONLY, unheard
from kangaroo.video.source import VideoSource

LEAST_S, MOST_S = 2.5, 64.0
_PAIRS_PER_FILM = 10
_FILMS_TRIED = 40
_SHARE_OF_LENGTHIEST = 4  # one film in so many lasts the full 64 s
_SPRITES = {sprites()[slug].name.en for slug in common_sprites()}


class Part(StrEnum):
    """One way of asking."""

    LETTERED = "lettered"
    NO_FILM = "no_film"
    OPEN = "open"
    YES_NO = "yes_no"
    DESCRIBE = "describe"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a description should tell: the things by name, and each thing with what it does."""

    things: tuple[str, ...]
    actions: tuple[str, ...]
    places: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question, put into words, and what is right.

    Attributes:
        pair: Shared by the English and the Chinese form of one question.
        film: Its film's place in the benchmark, also where the film is not shown (`Part.NO_FILM`).
        second_s: Where a time is asked, the time before it was rounded to a whole second; else None.
        names_sprite: Whether question or answer name a sprite.
    """

    id: str
    pair: str
    part: Part
    family: Family
    language: Language
    film: int
    question: str
    expected: str
    options: tuple[str, ...] = ()
    facts: Facts | None = None
    # they follow from what is hashed
    second_s: float | None = field(default=None, repr=False)
    names_sprite: bool = field(default=False, repr=False)

    @property
    def shows_film(self) -> bool:
        """Whether the film stands in the conversation."""
        return self.part is not Part.NO_FILM

    def conversation(self, film: Path) -> Conversation:
        """Return the question, with its film where it is shown."""
        return Conversation().ask(self.question, *((Video(VideoSource(film)),) if self.shows_film else ()))


@dataclass(frozen=True, kw_only=True)
class Playground:
    """Films and questions about them, those about one film on end."""

    films: tuple[Film, ...]
    items: tuple[Item, ...]

    def digest(self) -> str:
        """Return a hash of every film and question."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


def make_playground(*, num_questions: int = 2000, seed: int = 0, parts: Sequence[Part] = tuple(Part)) -> Playground:
    """Write the benchmark of a seed; the same arguments always give the same films and questions.

    Args:
        num_questions: Lettered questions, half of each language. One fifth as many are asked openly, one fifth as
            yes-or-no questions, and every film is described once.
        seed: Another seed gives other films.
        parts: Which parts to keep; a part's questions do not depend on which others are kept.

    Raises:
        OptionError: The number is not a multiple of 20 (ten families, two languages), or no part is named.
    """
    step = len(CHOICE_FAMILIES) * len(Language)
    if num_questions < step or num_questions % step:
        raise OptionError(
            f"{num_questions} questions cannot be shared by {len(CHOICE_FAMILIES)} families in {len(Language)} "
            f"languages; give a multiple of {step}, such as {max(step, round(num_questions / step) * step)}"
        )
    if not parts:
        raise OptionError(f"no part is named; choose among {', '.join(Part)}")
    per_family = num_questions // step
    films = _films(max(2, num_questions // (2 * _PAIRS_PER_FILM)), per_family, seed)
    asked = _candidates(films, seed)
    lettered = _lettered(asked, per_family, seed)
    items = {
        Part.LETTERED: lettered,
        Part.NO_FILM: [
            replace(one, id=f"{Part.NO_FILM}-{one.pair}-{one.language}", part=Part.NO_FILM) for one in lettered
        ],
        Part.OPEN: _open(asked, max(1, per_family // 5), seed),
        Part.YES_NO: _yes_no(asked, 2 * per_family, seed),
        Part.DESCRIBE: _describe(asked, films),
    }
    # film by film, and what shows it first: its features and the prompt it begins are used again
    kept = [item for part in Part if part in parts for item in items[part]]
    kept.sort(key=lambda item: (not item.shows_film, item.film))
    return Playground(films=films, items=tuple(kept))


def _films(number: int, per_family: int, seed: int) -> tuple[Film, ...]:
    """Choose films of spread lengths about which much can be asked: some families fit few films.

    More films are added while a family has fewer questions than wanted.
    """
    films: list[Film] = []
    counts: dict[Family, int] = defaultdict(int)
    while len(films) < number or min(counts[family] for family in CHOICE_FAMILIES) < 1.25 * per_family:
        place = len(films)
        rng = random.Random(f"playground films {seed} {place}")
        duration_s = MOST_S if place % _SHARE_OF_LENGTHIEST == 0 else round(rng.uniform(LEAST_S, MOST_S), 2)
        best: tuple[int, Film, set[Family]] | None = None
        for _ in range(_FILMS_TRIED):
            film = make_film(rng.getrandbits(48), split=Split.TEST, duration_s=duration_s)
            found = {one.question.family for one in _askable(film, place, seed)}
            covered = len(found.intersection(CHOICE_FAMILIES))
            if (best is None or covered > best[0]) and _names_differ(film):
                best = covered, film, found
            if best is not None and best[0] == len(CHOICE_FAMILIES):
                break
        assert best is not None, f"no film of {duration_s} s has things with names of their own"
        films.append(best[1])
        for one in _askable(best[1], place, seed):
            counts[one.question.family] += 1
    return tuple(films)


def _names_differ(film: Film) -> bool:
    return is_clear(thing.look.name for scene in film.scenes for thing in scene.things)


def _candidates(films: Sequence[Film], seed: int) -> dict[Family, list[Candidate]]:
    asked = defaultdict(list)
    for place, film in enumerate(films):
        for candidate in _askable(film, place, seed):
            asked[candidate.question.family].append(candidate)
    return asked


def _askable(film: Film, place: int, seed: int) -> list[Candidate]:
    """Return what can be asked about a film, without options that words alone rule out."""
    rng = random.Random(f"playground questions {seed} {film.seed}")
    found = []
    for question in questions(film, rng):
        if question.family in CHOICE_FAMILIES and (
            len(question.wrong) < 3 or not is_clear((question.answer, *question.wrong[:3]))
        ):
            continue
        found.append(Candidate(place, question))
    return found


def _clauses(film: Film) -> Iterator[Phrase]:
    """Yield who does what, event by event."""
    for scene in film.scenes:
        for event in scene.events:
            name, act = scene.things[event.thing].look.name, does(event, scene)
            yield Phrase(f"the {name.en} {act.en}", f"{name.zh}{act.zh}")


_Asked = dict[Family, list[Candidate]]


def _lettered(asked: _Asked, per_family: int, seed: int) -> list[Item]:
    items = []
    for index, family in enumerate(CHOICE_FAMILIES):
        rng = random.Random(f"playground lettered {seed} {family}")
        chosen = pick_balanced(asked[family], per_family, rng)
        letters = [(index * per_family + place) % len(LETTERS) for place in range(per_family)]
        rng.shuffle(letters)
        for place, (candidate, letter) in enumerate(zip(chosen, letters, strict=True)):
            options = options_for(candidate.question, letter)
            for language in Language:
                item = item_about(Part.LETTERED, candidate, place, language, rng)
                items.append(lettered(item, options, letter))
    return items


def lettered(item: Item, options: Sequence[Phrase], letter: int) -> Item:
    """Return a question with lettered options; the right one stands at place `letter`."""
    words = with_options(item.question, options, item.language, LETTER_ONLY[item.language][0])
    shown = tuple(phrase_in(option, item.language) for option in options)
    return replace(item, question=words, options=shown, expected=LETTERS[letter])


def _open(asked: _Asked, per_family: int, seed: int) -> list[Item]:
    items = []
    for family in CHOICE_FAMILIES:
        rng = random.Random(f"playground open {seed} {family}")
        for place, candidate in enumerate(pick_balanced(asked[family], per_family, rng)):
            items += [item_about(Part.OPEN, candidate, place, language, rng) for language in Language]
    return items


def _yes_no(asked: _Asked, number: int, seed: int) -> list[Item]:
    rng = random.Random(f"playground yes or no {seed}")
    chosen = pick_balanced(asked[Family.YES_NO], number, rng)
    return [
        item_about(Part.YES_NO, candidate, place, language, rng)
        for place, candidate in enumerate(chosen)
        for language in Language
    ]


def _describe(asked: _Asked, films: Sequence[Film]) -> list[Item]:
    """Ask for a description of every film, in one language and the other by turns."""
    items = []
    for candidate in asked[Family.DESCRIBE]:
        language = tuple(Language)[candidate.film % 2]
        rng = random.Random(f"playground describe {candidate.film}")
        item = item_about(Part.DESCRIBE, candidate, candidate.film, language, rng)
        items.append(replace(item, facts=facts_of(films[candidate.film], language)))
    return items


def facts_of(film: Film, language: Language) -> Facts:
    """Return what a description of a film should tell."""
    things = (thing.look.name for scene in film.scenes for thing in scene.things)
    places = (
        Phrase(f"the {thing.look.name.en} is {PLACES[thing.cell].en}", f"{thing.look.name.zh}在{PLACES[thing.cell].zh}")
        for scene in film.scenes
        for index, thing in enumerate(scene.things)
        if scene.arrival_s(index) == scene.start_s
    )
    return Facts(
        things=tuple(phrase_in(name, language) for name in things),
        actions=tuple(phrase_in(clause, language) for clause in _clauses(film)),
        places=tuple(phrase_in(place, language) for place in places),
    )


def item_about(part: Part, candidate: Candidate, place: int, language: Language, rng: random.Random) -> Item:
    """Return a candidate asked freely, in words that training never hears; `place` tells it from others."""
    question = candidate.question
    named = {word for phrase in (question.answer, *question.slots.values()) for word in phrase.en.split()}
    return Item(
        id=f"{part}-{question.family}-{place}-{language}",
        pair=f"{question.family}-{place}",
        part=part,
        family=question.family,
        language=language,
        film=candidate.film,
        question=in_words(question, rng.choice(unheard(question.template, language)), language),
        expected=phrase_in(question.answer, language),
        second_s=question.second_s,
        names_sprite=not named.isdisjoint(_SPRITES),
    )
