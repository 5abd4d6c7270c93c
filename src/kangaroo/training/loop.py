"""The loop: a generator of steps. Saving, logging and evaluating are up to whoever iterates.

Axes: film, row (a conversation), position, width.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.training.batches import Batch, Painter
from kangaroo.training.curriculum import WARM_UP_STEPS, Stage
from kangaroo.training.muon import Muon

_CLIP_NORM = 1.0
_WEIGHT_DECAY = 0.05


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one optimiser step gave. `loss` and `grad_norm` stay on the device: reading them waits for it."""

    number: int
    loss: Tensor
    grad_norm: Tensor
    learning_rate: float
    num_films: int
    num_tokens: int


def make_optimizers(model: KangarooForConditionalGeneration) -> tuple[torch.optim.Optimizer, ...]:
    """Return Muon for the matrices of blocks and projector, and AdamW for embeddings, convolutions, norms and biases.

    Muon's steps are scaled to the size of AdamW's, so one learning rate serves both
    (Liu et al. 2025, Muon is Scalable for LLM Training, arXiv 2502.16982).
    """
    readout = model.get_output_embeddings()
    inner = {each.weight for each in model.modules() if isinstance(each, nn.Linear) and each is not readout}
    matrices = [weight for weight in model.parameters() if weight in inner]
    tables = [weight for weight in model.parameters() if weight not in inner and weight.ndim > 1]
    vectors = [weight for weight in model.parameters() if weight.ndim == 1]
    on_gpu = matrices[0].is_cuda
    return (
        Muon(matrices, lr=0.0, weight_decay=_WEIGHT_DECAY),
        torch.optim.AdamW(
            [{"params": tables, "weight_decay": _WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}],
            lr=0.0,
            betas=(0.9, 0.98),
            fused=on_gpu,
        ),
    )


def learning_rate(stage: Stage, step: int, *, is_first: bool) -> float:
    """Return the rate of one step: half a cosine over the stage, and the run's first steps warmed up."""
    first, last = stage.learning_rate
    rate = last + (first - last) * (1 + math.cos(math.pi * step / stage.steps)) / 2
    return rate * min(1.0, (step + 1) / min(WARM_UP_STEPS, stage.steps)) if is_first else rate


def last_states(model: KangarooForConditionalGeneration, pixels: Tensor, batch: Batch) -> Tensor:
    """Return the language model's last state at every position of every conversation: `[row, position, width]`."""
    device = pixels.device
    features = model.model.encode_films(
        pixels,
        batch.times_s.to(device, non_blocking=True),
        [batch.num_frames] * batch.num_films,
        chunk_frames=len(pixels),
    )
    shown = rearrange(features, "(film token) width -> film token width", film=batch.num_films)
    shown = shown[batch.shows.to(device, non_blocking=True)]
    ids = batch.input_ids.to(device, non_blocking=True)
    embeds = model.get_input_embeddings()(ids)
    mask = (ids == model.config.video_token_id)[..., None]
    embeds = embeds.masked_scatter(mask, shown.to(embeds.dtype))
    states: Tensor = model.model.language_model(inputs_embeds=embeds, use_cache=False).last_hidden_state
    return states


def film_loss(model: KangarooForConditionalGeneration, pixels: Tensor, batch: Batch) -> Tensor:
    """Return the mean loss over the tokens that the assistant speaks; logits exist at those positions alone."""
    row, position = batch.spoken.to(pixels.device, non_blocking=True)
    ids = batch.input_ids.to(pixels.device, non_blocking=True)
    logits = model.lm_head(last_states(model, pixels, batch)[row, position - 1])
    return F.cross_entropy(logits.float(), ids[row, position])


def train_stage(
    model: KangarooForConditionalGeneration,
    optimizers: Sequence[torch.optim.Optimizer],
    batches: Iterable[Batch],
    painter: Painter,
    stage: Stage,
    *,
    first_step: int = 0,
    is_first: bool = False,
) -> Iterator[Step]:
    """Train on each batch in turn and yield what it gave."""
    device = next(model.parameters()).device
    for number, batch in enumerate(batches, start=first_step):
        rate = learning_rate(stage, number, is_first=is_first)
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = rate
        pixels = painter.paint(batch).float()
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = film_loss(model, pixels, batch)
        loss.backward()
        grad_norm = nn.utils.clip_grad_norm_(model.parameters(), _CLIP_NORM)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        yield Step(
            number=number,
            loss=loss.detach(),
            grad_norm=grad_norm,
            learning_rate=rate,
            num_films=batch.num_films,
            num_tokens=batch.input_ids.numel(),
        )
