"""What all our networks share with transformers: how they are initialised, saved, split and served."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import nn
from transformers.modeling_utils import PreTrainedModel
from transformers.utils import logging

from kangaroo.model.configuration import KangarooConfig


class KangarooPreTrainedModel(PreTrainedModel):
    """The flags by which transformers and vLLM know what these networks can do."""

    config_class = KangarooConfig
    base_model_prefix = "model"
    input_modalities: tuple[str, ...] = ("video", "text")
    supports_gradient_checkpointing = True
    _no_split_modules: ClassVar[list[str]] = ["VisionBlock", "LlamaDecoderLayer"]
    _skip_keys_device_placement: ClassVar[list[str]] = ["past_key_values"]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Let transformers initialise what it knows; a module with parameters of its own has `init_own_weights`."""
        super()._init_weights(module)
        init_own_weights: Any = getattr(module, "init_own_weights", None)
        if init_own_weights is not None:
            init_own_weights()


@contextmanager
def without_progress_bar() -> Iterator[None]:
    """Keep transformers' bar away while weights are read or written."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def hash_weights(module: nn.Module) -> str:
    """Return a hash of every weight: two models of one name are told apart by it."""
    digest = hashlib.sha256()
    for name, weight in sorted(module.state_dict().items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}\0".encode())
        digest.update(weight.detach().contiguous().cpu().view(torch.uint8).numpy().data)
    return digest.hexdigest()
