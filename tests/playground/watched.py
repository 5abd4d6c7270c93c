"""What a film shows, read from its pixels alone: when each thing can be seen, where, how large and in which colour.

To tell things apart, a film is drawn with one thing at its size and all others too small to see. Nothing here asks
the film's states, events or questions.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from kangaroo.playground.film import Film
from kangaroo.playground.render import Renderer
from kangaroo.playground.vocabulary import COLOURS

RATE_HZ = 8
SIDE_PX = 72
_TOO_SMALL = 1e-5
_RENDERER = Renderer("cpu")
_PLACES = (
    ("at the top left", "at the top", "at the top right"),
    ("on the left", "in the centre", "on the right"),
    ("at the bottom left", "at the bottom", "at the bottom right"),
)


def place_name(x: float, y: float) -> str:
    """The name of the ninth of the picture in which a point lies."""
    return _PLACES[min(int(y * 3), 2)][min(int(x * 3), 2)]


def colour_name(rgb: np.ndarray) -> str:
    """The named colour that is nearest."""
    return min(COLOURS, key=lambda name: float(np.sum((np.array(COLOURS[name].rgb) - rgb) ** 2)))


@dataclass(frozen=True)
class Watched:
    """One thing's pixels in a film, eight times a second.

    `alone` is the film with this thing only, `bare` without any.
    `pixels` `[moment, row, column, rgb]` and `background` alike, 0 to 1.
    """

    alone: Film
    bare: Film
    background: np.ndarray

    @cached_property
    def pixels(self) -> np.ndarray:
        return _drawn(self.alone, moments(self.alone))

    @property
    def times_s(self) -> np.ndarray:
        """Each moment's second."""
        return np.arange(len(self.pixels)) / RATE_HZ

    @cached_property
    def masks(self) -> np.ndarray:
        """Where it can be seen, `[moment, row, column]`."""
        return abs(self.pixels - self.background).max(axis=-1) > 0.05

    @cached_property
    def areas(self) -> np.ndarray:
        """How many pixels it takes, `[moment]`."""
        return self.masks.sum(axis=(1, 2))

    @property
    def seen(self) -> np.ndarray:
        """Whether it can be seen, `[moment]`."""
        return self.areas > 2

    @cached_property
    def centres(self) -> np.ndarray:
        """Where the middle of its extent lies, x and y as shares; NaN where it is not seen, `[moment, 2]`."""
        centres = np.full((len(self.masks), 2), np.nan)
        for moment in np.flatnonzero(self.seen):
            rows, columns = np.nonzero(self.masks[moment])
            middle = (columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2
            centres[moment] = np.array(middle) / SIDE_PX
        return centres

    @property
    def first_s(self) -> float:
        """When it is first seen."""
        return float(self.times_s[np.argmax(self.seen)])

    def colour_at(self, second: float) -> str:
        """The named colour of most of its pixels, seen from near, so that its edge is small beside it."""
        thing, behind = (_drawn(film, np.array([second]), side_px=240)[0] for film in (self.alone, self.bare))
        votes = [colour_name(rgb) for rgb in thing[abs(thing - behind).max(axis=-1) > 0.01]]
        return max(set(votes), key=votes.count)

    @cached_property
    def onsets_s(self) -> list[float]:
        """When its picture begins to change after half a second at rest."""
        changes = abs(np.diff(self.pixels - self.background, axis=0)).max(axis=(1, 2, 3)) > 0.02
        quiet = RATE_HZ // 2
        found: list[float] = []
        still = quiet
        for moment, changing in enumerate(changes):
            if changing and still >= quiet:
                found.append(moment / RATE_HZ)
            still = 0 if changing else still + 1
        return found


def watch(film: Film) -> dict[str, tuple[int, Watched]]:
    """Each thing's English name, the scene it belongs to, and what is seen of it."""
    bare = replace(film, scenes=tuple(replace(scene, things=(), events=()) for scene in film.scenes))
    background = _drawn(bare, moments(bare))
    return {
        thing.look.name.en: (number, Watched(_only(film, number, index), bare, background))
        for number, scene in enumerate(film.scenes)
        for index, thing in enumerate(scene.things)
    }


def _only(film: Film, shown: int, wanted: int) -> Film:
    scenes = []
    for number, scene in enumerate(film.scenes):
        things = tuple(
            thing if (number, index) == (shown, wanted) else replace(thing, size=_TOO_SMALL)
            for index, thing in enumerate(scene.things)
        )
        scenes.append(replace(scene, things=things))
    return replace(film, scenes=tuple(scenes))


def moments(film: Film) -> np.ndarray:
    return np.arange(0, film.duration_s - 1e-6, 1 / RATE_HZ)


def _drawn(film: Film, times_s: np.ndarray, side_px: int = SIDE_PX) -> np.ndarray:
    return _RENDERER.draw(film, times_s, height_px=side_px, width_px=side_px).numpy() / np.float32(255)
