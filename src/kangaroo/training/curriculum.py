"""Stages as values: what joey is shown, in which order, and how fast it learns.

The five stages of the paper come with the curriculum; this plain schedule of joey's first training is where they grow.
"""

from dataclasses import dataclass, field

from kangaroo.playground.questions import Family
from kangaroo.playground.rounds import Mixture
from kangaroo.playground.script import FilmSettings


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One part of a training run.

    Attributes:
        name: What logs and folders call it.
        image_size_px: Side of the square frames.
        frames: How many frames films have, each count with its share of the batches.
        batch_frames: Frames in one batch: batches of longer films hold fewer films.
        max_films: Films in one batch at most.
        conversations: About each film; it passes the vision tower once.
        steps: Optimiser steps.
        learning_rate: At the stage's start and at its end, with half a cosine between.
        mixture: What is asked about each film.
        films: What kind of films are drawn.
    """

    name: str
    image_size_px: int
    frames: tuple[tuple[int, float], ...]
    batch_frames: int
    max_films: int
    conversations: int
    steps: int
    learning_rate: tuple[float, float]
    mixture: Mixture = field(default_factory=Mixture)
    films: FilmSettings = field(default_factory=FilmSettings)

    def __post_init__(self) -> None:
        most = max(count for count, _ in self.frames)
        assert most <= self.batch_frames, f"a film of {most} frames does not fit a batch of {self.batch_frames}"


JOEY = (
    Stage(
        name="seeing",
        image_size_px=112,
        frames=((1, 0.08), (16, 0.64), (32, 0.14), (64, 0.14)),
        batch_frames=4096,
        max_films=256,
        conversations=1,
        steps=3300,
        learning_rate=(2e-3, 1.4e-3),
        mixture=Mixture(num_rounds=7, describe_share=0.5, choice_share=0.5),
    ),
    Stage(
        name="longer",
        image_size_px=112,
        frames=((1, 0.03), (16, 0.32), (32, 0.3), (64, 0.35)),
        batch_frames=8192,
        max_films=384,
        conversations=1,
        steps=850,
        learning_rate=(1.4e-3, 1.1e-3),
        mixture=Mixture(num_rounds=8, describe_share=0.35, choice_share=0.6),
    ),
    Stage(
        name="sharper",
        image_size_px=224,
        frames=((1, 0.04), (16, 0.4), (32, 0.26), (64, 0.3)),
        batch_frames=3072,
        max_films=192,
        conversations=1,
        steps=1200,
        learning_rate=(1.1e-3, 1e-5),
        mixture=Mixture(num_rounds=9, describe_share=0.25, choice_share=0.65),
    ),
)

_HARDER = tuple((family, 2.0) for family in (Family.WHAT, Family.ORDER, Family.ACTION, Family.COUNT, Family.CHANGE))

AGAIN = (
    Stage(
        name="fairer",
        image_size_px=112,
        frames=((1, 0.02), (16, 0.36), (32, 0.26), (64, 0.36)),
        batch_frames=8192,
        max_films=384,
        conversations=3,
        steps=2300,
        learning_rate=(1.4e-3, 0.9e-3),
        mixture=Mixture(num_rounds=5, describe_share=0.15, choice_share=0.65, weights=_HARDER),
    ),
    Stage(
        name="sharper",
        image_size_px=224,
        frames=((1, 0.02), (16, 0.36), (32, 0.26), (64, 0.36)),
        batch_frames=3072,
        max_films=192,
        conversations=2,
        steps=1600,
        learning_rate=(0.9e-3, 1e-5),
        mixture=Mixture(num_rounds=6, describe_share=0.15, choice_share=0.65, weights=_HARDER),
    ),
)

# two layers a side, a few films: the whole road in seconds on a CPU
TINY = tuple(
    Stage(
        name=stage.name,
        image_size_px=56,
        frames=((1, 0.2), (16, 0.8)),
        batch_frames=32,
        max_films=4,
        conversations=2,
        steps=2,
        learning_rate=stage.learning_rate,
    )
    for stage in JOEY
)

CURRICULA = {"joey": JOEY, "again": AGAIN, "tiny": TINY}
WARM_UP_STEPS = 200
