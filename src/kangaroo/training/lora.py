"""Fine-tune on one GPU: the language model's matrices stay, low-rank additions to them train (peft's LoRA).

The additions are merged into the matrices when a stage ends, so what comes out is an ordinary model.
"""

from typing import Any

import torch
from torch import Tensor, nn

from kangaroo.errors import OptionError
from kangaroo.model.modeling import KangarooForConditionalGeneration

_MATRICES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def add_lora(model: KangarooForConditionalGeneration, *, rank: int) -> None:
    """Freeze the language model and add what trains, in place; it begins as nothing.

    Hu et al. 2021, LoRA, arXiv 2106.09685. The additions are scaled by 2.

    Raises:
        OptionError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise OptionError("lora_rank needs peft; install kangaroo-video[train]") from None
    language = model.model.language_model
    language.requires_grad_(False)
    model.lm_head.requires_grad_(False)
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(_MATRICES)), language)


def num_additions(model: KangarooForConditionalGeneration, *, rank: int) -> int:
    """Return how many numbers `add_lora` adds."""
    matrices = (
        each for name, each in model.model.language_model.named_modules() if name.rpartition(".")[2] in _MATRICES
    )
    return sum(rank * sum(each.weight.shape) for each in matrices)


def merged(model: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights under the names that they had before `add_lora`, the additions merged where there are any.

    >>> merged(model, model.state_dict())
    """
    result = {}
    for name, weight in weights.items():
        if ".lora_" in name:
            continue
        if not name.endswith(".base_layer.weight"):
            result[name] = weight
            continue
        base = name.removesuffix(".base_layer.weight")
        layer: Any = model.get_submodule(base)
        down, up = (weights[f"{base}.lora_{side}.default.weight"] for side in "AB")
        with torch.no_grad():
            result[f"{base}.weight"] = weight + layer.scaling["default"] * (up @ down)
    return result
