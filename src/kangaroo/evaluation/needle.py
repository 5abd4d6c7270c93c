"""A needle in a film: one odd scene, shown for two sampling intervals somewhere in a film of up to 160 frames.

The needle is a shape that nothing else in the film has, before a background of its own, and a question asks its colour
or its place. Films are as long as makes the model's sampler take 16 to 160 frames of them. A window of two intervals
holds at least one frame at any alignment, and two at the default one. Imports without torch.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from kangaroo.errors import OptionError
from kangaroo.evaluation.balance import Candidate
from kangaroo.evaluation.playground import Item, Part, Playground, item_about, lettered
from kangaroo.playground.film import Film, Scene
from kangaroo.playground.questions import Family, Question
from kangaroo.playground.rounds import LETTERS, options_for
from kangaroo.playground.script import FilmKind, FilmSettings, Split, make_film
from kangaroo.playground.vocabulary import COLOURS, PLACES, Language, Phrase
from kangaroo.video.sampler import FrameSampler

FRAMES = (16, 32, 64, 96, 128, 160)
DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
PARTS = (Part.LETTERED, Part.OPEN)
NEEDLE_INTERVALS = 2
_ODD = FilmSettings(kind=FilmKind.STILL, sprite_share=0.0, max_things=1)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A place of the grid: frames of the film, and where in it the needle lies, 0 its start and 1 its end."""

    frames: int
    depth: float


def cells(per_cell: int) -> tuple[Cell, ...]:
    """Return the cell of each film of `make_needle`."""
    return tuple(Cell(frames=frames, depth=depth) for frames, depth in product(FRAMES, DEPTHS) for _ in range(per_cell))


def make_needle(sampler: FrameSampler, *, per_cell: int = 5, seed: int = 0) -> Playground:
    """Hide needles in films and write what is asked about them; the same arguments always give the same.

    Each film is asked the needle's colour and place, with four options and freely, in both languages.

    Args:
        sampler: The rule by which the model picks frames.
        per_cell: Films for each of the grid's 30 cells.
        seed: Another seed gives other films.

    Raises:
        OptionError: The sampler takes 160 frames of no film, or `per_cell` is below 1.
    """
    if per_cell < 1:
        raise OptionError(f"{per_cell} films a cell; give 1 or more")
    films, items = [], []
    for place, cell in enumerate(cells(per_cell)):
        rng = random.Random(f"needle {seed} {place}")
        film, odd = _hidden(cell, sampler, rng)
        films.append(film)
        items += list(_items(film, odd, place, rng))
    return Playground(films=tuple(films), items=tuple(items))


def _hidden(cell: Cell, sampler: FrameSampler, rng: random.Random) -> tuple[Film, Scene]:
    """Return a film with a needle, and the needle."""
    duration_s = _duration_s(cell.frames, sampler)
    while True:
        film = make_film(rng.getrandbits(48), split=Split.TEST, duration_s=duration_s, sampler=sampler)
        looks = [thing.look for scene in film.scenes for thing in scene.things]
        kinds, colours = {look.kind for look in looks}, {look.colour for look in looks if look.colour}
        for _ in range(100):
            odd = make_film(rng.getrandbits(48), settings=_ODD, duration_s=1.0).scenes[0]
            look = odd.things[0].look
            # where four colours are seen, all options are: the one that is not would be known without the needle
            if look.kind not in kinds and (look.colour in colours or len(colours) < len(LETTERS)):
                return _cut_in(film, odd, cell)


def _duration_s(frames: int, sampler: FrameSampler) -> float:
    duration_s = float(frames) if sampler.fps is None else frames / sampler.fps
    taken = len(sampler.wanted_times(duration_s))
    if taken != frames:
        raise OptionError(
            f"the model takes {taken} frames of a film of {duration_s:g} s where the grid wants {frames}; "
            "it needs a sampler that takes 16 to 160 frames at a fixed rate"
        )
    return duration_s


def _cut_in(film: Film, odd: Scene, cell: Cell) -> tuple[Film, Scene]:
    """Show the odd scene in place of what the film shows at that depth; around it the film goes on as it would."""
    first = round(cell.depth * (cell.frames - NEEDLE_INTERVALS))
    start_s = first * film.unit_s
    # the end of the film is said in its own number, so that no moment is left over
    is_last = first + NEEDLE_INTERVALS == cell.frames
    end_s = film.scenes[-1].end_s if is_last else (first + NEEDLE_INTERVALS) * film.unit_s
    needle = replace(odd, start_s=start_s, end_s=end_s)
    before = [replace(one, end_s=min(one.end_s, start_s)) for one in film.scenes if one.start_s < start_s]
    after = [replace(one, start_s=max(one.start_s, end_s)) for one in film.scenes if one.end_s > end_s]
    return replace(film, scenes=(*before, needle, *after)), needle


def _items(film: Film, odd: Scene, place: int, rng: random.Random) -> Iterator[Item]:
    for number, question in enumerate(_questions(film, odd, rng)):
        options = options_for(question, (place + number) % len(LETTERS))
        for part, language in product(PARTS, Language):
            item = item_about(part, Candidate(place, question), place, language, rng)
            yield lettered(item, options, (place + number) % len(LETTERS)) if part is Part.LETTERED else item


def _questions(film: Film, odd: Scene, rng: random.Random) -> Iterator[Question]:
    (thing,) = odd.things
    assert thing.look.colour is not None
    others = [COLOURS[one.look.colour].name for scene in film.scenes for one in scene.things if one.look.colour]
    yield _question(Family.COLOUR, thing.look.kind_name, COLOURS[thing.look.colour].name, others, rng)
    yield _question(Family.WHERE, thing.look.name, PLACES[thing.cell], [], rng)


def _question(family: Family, name: Phrase, answer: Phrase, likely: list[Phrase], rng: random.Random) -> Question:
    """Return a question whose wrong answers are those seen elsewhere in the film, as far as there are enough."""
    every = [colour.name for colour in COLOURS.values()] if family is Family.COLOUR else list(PLACES)
    wrong = [one for one in dict.fromkeys(likely) if one != answer]
    rng.shuffle(wrong)
    rest = [one for one in every if one != answer and one not in wrong]
    rng.shuffle(rest)
    mixed = [*wrong, *rest][:3]
    return Question(family=family, template=str(family), answer=answer, wrong=tuple(mixed), slots={"thing": name})
