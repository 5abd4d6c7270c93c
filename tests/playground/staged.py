"""Films set up by hand: a red square in the middle before plain grey, and whatever happens to it."""

import numpy as np

from kangaroo.playground.film import Background, Event, Film, Scene, Thing, Verb
from kangaroo.playground.vocabulary import Look

RED_SQUARE = Look("square", "red")
GREY = Background(pattern="plain", first=(0.8, 0.8, 0.8), second=(0.8, 0.8, 0.8), angle=0.0, frequency=2.0)
START_S, END_S = 4.0, 8.0
X, Y, SIZE, ANGLE, ALPHA, RED, TILE = 0, 1, 2, 3, 4, 5, 8


def thing(look: Look = RED_SQUARE, *, cell: int = 4, size: float = 0.3, jitter=(0.0, 0.0)) -> Thing:
    return Thing(look=look, cell=cell, jitter=jitter, size=size)


def event(verb: Verb, *, thing: int = 0, start_s: float = START_S, end_s: float = END_S, **details) -> Event:
    return Event(verb=verb, thing=thing, start_s=start_s, end_s=end_s, **details)


def scene(things=(thing(),), events=(), *, start_s: float = 0.0, end_s: float = 16.0, background=GREY) -> Scene:
    return Scene(start_s=start_s, end_s=end_s, background=background, things=tuple(things), events=tuple(events))


def film(*scenes: Scene, width_px: int = 480, height_px: int = 480, fps: int = 10) -> Film:
    return Film(
        seed=0,
        duration_s=scenes[-1].end_s,
        width_px=width_px,
        height_px=height_px,
        fps=fps,
        unit_s=1.0,
        scenes=tuple(scenes),
    )


def staged(verb: Verb, **details) -> Film:
    """One thing to which one thing happens, from 4 to 8 s of 16 s."""
    return film(scene(events=[event(verb, **details)]))


def states(shown: Film, *times_s: float, slot: int = 0) -> np.ndarray:
    """A thing's states `[moment, state]`."""
    return shown.states(np.array(times_s), num_slots=3)[:, slot]


def bare(shown: Film) -> Film:
    """The film without its things."""
    return film(
        *(scene((), (), start_s=each.start_s, end_s=each.end_s, background=each.background) for each in shown.scenes),
        width_px=shown.width_px,
        height_px=shown.height_px,
    )
