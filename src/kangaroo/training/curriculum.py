"""The five stages as values, in the order of the paper's table: what trains, what is seen, how much, how fast.

The table (arXiv 2408.15542 and its project page) gives parts, resolution, frames, context and samples. Learning
rates, batch sizes and schedules were never published: those here are ours. Imports without torch.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from kangaroo.playground.questions import Family
from kangaroo.playground.rounds import Mixture
from kangaroo.playground.script import FilmKind, FilmSettings
from kangaroo.video.sampler import FrameSampler


class Part(StrEnum):
    """What of the network can train on its own."""

    VISION = "vision"
    PATCHIFY = "patchify"
    PROJECTOR = "projector"
    LANGUAGE = "language"


class Patchify(StrEnum):
    """Whether frames and patches are folded already; a stage that folds after one that did not begins by averaging."""

    OFF = "none"
    ON = "depthwise"


class Method(StrEnum):
    """What moves the weights: AdamW, or Muon for matrices (and AdamW for the rest), which a small network learns
    from nothing with in half the steps."""

    ADAMW = "adamw"
    MUON = "muon"


@dataclass(frozen=True, kw_only=True)
class Records:
    """Records on disk, by the name that a recipe's [data] gives a path to."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Playground films, drawn as training goes.

    Attributes:
        least_s: The shortest film.
        most_s: The longest.
        conversations: About each film; it passes the vision tower once.
        rounds: What is asked in each.
        films: What they show.
        weight: How much of the stage's samples they are.
    """

    least_s: float
    most_s: float
    conversations: int = 1
    rounds: Mixture = field(default_factory=Mixture)
    films: FilmSettings = field(default_factory=FilmSettings)
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One row of the table.

    Attributes:
        name: What logs and folders call it.
        image_size_px: Side of the square frames.
        sampler: Picks the frames that are seen of a film.
        patchify: Whether the network folds frames and patches.
        rates: The parts that train, each with its highest learning rate; the others stay as they are.
        context_tokens: Length of a packed row.
        rows: Packed rows in one step, over all GPUs.
        samples: How many samples are seen.
        data: Where samples come from, with weights.
        method: What moves the weights.
        warm_up: Share of the samples over which rates rise.
        last_rate: What rates fall to, as a share of their highest, by half a cosine.
        z_loss: Weight of the term that keeps logits from drifting (see `loss.chunked_cross_entropy`).
    """

    name: str
    image_size_px: int
    sampler: FrameSampler
    patchify: Patchify
    rates: tuple[tuple[Part, float], ...]
    context_tokens: int
    rows: int
    samples: int
    data: tuple[Records | Drawn, ...]
    method: Method = Method.ADAMW
    warm_up: float = 0.03
    last_rate: float = 0.1
    z_loss: float = 0.0

    @property
    def most_frames(self) -> int:
        """The most frames that a film can have."""
        return self.sampler.num_frames or self.sampler.max_frames


_ENCODER = (Part.VISION, Part.PROJECTOR)
_BRIDGE = (Part.PATCHIFY, Part.PROJECTOR)


def _rates(*parts: Part, vision: float = 0.0, bridge: float = 0.0, language: float = 0.0) -> Any:
    by_part = {Part.VISION: vision, Part.LANGUAGE: language}
    return tuple((part, by_part.get(part, bridge)) for part in parts)


KANGAROO = (
    Stage(
        name="image-pretraining",
        image_size_px=224,
        sampler=FrameSampler(num_frames=1),
        patchify=Patchify.OFF,
        rates=_rates(*_ENCODER, vision=1e-4, bridge=1e-3),
        context_tokens=512,
        rows=4096,
        samples=300_000_000,
        data=(Records(name="image_captions"),),
    ),
    Stage(
        name="video-pretraining",
        image_size_px=224,
        sampler=FrameSampler(num_frames=8),
        patchify=Patchify.OFF,
        rates=_rates(*_ENCODER, vision=5e-5, bridge=5e-4),
        context_tokens=2560,
        rows=1024,
        samples=60_000_000,
        data=(Records(name="video_captions"),),
    ),
    Stage(
        name="refinement",
        image_size_px=448,
        sampler=FrameSampler(num_frames=16),
        patchify=Patchify.ON,
        rates=_rates(*_ENCODER, Part.PATCHIFY, vision=2e-5, bridge=2e-4),
        context_tokens=2560,
        rows=512,
        samples=6_900_000,
        data=(Records(name="picked_captions", weight=6.0), Records(name="dense_captions", weight=0.9)),
    ),
    Stage(
        name="instruction-tuning",
        image_size_px=448,
        sampler=FrameSampler(max_frames=64),
        patchify=Patchify.ON,
        rates=_rates(*Part, vision=2e-6, bridge=2e-5, language=2e-5),
        context_tokens=10_240,
        rows=64,
        samples=2_240_000,
        data=(
            Records(name="conversations", weight=0.94),
            Records(name="questions", weight=0.826),
            Records(name="captions", weight=0.474),
        ),
    ),
    Stage(
        name="long-video-tuning",
        image_size_px=448,
        sampler=FrameSampler(),
        patchify=Patchify.ON,
        rates=_rates(*_BRIDGE, Part.LANGUAGE, bridge=1e-5, language=1e-5),
        context_tokens=22_528,
        rows=64,
        samples=700_000,
        data=(Records(name="long_videos", weight=0.7), Records(name="short_videos", weight=0.3)),
    ),
)


_HARDER = tuple((family, 2.0) for family in (Family.WHAT, Family.ORDER, Family.ACTION, Family.COUNT, Family.CHANGE))
_TELL = Mixture(num_rounds=3, describe_share=0.6, choice_share=0.2)
_ASK = Mixture(num_rounds=6, describe_share=0.15, choice_share=0.65, weights=_HARDER)
# of a long film a round costs a hundredth of its frames
_ASK_MORE = replace(_ASK, num_rounds=10)


def _joey(stage: Stage, *, rows: int, samples: int, rate: float, data: tuple[Drawn, ...]) -> Stage:
    """Return a stage at half the resolution. joey begins with no language model, so every part trains throughout."""
    folds = stage.patchify is Patchify.ON
    parts = tuple(part for part in Part if folds or part is not Part.PATCHIFY)
    return replace(
        stage,
        image_size_px=stage.image_size_px // 2,
        # two of the longest samples, so that rows fill up
        context_tokens=16_384,
        rates=tuple((part, rate) for part in parts),
        rows=rows,
        samples=samples,
        data=data,
        method=Method.MUON,
    )


_STILLS = Drawn(
    least_s=1.0, most_s=1.0, conversations=2, rounds=_TELL, films=FilmSettings(kind=FilmKind.STILL), weight=0.1
)

# of a long film what was to be seen for a moment counts too
_BRIEF = FilmSettings(brief_share=0.5)

# 262,144 tokens a step
JOEY = (
    _joey(KANGAROO[0], rows=16, samples=80_000, rate=2e-3, data=(replace(_STILLS, weight=1.0, conversations=3),)),
    _joey(
        KANGAROO[1],
        rows=16,
        samples=300_000,
        rate=2e-3,
        data=(_STILLS, Drawn(least_s=3.0, most_s=10.0, rounds=_TELL)),
    ),
    _joey(
        KANGAROO[2],
        rows=16,
        samples=120_000,
        rate=1.5e-3,
        data=(_STILLS, Drawn(least_s=4.0, most_s=20.0, conversations=2, rounds=_TELL)),
    ),
    _joey(
        KANGAROO[3],
        rows=16,
        samples=250_000,
        rate=1.5e-3,
        data=(
            replace(_STILLS, weight=0.05),
            Drawn(least_s=2.5, most_s=16.0, conversations=3, rounds=_ASK, weight=0.5),
            Drawn(least_s=16.0, most_s=64.0, conversations=3, rounds=_ASK_MORE, weight=0.45),
        ),
    ),
    _joey(
        KANGAROO[4],
        rows=16,
        samples=80_000,
        rate=3e-4,
        data=(
            Drawn(least_s=2.5, most_s=64.0, conversations=3, rounds=_ASK_MORE, films=_BRIEF, weight=0.5),
            Drawn(least_s=64.0, most_s=180.0, conversations=2, rounds=_ASK_MORE, films=_BRIEF, weight=0.5),
        ),
    ),
)


def _tiny(stage: Stage) -> Stage:
    short = (
        replace(one, most_s=min(one.most_s, 20.0), least_s=min(one.least_s, 18.0))
        for one in stage.data
        if isinstance(one, Drawn)
    )
    return replace(
        stage,
        image_size_px=stage.image_size_px // 4,
        context_tokens=1024,
        rows=2,
        samples=12,
        data=tuple(short),
    )


# two layers a side, a few films: the whole road in a minute on a CPU
TINY = tuple(_tiny(stage) for stage in JOEY)

CURRICULA = {"kangaroo": KANGAROO, "joey": JOEY, "tiny": TINY}
