"""What training costs, by arithmetic: operations that are performed, memory of a GPU, hours.

A product of matrices costs 2 operations for each weight and token, causal attention 2 x tokens^2 x width a layer
(scores and values, half of the square). Backward costs as much again for the weights' gradients in a part that trains,
and as much again for those of what passes through it, in every part from the first that trains on; attention, which
has no weights but two products of what passes, costs twice as much again there. Recomputation is never counted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from kangaroo.data.packing import Row
from kangaroo.dialogue.encoding import Encoder
from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.training.curriculum import Drawn, Part, Stage
from kangaroo.training.drawn import DrawnFilms
from kangaroo.training.lora import num_additions
from kangaroo.training.loss import CHUNK_TOKENS
from kangaroo.training.optimizers import modules_of
from kangaroo.training.recipe import Recipe, Recompute

_WORDS_PER_RECORD = 200  # tokens of a record's questions and answers, where no record was looked at
_SPOKEN = 0.5  # share of them that the assistant says
_DRAWN = 64  # drawn samples that are looked at
# floats kept a token and layer: what enters (1), or as well products and attention, or all that lies between
_KEPT = {Recompute.FULL: (1.0, 0.0), Recompute.SELECTIVE: (6.0, 2.0), Recompute.NONE: (14.0, 4.0)}


@dataclass(frozen=True, kw_only=True)
class Load:
    """How much passes the network: of one step, or of one sample in the mean.

    Attributes:
        frames: Frames of films.
        visual_tokens: Feature rows of films, as often as conversations show them.
        tokens: All that the language model reads.
        squares: The sum of the conversations' squared lengths.
        spoken: Tokens that the assistant says.
    """

    frames: int | float
    visual_tokens: int | float
    tokens: int | float
    squares: int | float
    spoken: int | float

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Load":
        """Return what rows make pass the network together."""
        return cls(
            frames=sum(sum(row.num_frames) for row in rows),
            visual_tokens=sum(len(row.placeholders) for row in rows),
            tokens=sum(row.num_tokens for row in rows),
            squares=sum(row.squares for row in rows),
            spoken=sum(len(row.supervised) for row in rows),
        )


class Operations:
    """Counts the operations of training a model in a stage.

    Args:
        model: The network; on the meta device it costs nothing.
        stage: Says what trains.
    """

    def __init__(self, model: KangarooForConditionalGeneration, stage: Stage) -> None:
        self.config, self.stage = model.config, stage
        self.trained = {part for part, _ in stage.rates}
        self.weights = {part: sum(map(_products_of, modules)) for part, modules in modules_of(model).items()}
        # the last product, over the tokens that are spoken alone, and the first, whose input needs no gradient
        self.readout = model.lm_head.weight.numel()
        self.weights[Part.LANGUAGE] -= self.readout
        self.patches = model.model.vision_tower.patch_embed.proj.weight.numel()

    def of(self, load: Load) -> float:
        """Return the operations of forward and backward."""
        vision, text = self.config.vision_config, self.config.text_config
        grid = self.stage.image_size_px // vision.patch_size
        tower_tokens = 1 + grid * grid
        tower = 2 * self.weights[Part.VISION] * tower_tokens * self._passes(Part.VISION)
        tower += 2 * self.patches * grid * grid * (1 + (Part.VISION in self.trained))
        looks = 4 * vision.num_feature_blocks * tower_tokens**2 * vision.hidden_size
        words = 2 * (self.weights[Part.LANGUAGE] * load.tokens + self.readout * load.spoken)
        reads = 2 * text.num_hidden_layers * text.num_attention_heads * text.head_dim * load.squares
        return float(
            (tower + looks * self._passes(Part.VISION, of_attention=True)) * load.frames
            + 2 * self.weights[Part.PROJECTOR] * load.visual_tokens * self._passes(Part.PROJECTOR)
            + words * self._passes(Part.LANGUAGE)
            + reads * self._passes(Part.LANGUAGE, of_attention=True)
        )

    def _passes(self, part: Part, *, of_attention: bool = False) -> int:
        """Return how often a part's products are taken: forward, for its weights' gradients, for its inputs'."""
        up_to = tuple(Part)[: tuple(Part).index(part) + 1]
        passed = bool(self.trained.intersection(up_to))
        return 1 + 2 * passed if of_attention else 1 + (part in self.trained) + passed


def counted(stage: Stage, *, lora_rank: int) -> Stage:
    """Return a stage as `Operations` counts it: where additions train, the language model needs no gradients itself."""
    if not lora_rank:
        return stage
    return replace(stage, rates=tuple(rate for rate in stage.rates if rate[0] is not Part.LANGUAGE))


def _products_of(module: nn.Module) -> int:
    return sum(each.weight.numel() for each in module.modules() if isinstance(each, nn.Linear))


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a stage takes. `assumed` says what of it rests on no look at the data."""

    stage: Stage
    trained: int
    tokens: float
    steps: int
    gpu_gib: float
    operations: float
    hours: float
    assumed: str


def estimate(config: KangarooConfig, stage: Stage, recipe: Recipe, encoder: Encoder) -> Estimate:
    """Reckon one stage.

    Args:
        config: The network's.
        stage: What is trained on what.
        recipe: The machine.
        encoder: Counts tokens at the stage's resolution.
    """
    with torch.device("meta"):
        model = KangarooForConditionalGeneration(config)
    load, assumed = _per_sample(stage, encoder, seed=recipe.seed)
    parts = modules_of(model)
    sizes = {
        part: sum(w.numel() for w in dict.fromkeys(w for module in parts[part] for w in module.parameters()))
        for part in Part
    }
    total = sum(sizes.values())
    if recipe.lora_rank and Part.LANGUAGE in dict(stage.rates):
        sizes[Part.LANGUAGE] = num_additions(model, rank=recipe.lora_rank)
        total += sizes[Part.LANGUAGE]
    trained = sum(sizes[part] for part, _ in stage.rates)
    operations = Operations(model, counted(stage, lora_rank=recipe.lora_rank)).of(load) * stage.samples
    rate = recipe.gpus * recipe.gpu_teraflops * 1e12 * recipe.utilisation
    return Estimate(
        stage=stage,
        trained=trained,
        tokens=load.tokens * stage.samples,
        steps=-int(-stage.samples * load.tokens // (stage.rows * stage.context_tokens)),
        gpu_gib=_gpu_bytes(config, stage, recipe, load, total=total, trained=trained) / 2**30,
        operations=operations,
        hours=operations / rate / 3600,
        assumed=assumed,
    )


def _gpu_bytes(config: KangarooConfig, stage: Stage, recipe: Recipe, load: Load, *, total: int, trained: int) -> float:
    """Return the bytes on one GPU: float32 weights, gradients and two moments shared by all, activations its own."""
    text, vision = config.text_config, config.vision_config
    states = (4 * total + 12 * trained) / recipe.gpus
    # two blocks at once and what no block holds, whole, in bfloat16
    whole = 2 * (2 * total / max(1, text.num_hidden_layers) + 2 * text.vocab_size * text.hidden_size)
    hidden, inner = _KEPT[recipe.recompute]
    tokens = recipe.rows_per_pass * stage.context_tokens / recipe.context_gpus
    per_token = text.num_hidden_layers * (hidden * text.hidden_size + inner * text.intermediate_size)
    one_block = 14 * text.hidden_size + 4 * text.intermediate_size
    grid = (stage.image_size_px // vision.patch_size) ** 2 + 1
    frame_tokens = tokens * load.frames / load.tokens * grid
    per_patch = vision.num_hidden_layers * (hidden * vision.hidden_size + inner * vision.intermediate_size)
    if Part.VISION not in dict(stage.rates):
        # all frames at once, of which no block keeps anything
        per_patch = 14 * vision.hidden_size + 4 * vision.intermediate_size
    logits = min(CHUNK_TOKENS, tokens) * text.vocab_size * 6
    return states + whole + 2 * (tokens * (per_token + one_block) + frame_tokens * per_patch) + logits


def _per_sample(stage: Stage, encoder: Encoder, *, seed: int) -> tuple[Load, str]:
    """Return the mean load of a sample and what was assumed for it."""
    layout = encoder.layout
    weights = [one.weight for one in stage.data]
    loads = []
    for one in stage.data:
        if isinstance(one, Drawn):
            loads.append(_mean(_drawn_loads(one, stage, encoder, seed=seed)))
            continue
        sampler = stage.sampler
        frames = sampler.num_frames or (sampler.min_frames + sampler.max_frames) / 2
        film = layout.num_tokens(round(frames))
        tokens = film + _WORDS_PER_RECORD
        loads.append(
            Load(
                frames=frames,
                visual_tokens=layout.num_visual_tokens(round(frames)),
                tokens=tokens,
                squares=tokens**2,
                spoken=_SPOKEN * _WORDS_PER_RECORD,
            )
        )
    assumed = (
        ""
        if all(isinstance(one, Drawn) for one in stage.data)
        else (
            f"records of {_WORDS_PER_RECORD} tokens of words, half of them the assistant's, and films of "
            f"{loads[0].frames:g} frames"
        )
    )
    shares = np.array(weights) / sum(weights)
    return _mean(loads, shares), assumed


def _drawn_loads(drawn: Drawn, stage: Stage, encoder: Encoder, *, seed: int) -> Iterator[Load]:
    films = DrawnFilms(drawn, stage.sampler, encoder, context_tokens=stage.context_tokens)
    for number in range(_DRAWN):
        sample = films.sample(number, seed=seed + number)
        yield Load(
            frames=sum(sample.num_frames),
            visual_tokens=sum(map(encoder.layout.num_visual_tokens, sample.num_frames)),
            tokens=len(sample),
            squares=sum(len(one) ** 2 for one in sample.conversations),
            spoken=sum(sum(one.assistant_mask) for one in sample.conversations),
        )


def _mean(loads: Iterator[Load] | list[Load], shares: np.ndarray | None = None) -> Load:
    table = np.array([[one.frames, one.visual_tokens, one.tokens, one.squares, one.spoken] for one in loads])
    frames, visual_tokens, tokens, squares, spoken = np.average(table, axis=0, weights=shares).tolist()
    return Load(frames=frames, visual_tokens=visual_tokens, tokens=tokens, squares=squares, spoken=spoken)
