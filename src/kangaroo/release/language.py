"""Read the Llama side of a folder: its config and tokenizer, without running code that it names."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import LlamaConfig, PreTrainedTokenizerFast

from kangaroo.chat.load import read_settings
from kangaroo.errors import ModelError
from kangaroo.model.presets import CONTEXT_TOKENS, TokenIds

NOT_SAVED_TODAY = "rotary_emb.inv_freq"
"""How the name of a table ends that old checkpoints hold and that is computed."""

_SIZES = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_key_value_heads", "rms_norm_eps"),
)


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


def read_llama(folder: Path, *, ids: TokenIds) -> LlamaConfig:
    """Return the language model's config as this network wants it.

    Raises:
        ModelError: config.json is no plain Llama's, or lacks a size.
    """
    settings = read_settings(folder, "config.json")
    if settings.get("model_type") != "llama":
        raise ModelError(f"{folder}: config.json describes a {settings.get('model_type')!r} model, not a 'llama'")
    if missing := [name for name in _SIZES if name not in settings]:
        raise ModelError(f"{folder}: config.json says no {missing[0]}")
    if settings.get("rope_scaling"):
        raise ModelError(f"{folder}: config.json has rope_scaling {settings['rope_scaling']}, expected null")
    try:
        return LlamaConfig(
            **{name: settings[name] for name in _SIZES},
            max_position_embeddings=CONTEXT_TOKENS,
            rope_parameters={"rope_type": "default", "rope_theta": _theta(settings)},
            tie_word_embeddings=bool(settings.get("tie_word_embeddings", False)),
            **ids.ends,
        )
    except (StrictDataclassError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"{folder}: config.json makes no Llama ({reason})") from None


def llama_names(names: Iterable[str], *, tied: bool) -> dict[str, str]:
    """Return what this network calls the tensors of a Llama, by their names there; others are left out."""
    own = {}
    for name in names:
        if name.startswith("model.") and not name.endswith(NOT_SAVED_TODAY):
            own[name] = name.replace("model.", "model.language_model.", 1)
        elif name == "lm_head.weight" and not tied:
            own[name] = name
    return own


def _theta(settings: dict[str, Any]) -> float:
    inner = settings.get("rope_parameters") or {}
    return float(settings.get("rope_theta", inner.get("rope_theta", 10000.0)))
