"""Read the Llama side of a folder: its config and tokenizer, without running code that it names."""

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import LlamaConfig, PreTrainedTokenizerFast

from kangaroo.chat.load import read_settings
from kangaroo.errors import ModelError
from kangaroo.model.presets import CONTEXT_TOKENS
from kangaroo.release.model import Decision
from kangaroo.release.reading import Checkpoint
from kangaroo.release.special import SpecialTokens
from kangaroo.release.tower import alike

_SIZES = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    "num_key_value_heads",
)
# of every Llama 3, and of this network
_FIXED = {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False}
_ROTARY = re.compile(r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq")


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Return a folder's tokenizer.

    Raises:
        ModelError: It is missing or damaged.
    """
    if not (folder / "tokenizer.json").is_file():
        raise ModelError(f"{folder}: tokenizer.json is missing; fetch the tokenizer's files too")
    try:
        return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # tokenizers raises no class of its own
        raise ModelError(f"{folder}: the tokenizer cannot be read ({str(error)[:120]}); fetch it again") from None


def read_llama(folder: Path, *, special: SpecialTokens) -> LlamaConfig:
    """Return the language model's config as this network wants it.

    Args:
        folder: Holds config.json.
        special: Of the tokenizer that belongs to it.

    Raises:
        ModelError: config.json is no plain Llama's, lacks a size, or has fewer words than the tokenizer.
    """
    settings = read_settings(folder, "config.json")
    if settings.get("model_type") != "llama":
        raise ModelError(f"{folder}: config.json describes a {settings.get('model_type')!r} model, not a 'llama'")
    for name, expected in _unexpected(settings):
        raise ModelError(f"{folder}: config.json says {name} {settings.get(name)!r}, expected {expected}")
    if (last := max(special.tokenizer.get_vocab().values())) >= settings["vocab_size"]:
        raise ModelError(
            f"{folder}: the tokenizer's ids go up to {last}, but config.json says vocab_size {settings['vocab_size']}; "
            "fetch both from one place"
        )
    try:
        return LlamaConfig(
            **{name: settings[name] for name in _SIZES},
            rms_norm_eps=settings["rms_norm_eps"],
            max_position_embeddings=CONTEXT_TOKENS,
            rope_parameters={"rope_type": "default", "rope_theta": float(_theta(settings))},
            tie_word_embeddings=settings.get("tie_word_embeddings") or False,
            **special.ids.ends,
        )
    except (StrictDataclassError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"{folder}: config.json makes no Llama ({reason})") from None


def _unexpected(settings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each setting that would be another network, with what is expected; later ones rely on earlier ones."""
    for name in _SIZES:
        if type(settings.get(name)) is not int or settings[name] < 1:
            yield name, "a whole number above 0"
    for name, value in _FIXED.items():
        if settings.get(name) not in (None, value):
            yield name, repr(value)
    for name, known in (("rope_scaling", ()), ("rope_parameters", ("rope_theta",))):
        rope = settings.get(name) or {}
        if not isinstance(rope, dict) or any(rope[key] != "default" for key in rope if key not in known):
            yield name, "null, or the rope_type 'default'"
    for name, number in (("rms_norm_eps", settings.get("rms_norm_eps")), ("rope_theta", _theta(settings))):
        if not isinstance(number, int | float) or not 0 < number < math.inf:
            yield name, "a number above 0"
    if (settings.get("rope_parameters") or {}).get("rope_theta") not in (None, _theta(settings)):
        yield "rope_theta", "that of rope_parameters"
    width = settings["hidden_size"] // settings["num_attention_heads"]
    if settings.get("head_dim") not in (None, width):
        yield "head_dim", f"hidden_size over num_attention_heads, {width}"


def _theta(settings: dict[str, Any]) -> Any:
    outer, inner = settings.get("rope_theta"), settings.get("rope_parameters") or {}
    return inner.get("rope_theta", 10000.0) if outer is None else outer


def llama_names(names: Iterable[str], *, tied: bool) -> dict[str, str]:
    """Return what this network calls the tensors of a Llama, by their names there; others are left out."""
    own = {}
    for name in names:
        if name.startswith("model.") and not _ROTARY.fullmatch(name):
            own[name] = name.replace("model.", "model.language_model.", 1)
        elif name == "lm_head.weight" and not tied:
            own[name] = name
    return own


class RotaryTables:
    """A Llama's rotary tables, which old checkpoints hold and which are computed here.

    Attributes:
        names: Theirs.

    Raises:
        ModelError: One is not what config.json's rope_theta makes.
    """

    def __init__(self, checkpoint: Checkpoint, text: LlamaConfig) -> None:
        self.names = tuple(name for name in checkpoint.specs if _ROTARY.fullmatch(name))
        theta = text.rope_parameters["rope_theta"]
        computed = theta ** -(torch.arange(0, text.head_dim, 2) / text.head_dim)
        for name in self.names:
            if not alike(checkpoint.read(name), computed, rtol=0.01, atol=1e-6):
                raise ModelError(
                    f"{name}: the table {checkpoint.specs[name]} is not the {list(computed.shape)} one that rope_theta "
                    f"{theta} of config.json makes"
                )
        checkpoint.let_go()

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """How many there are, as a row of the table."""
        why = "the language model's rotary tables, which are computed"
        return (Decision(what="not needed", value=f"{len(self.names)} tensors", why=why),) if self.names else ()
