"""Write films from a seed: who is there, what happens and when.

Every event lasts long enough to be seen at the frames that a sampler picks (the default one, or a training stage's),
so a question about it can be answered from what the model is shown. One look-and-action pair in eight ("the red circle
blinks") is never in a training film; in a test film every action is such a pair.
"""

import math
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate

from kangaroo.errors import OptionError
from kangaroo.playground.film import ACTIONS, ARRIVALS, MAX_TIMES, PATTERNS, Background, Event, Film, Scene, Thing, Verb
from kangaroo.playground.vocabulary import COLOURS, ROUND, SHAPES, Look, Way, common_sprites
from kangaroo.video.sampler import FrameSampler


class Split(StrEnum):
    """Which look-and-action pairs a film may show."""

    TRAIN = "train"
    TEST = "test"


class FilmKind(StrEnum):
    """Whether anything happens: a still is a film of which one frame says all."""

    MOVING = "moving"
    STILL = "still"


@dataclass(frozen=True, kw_only=True)
class FilmSettings:
    """What films are drawn.

    Attributes:
        kind: Whether anything happens.
        min_duration_s: Of those that are not asked for in a length.
        max_duration_s: Likewise.
        sprite_share: Of the things.
        max_things: In a scene.
        brief_share: Share of the films of 24 sampling intervals and more that hold a scene of 2 to 5 of them, in which
            nothing happens.
    """

    kind: FilmKind = FilmKind.MOVING
    min_duration_s: float = 2.5
    max_duration_s: float = 64.0
    sprite_share: float = 0.4
    max_things: int = 4
    brief_share: float = 0.0

    def __post_init__(self) -> None:
        assert 1 <= self.max_things <= 6, "a scene holds one to six things"
        assert 0 < self.min_duration_s <= self.max_duration_s
        assert 0 <= self.brief_share <= 1


MAX_THINGS = 6
MAX_DURATION_S = 3600.0
_SIZES_PX = ((640, 360), (640, 480), (480, 480), (360, 640), (568, 320), (720, 400))
# how many sampling intervals an event takes; blink and jump: per repetition
_UNITS = {
    Verb.ENTER: (2.0, 3.0),
    Verb.APPEAR: (1.0, 1.5),
    Verb.LEAVE: (2.0, 3.0),
    Verb.VANISH: (1.0, 1.5),
    Verb.MOVE: (2.5, 4.5),
    Verb.GROW: (2.0, 4.0),
    Verb.SHRINK: (2.0, 4.0),
    Verb.TURN: (3.5, 5.0),
    Verb.BLINK: (2.2, 2.6),
    Verb.JUMP: (2.2, 2.6),
    Verb.RECOLOUR: (1.0, 1.5),
    Verb.BUMP: (4.0, 5.5),
}
_LEAST_GAP = 0.8
_LEAST_AROUND_BRIEF = 24
# some questions need one of these, so that they are not rarer than others
_ACTION_WEIGHTS = [2 if verb in (Verb.BLINK, Verb.JUMP, Verb.MOVE, Verb.RECOLOUR) else 1 for verb in ACTIONS]


def held_out(look: Look, verb: Verb) -> bool:
    """Whether training never sees this look do this."""
    return zlib.crc32(f"{look.colour} {look.kind} {verb}".encode()) % 8 == 0


def make_film(
    seed: int,
    *,
    split: Split = Split.TRAIN,
    settings: FilmSettings = FilmSettings(),
    duration_s: float | None = None,
    sampler: FrameSampler = FrameSampler(),
) -> Film:
    """Write the film of this seed; the same arguments always give the same film.

    Args:
        seed: Any whole number.
        split: Which look-and-action pairs it may show.
        settings: What kind of film.
        duration_s: Seconds; drawn from the settings' range, short films more often, when not given.
        sampler: Picks the frames at which the film will be seen.

    Raises:
        OptionError: So long a film cannot be drawn.
    """
    if duration_s is not None and not 0 < duration_s <= MAX_DURATION_S:
        raise OptionError(
            f"a film of {duration_s:g} s cannot be drawn; give more than 0, at most {MAX_DURATION_S:g} seconds"
        )
    rng = random.Random(f"{split} {seed}")
    if duration_s is None:
        duration_s = math.exp(rng.uniform(math.log(settings.min_duration_s), math.log(settings.max_duration_s)))
    width_px, height_px = rng.choice(_SIZES_PX)
    num_units = len(sampler.wanted_times(duration_s))
    unit_s = duration_s / num_units
    scenes: list[Scene] = []
    taken: set[Look] = set()
    spans, brief = _scene_spans(rng, num_units), None
    # tested first: a film without draws the same numbers as ever
    if settings.brief_share and num_units >= _LEAST_AROUND_BRIEF and rng.random() < settings.brief_share:
        brief = rng.randint(0, len(spans))
        spans = _with_a_brief_one(rng, spans, brief)
    for place, (start, length) in enumerate(spans):
        own = replace(settings, kind=FilmKind.STILL) if place == brief else settings
        writer = _SceneWriter(rng, split, own, taken, start, length)
        scenes.append(writer.write(unit_s))
        taken |= {thing.look for thing in scenes[-1].things}
    return Film(
        seed=seed,
        duration_s=duration_s,
        width_px=width_px,
        height_px=height_px,
        fps=rng.choice((10, 12, 15, 24)),
        unit_s=unit_s,
        scenes=tuple(scenes),
    )


def _scene_spans(rng: random.Random, num_units: int) -> list[tuple[float, float]]:
    """Cut a film into scenes of about 11 to 40 sampling intervals; a short film is one."""
    most = max(1, num_units // 14)
    least = -(-num_units // 40)
    count = rng.randint(least, max(least, min(most, least + 3)))
    weights = [rng.uniform(1.0, 1.6) for _ in range(count)]
    spans, start = [], 0.0
    for weight in weights:
        length = num_units * weight / sum(weights)
        spans.append((start, length))
        start += length
    return spans


def _with_a_brief_one(rng: random.Random, spans: list[tuple[float, float]], place: int) -> list[tuple[float, float]]:
    """Make room for a scene of 2 to 5 sampling intervals, before the scene of this place or after the last."""
    brief = rng.uniform(2.0, 5.0)
    whole = sum(length for _, length in spans)
    lengths = [length * (whole - brief) / whole for _, length in spans]
    lengths.insert(place, brief)
    return list(zip(accumulate(lengths, initial=0.0), lengths, strict=False))


@dataclass
class _Beat:
    """An event before its times are known; `thing` counts within the scene."""

    event: Event
    units: float


class _SceneWriter:
    """Writes one scene: first who does what in which order, then when."""

    def __init__(
        self,
        rng: random.Random,
        split: Split,
        settings: FilmSettings,
        taken: set[Look],
        start: float,
        length: float,
    ) -> None:
        self.rng, self.split, self.settings = rng, split, settings
        self.taken, self.start, self.length = set(taken), start, length
        self.things: list[Thing] = []
        self.cells: dict[int, int] = {}  # where each thing in view stands as the script goes on
        self.beats: list[_Beat] = []

    def write(self, unit_s: float) -> Scene:
        room = int(self.length)
        still = self.settings.kind is FilmKind.STILL
        count = self.rng.randint(
            1, self.settings.max_things if still else max(1, min(self.settings.max_things, room // 5))
        )
        plans = [[] if still else self._plan() for _ in range(count)]
        initial = self.rng.choice((0, 1, 1, 2, count)) if count > 1 else self.rng.randint(0, 1)
        if still:
            initial = count
        queues = []
        for index, verbs in enumerate(plans):
            self._add_thing(verbs)
            if index < initial:
                self.cells[index] = self.things[index].cell
                queues.append(verbs)
            else:
                queues.append([self.rng.choice((Verb.ENTER, Verb.ENTER, Verb.APPEAR)), *verbs])
        used = 0.0
        while any(queues):
            index = self.rng.choice([i for i, queue in enumerate(queues) if queue])
            verb = queues[index].pop(0)
            beat = self._beat(index, verb)
            if beat is None:
                continue
            if used + beat.units + _LEAST_GAP > self.length - 1.5:
                queues[index].clear()
                continue
            used += beat.units + _LEAST_GAP
            self.beats.append(beat)
            self._follow(beat.event)
        return self._timed(used, unit_s)

    def _plan(self) -> list[Verb]:
        """Choose what one thing does between coming and going."""
        number = self.rng.choice((0, 1, 1, 1, 1, 2 if self.length > 20 else 1))
        verbs = list(dict.fromkeys(self.rng.choices(ACTIONS, _ACTION_WEIGHTS, k=number)))
        if self.rng.random() < 0.25:
            verbs.append(self.rng.choice((Verb.LEAVE, Verb.VANISH)))
        return verbs

    def _add_thing(self, verbs: list[Verb]) -> None:
        acts = [verb for verb in verbs if verb in ACTIONS]
        look = self._look(acts)
        while look is None:
            verbs.remove(acts.pop())
            look = self._look(acts)
        self.taken.add(look)
        free = [cell for cell in range(9) if cell not in {thing.cell for thing in self.things}]
        jitter = (self.rng.uniform(-0.04, 0.04), self.rng.uniform(-0.04, 0.04))
        size = self.rng.uniform(0.24, 0.34)
        self.things.append(Thing(look=look, cell=self.rng.choice(free), jitter=jitter, size=size))

    def _look(self, acts: list[Verb]) -> Look | None:
        for _ in range(300):
            if self.rng.random() < self.settings.sprite_share and Verb.RECOLOUR not in acts:
                look = Look(self.rng.choice(common_sprites()))
            else:
                look = Look(self.rng.choice(tuple(SHAPES)), self.rng.choice(tuple(COLOURS)))
            if look in self.taken or (Verb.TURN in acts and look.kind in ROUND):
                continue
            if all(held_out(look, verb) == (self.split is Split.TEST) for verb in acts):
                return look
        return None

    def _beat(self, index: int, verb: Verb) -> _Beat | None:
        """Fill in what the verb needs, or None where the scene does not allow it now."""
        event = Event(verb=verb, thing=index, start_s=0.0, end_s=0.0)
        repetitions = 1
        match verb:
            case Verb.ENTER | Verb.LEAVE:
                event = replace(event, way=self.rng.choice(tuple(Way)))
            case Verb.MOVE:
                moves = list(self._moves(index))
                if not moves:
                    return None
                way, steps = self.rng.choice(moves)
                event = replace(event, way=way, steps=steps)
            case Verb.BLINK | Verb.JUMP:
                repetitions = self.rng.randint(1, MAX_TIMES)
                event = replace(event, times=repetitions)
            case Verb.RECOLOUR:
                kind = self.things[index].look.kind
                colours = [colour for colour in COLOURS if Look(kind, colour) not in self.taken]
                if not colours:
                    return None
                event = replace(event, colour=self.rng.choice(colours))
                self.taken.add(Look(kind, event.colour))
            case Verb.BUMP:
                others = [other for other in self.cells if other != index]
                moved = any(beat.event.verb is Verb.MOVE for beat in self.beats)
                if not others or moved:
                    return None
                event = replace(event, other=self.rng.choice(others))
        return _Beat(event, repetitions * self.rng.uniform(*_UNITS[verb]))

    def _moves(self, index: int) -> Iterator[tuple[Way, int]]:
        """Yield the ways and numbers of grid cells by which a thing can move onto a free cell."""
        cell = self.cells[index]
        # a thing that has not come yet keeps its cell free
        occupied = {other.cell for i, other in enumerate(self.things) if i not in self.cells}
        occupied |= {place for i, place in self.cells.items() if i != index}
        for way in Way:
            columns, rows = way.step
            for steps in (1, 2):
                column, row = cell % 3 + columns * steps, cell // 3 + rows * steps
                if 0 <= column < 3 and 0 <= row < 3 and column + 3 * row not in occupied:
                    yield way, steps

    def _follow(self, event: Event) -> None:
        if event.verb in ARRIVALS:
            self.cells[event.thing] = self.things[event.thing].cell
        elif event.verb in (Verb.LEAVE, Verb.VANISH):
            del self.cells[event.thing]
        elif event.verb is Verb.MOVE and event.way is not None:
            columns, rows = event.way.step
            self.cells[event.thing] += event.steps * (columns + 3 * rows)

    def _timed(self, used: float, unit_s: float) -> Scene:
        """Spread what time is left at random between the beats; drop things that never come into view."""
        weights = [self.rng.random() ** 2 + 0.05 for _ in range(len(self.beats) + 1)]
        slack = max(0.0, self.length - 1.5 - used)
        cursor = self.start
        events = []
        for beat, weight in zip(self.beats, weights, strict=False):
            cursor += _LEAST_GAP + slack * weight / sum(weights)
            start, end = cursor * unit_s, (cursor + beat.units) * unit_s
            events.append(replace(beat.event, start_s=start, end_s=end))
            cursor += beat.units
        arrived = {event.thing for event in events if event.verb in ARRIVALS} | set(self.cells)
        came = [index for index in range(len(self.things)) if index in arrived or _acts(events, index)]
        renumber = {old: new for new, old in enumerate(came)}
        renamed = (
            replace(
                event,
                thing=renumber[event.thing],
                other=None if event.other is None else renumber[event.other],
            )
            for event in events
        )
        return Scene(
            start_s=self.start * unit_s,
            end_s=(self.start + self.length) * unit_s,
            background=_background(self.rng),
            things=tuple(self.things[index] for index in came),
            events=tuple(renamed),
        )


def _acts(events: list[Event], thing: int) -> bool:
    return any(event.thing == thing for event in events)


def _background(rng: random.Random) -> Background:
    """Choose two muted colours, so that the things stand out."""
    light = rng.random() < 0.6
    base = [rng.uniform(0.72, 0.92) if light else rng.uniform(0.14, 0.38) for _ in range(3)]
    second = [min(1.0, max(0.05, part + rng.uniform(-0.12, 0.12))) for part in base]
    return Background(
        pattern=rng.choice(PATTERNS),
        first=(base[0], base[1], base[2]),
        second=(second[0], second[1], second[2]),
        angle=rng.uniform(0, math.pi),
        frequency=rng.uniform(1.5, 6.0),
    )
