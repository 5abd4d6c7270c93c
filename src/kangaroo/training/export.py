"""A stage's end: a folder that `kangaroo chat --model` opens, with what made it written beside the weights."""

import json
import os
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import kangaroo
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.pretrained import without_progress_bar
from kangaroo.training.curriculum import Stage
from kangaroo.training.recipe import Recipe

NOTES = "training.json"


def export(
    model: KangarooForConditionalGeneration,
    processor: KangarooProcessor,
    folder: Path,
    *,
    weights: dict[str, Tensor] | None = None,
    notes: dict[str, Any] | None = None,
) -> None:
    """Write model and processor, weights in bfloat16; the folder is there only when it is whole.

    Args:
        model: Its config, and its weights where none are given.
        processor: What belongs to it.
        folder: Where to.
        weights: Whole weights by the model's names, gathered from those who share them.
        notes: What made it, for `NOTES`.
    """
    state = {
        name: weight.to(torch.bfloat16)
        for name, weight in (model.state_dict() if weights is None else weights).items()
        if name not in model.all_tied_weights_keys
    }
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with without_progress_bar():
        model.save_pretrained(unfinished, state_dict=state)
    processor.save_pretrained(unfinished)
    if notes is not None:
        text = json.dumps(notes, ensure_ascii=False, indent=1, default=str)
        (unfinished / NOTES).write_text(text + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(unfinished, folder)


def notes_on(recipe: Recipe, stage: Stage, manifest: list[dict[str, Any]], *, world_size: int) -> dict[str, Any]:
    """Return what made a stage's model: recipe, stage, data, code."""
    import transformers

    return {
        "recipe": asdict(recipe),
        "stage": asdict(stage),
        "data": manifest,
        "gpus": world_size,
        "commit": _commit(),
        "versions": {
            "kangaroo": kangaroo.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }


def _commit() -> str | None:
    """Return the commit of the code that runs, None outside a checkout."""
    try:
        asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
