"""A film as a scene graph over time: things with looks, and the events that happen to them.

Nothing here is drawn: `Film.states` says where everything is at given seconds, `render` turns that into pixels.
Positions are shares of the picture's width and height; sizes are shares of its shorter side.
Axes: frame, thing, state (x, y, size, angle, alpha, red, green, blue, tile).
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float32, Float64

from kangaroo.playground.vocabulary import COLOURS, SHAPES, Look, Phrase, Way, sprites
from kangaroo.video.sampler import FrameSampler

NUM_STATES = 9
COLUMNS_AT = (0.18, 0.5, 0.82)
ROWS_AT = (0.2, 0.5, 0.8)


class Verb(StrEnum):
    """What can happen to a thing."""

    ENTER = "enter"
    APPEAR = "appear"
    LEAVE = "leave"
    VANISH = "vanish"
    MOVE = "move"
    GROW = "grow"
    SHRINK = "shrink"
    TURN = "turn"
    BLINK = "blink"
    JUMP = "jump"
    RECOLOUR = "recolour"
    BUMP = "bump"


ARRIVALS = (Verb.ENTER, Verb.APPEAR)
DEPARTURES = (Verb.LEAVE, Verb.VANISH)
MAX_TIMES = 4  # a thing blinks or jumps so often at most
ACTIONS = tuple(verb for verb in Verb if verb not in ARRIVALS + DEPARTURES)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happens to a thing between two seconds of the film.

    `way` belongs to enter, leave (sides) and move; `times` to blink and jump; `colour` to recolour;
    `other` (a thing's index in the scene) to bump; `steps` (cells of the three-by-three grid) to move.
    """

    verb: Verb
    thing: int
    start_s: float
    end_s: float
    way: Way | None = None
    times: int = 0
    colour: str | None = None
    other: int | None = None
    steps: int = 0


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Something drawn: its look, the cell of the three-by-three grid where it starts, its size."""

    look: Look
    cell: int
    jitter: tuple[float, float]
    size: float


@dataclass(frozen=True, kw_only=True)
class Background:
    """A pattern of two colours: RGB 0 to 1, angle in radians, repetitions over the picture."""

    pattern: str
    first: tuple[float, float, float]
    second: tuple[float, float, float]
    angle: float
    frequency: float


PATTERNS = ("plain", "gradient", "stripes", "checks", "clouds")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Things and events before one background. Event times count from the film's start; events are in order."""

    start_s: float
    end_s: float
    background: Background
    things: tuple[Thing, ...]
    events: tuple[Event, ...]

    def events_of(self, thing: int) -> list[Event]:
        """Return what happens to one thing, in order."""
        return [event for event in self.events if event.thing == thing]

    def arrival_s(self, thing: int) -> float:
        """Return the second at which a thing comes into view."""
        first = next((event for event in self.events if event.thing == thing and event.verb in ARRIVALS), None)
        return self.start_s if first is None else first.start_s

    def ways_of(self, thing: int) -> frozenset[Way]:
        """Return the ways in which a thing is seen to go, whatever it does."""
        steps: set[tuple[int, int]] = set()
        for event in self.events_of(thing):
            columns, rows = (0, 0) if event.way is None else event.way.step
            match event.verb:
                case Verb.MOVE | Verb.LEAVE:
                    steps.add((columns, rows))
                case Verb.ENTER:  # from that side
                    steps.add((-columns, -rows))
                case Verb.JUMP:
                    steps |= {(0, -1), (0, 1)}
                case Verb.BUMP if event.other is not None:  # there and back
                    (row, column), (other_row, other_column) = (
                        divmod(self.things[each].cell, 3) for each in (thing, event.other)
                    )
                    if column != other_column:
                        steps |= {(-1, 0), (1, 0)}
                    if row != other_row:
                        steps |= {(0, -1), (0, 1)}
        return frozenset(way for way in Way if way.step in steps)

    def cell_after(self, thing: int) -> int:
        """Return the grid cell where a thing stands at the end."""
        cell = self.things[thing].cell
        for event in self.events_of(thing):
            if event.verb is Verb.MOVE and event.way is not None:
                columns, rows = event.way.step
                cell += event.steps * (columns + 3 * rows)
        return cell


@dataclass(frozen=True, kw_only=True)
class Film:
    """Scenes that follow one another without a gap.

    `unit_s` is the time between two frames that a viewer is taken to see: what happens lasts longer.

    >>> film = make_film(seed=1)
    >>> film.states(np.array([0.0, 0.5]), num_slots=6).shape
    (2, 6, 9)
    """

    seed: int
    duration_s: float
    width_px: int
    height_px: int
    fps: int
    unit_s: float
    scenes: tuple[Scene, ...]

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width_px / self.height_px

    @property
    def num_frames(self) -> int:
        """Frames of the whole film at its rate."""
        return max(1, round(self.duration_s * self.fps))

    @property
    def frame_times_s(self) -> Float64[np.ndarray, " frame"]:
        """The second at which each frame of the film is shown."""
        return np.arange(self.num_frames) / self.fps

    def taken_times_s(self, sampler: FrameSampler) -> Float64[np.ndarray, " frame"]:
        """Return the seconds of the frames that a sampler takes of this film, written as a file."""
        return np.floor(sampler.wanted_times(self.num_frames / self.fps) * self.fps + 1e-6) / self.fps

    def scene_at(self, second: float) -> int:
        """Return the index of the scene shown at a second."""
        return next((i for i, scene in enumerate(self.scenes) if second < scene.end_s), len(self.scenes) - 1)

    def states(
        self, times_s: Float64[np.ndarray, " frame"], *, num_slots: int
    ) -> Float32[np.ndarray, "frame thing state"]:
        """Return every visible thing's state at each second; unused slots have alpha 0."""
        states = np.zeros((len(times_s), num_slots, NUM_STATES), dtype=np.float32)
        for scene in self.scenes:
            shown = (times_s >= scene.start_s) & (times_s < scene.end_s)
            if scene is self.scenes[-1]:
                shown |= times_s >= scene.end_s
            if not shown.any():
                continue
            assert len(scene.things) <= num_slots, f"{len(scene.things)} things, {num_slots} slots"
            for index in range(len(scene.things)):
                states[shown, index] = _thing_states(scene, index, times_s[shown], self.aspect)
        return states


def _thing_states(scene: Scene, index: int, times_s: np.ndarray, aspect: float) -> np.ndarray:
    """Fold a thing's events, in order, into its state at each second."""
    thing = scene.things[index]
    state = np.empty((len(times_s), NUM_STATES), dtype=np.float32)
    # one unit is the shorter side: how much of the width and of the height it takes
    unit = (min(1.0, 1.0 / aspect), min(1.0, aspect))
    x, y = _place(thing)
    x_at, y_at = np.full(len(times_s), x), np.full(len(times_s), y)
    size, alpha = np.full(len(times_s), thing.size), np.ones(len(times_s))
    angle = np.zeros(len(times_s))
    rgb = np.tile(np.array(COLOURS[thing.look.colour].rgb if thing.look.colour else (1, 1, 1)), (len(times_s), 1))
    for event in scene.events_of(index):
        share = np.clip((times_s - event.start_s) / (event.end_s - event.start_s), 0, 1)
        during = (share > 0) & (share < 1)
        match event.verb:
            case Verb.ENTER | Verb.LEAVE:
                assert event.way is not None
                columns, rows = event.way.step
                away = 1 - share if event.verb is Verb.ENTER else share
                half = thing.size * 0.6
                if columns:
                    edge = 1 + half * unit[0] if columns > 0 else -half * unit[0]
                    x_at = x_at + (edge - x_at) * away
                else:
                    edge = 1 + half * unit[1] if rows > 0 else -half * unit[1]
                    y_at = y_at + (edge - y_at) * away
                hidden = share <= 0 if event.verb is Verb.ENTER else share >= 1
                alpha = np.where(hidden, 0, alpha)
            case Verb.APPEAR:
                alpha = alpha * share
            case Verb.VANISH:
                alpha = alpha * (1 - share)
            case Verb.MOVE:
                assert event.way is not None
                columns, rows = event.way.step
                x_at = x_at + share * columns * event.steps * (COLUMNS_AT[1] - COLUMNS_AT[0])
                y_at = y_at + share * rows * event.steps * (ROWS_AT[1] - ROWS_AT[0])
            case Verb.GROW:
                size = size * (1 + 0.8 * share)
            case Verb.SHRINK:
                size = size * (1 - 0.5 * share)
            case Verb.TURN:
                angle = angle + 2 * math.pi * share
            case Verb.BLINK:
                alpha = np.where(during & ((share * event.times) % 1 < 0.5), 0, alpha)
            case Verb.JUMP:
                cycle = (share * event.times) % 1
                y_at = y_at - np.where(during & (cycle < 0.5), 0.13 * np.sqrt(np.sin(2 * math.pi * cycle).clip(0)), 0)
            case Verb.RECOLOUR:
                assert event.colour is not None
                rgb = rgb + (np.array(COLOURS[event.colour].rgb) - rgb) * share[:, None]
            case Verb.BUMP:
                assert event.other is not None
                there_x, there_y = _place(scene.things[event.other])
                gap_x, gap_y = (there_x - x) / unit[0], (there_y - y) / unit[1]
                distance = math.hypot(gap_x, gap_y)
                touch = max(0.0, 1 - 0.45 * (thing.size + scene.things[event.other].size) / distance)
                swing = touch * (1 - np.abs(2 * share - 1))
                x_at, y_at = x_at + swing * (there_x - x), y_at + swing * (there_y - y)
    state[:, 0], state[:, 1], state[:, 2], state[:, 3], state[:, 4] = x_at, y_at, size, angle, alpha
    state[:, 5:8] = rgb
    state[:, 8] = tile_of(thing.look)
    return state


def _place(thing: Thing) -> tuple[float, float]:
    return COLUMNS_AT[thing.cell % 3] + thing.jitter[0], ROWS_AT[thing.cell // 3] + thing.jitter[1]


_SHAPE_TILES = {slug: tile for tile, slug in enumerate(SHAPES)}


def tile_of(look: Look) -> int:
    """Return the index of a look's picture in the atlas: shapes first, then sprites."""
    return _SHAPE_TILES[look.kind] if look.is_shape else len(SHAPES) + sprites()[look.kind].tile


def does(event: Event, scene: Scene) -> Phrase:
    """Say what happens, after the thing's name: `moves left`, `向左移动`."""
    way, times = event.way, event.times
    match event.verb:
        case Verb.ENTER if way:
            return Phrase(f"enters from {way.side.en}", f"从{way.side.zh}进来")
        case Verb.LEAVE if way:
            return Phrase(f"leaves to {way.side.en}", f"从{way.side.zh}离开")
        case Verb.MOVE if way:
            return Phrase(f"moves {way.motion.en}", f"{way.motion.zh}移动")
        case Verb.BLINK:
            return Phrase(f"blinks {times_phrase(times).en}", f"闪烁{times_phrase(times).zh}")
        case Verb.JUMP:
            return Phrase(f"jumps {times_phrase(times).en}", f"跳{times_phrase(times).zh}")
        case Verb.RECOLOUR if event.colour:
            colour = COLOURS[event.colour].name
            return Phrase(f"turns {colour.en}", f"变成{colour.zh}")
        case Verb.BUMP if event.other is not None:
            other = scene.things[event.other].look.name
            return Phrase(f"bumps into the {other.en}", f"撞上{other.zh}")
        case _:
            return _PLAIN[event.verb]


_PLAIN = {
    Verb.APPEAR: Phrase("appears", "出现"),
    Verb.VANISH: Phrase("vanishes", "消失"),
    Verb.GROW: Phrase("grows", "变大"),
    Verb.SHRINK: Phrase("shrinks", "变小"),
    Verb.TURN: Phrase("spins", "旋转"),
}


def times_phrase(times: int) -> Phrase:
    """Say how often: `3 times`, `3次`."""
    return Phrase("1 time" if times == 1 else f"{times} times", f"{times}次")
