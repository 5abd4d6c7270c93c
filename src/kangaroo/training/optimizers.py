"""What moves the weights: the parts that a stage trains, each at its own rate."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.training.curriculum import Method, Part, Stage
from kangaroo.training.muon import Muon

_WEIGHT_DECAY = 0.05


def modules_of(model: KangarooForConditionalGeneration) -> dict[Part, tuple[nn.Module, ...]]:
    """Return which modules make up each part."""
    inner = model.model
    return {
        Part.VISION: (inner.vision_tower,),
        Part.PATCHIFY: (inner.patchify,),
        Part.PROJECTOR: (inner.multi_modal_projector,),
        Part.LANGUAGE: (inner.language_model, model.lm_head),
    }


def freeze(model: KangarooForConditionalGeneration, stage: Stage) -> None:
    """Let the stage's parts train and no others."""
    trained = dict(stage.rates)
    for part, modules in modules_of(model).items():
        for module in modules:
            module.requires_grad_(part in trained)


def make_optimizers(model: KangarooForConditionalGeneration, stage: Stage) -> tuple[torch.optim.Optimizer, ...]:
    """Return what moves the stage's parts; each group's `highest` is its part's learning rate.

    With Muon, matrices of blocks and projector go to it, and embeddings, convolutions, norms and biases to AdamW.
    Muon's steps are scaled to the size of AdamW's, so one learning rate serves both (Liu et al. 2025, Muon is
    Scalable for LLM Training, arXiv 2502.16982).
    """
    readout = model.get_output_embeddings()
    inner = {each.weight for each in model.modules() if isinstance(each, nn.Linear) and each is not readout}
    matrices, others = list[dict[str, Any]](), list[dict[str, Any]]()
    parts = modules_of(model)
    for part, rate in stage.rates:
        weights = list(dict.fromkeys(w for module in parts[part] for w in module.parameters() if w.requires_grad))
        by_muon = [w for w in weights if w in inner and stage.method is Method.MUON]
        tables = [w for w in weights if w.ndim > 1 and w not in set(by_muon)]
        vectors = [w for w in weights if w.ndim == 1]
        matrices.append({"params": by_muon, "highest": rate})
        others.append({"params": tables, "highest": rate, "weight_decay": _WEIGHT_DECAY})
        others.append({"params": vectors, "highest": rate, "weight_decay": 0.0})
    adamw = torch.optim.AdamW(_filled(others), lr=0.0, betas=(0.9, 0.98), fused=next(model.parameters()).is_cuda)
    if stage.method is Method.ADAMW:
        return (adamw,)
    return Muon(_filled(matrices), lr=0.0, weight_decay=_WEIGHT_DECAY), adamw


def set_rates(optimizers: Sequence[torch.optim.Optimizer], factor: float) -> None:
    """Set every group's learning rate to a share of its highest."""
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        group["lr"] = factor * group["highest"]


def _filled(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [group for group in groups if group["params"]]
