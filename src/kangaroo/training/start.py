"""Where training begins: a folder, or joey's or a tiny network at random with the tokenizer that joey ships with."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

import kangaroo
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.errors import ModelError, OptionError
from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import joey, kangaroo_8b, tiny
from kangaroo.model.pretrained import without_progress_bar
from kangaroo.training.curriculum import Stage
from kangaroo.training.recipe import Recipe

_SMALL = {"joey": joey, "tiny": tiny}


def shipped_tokenizer() -> PreTrainedTokenizerFast:
    """Return joey's tokenizer: the playground's English and Chinese."""
    return PreTrainedTokenizerFast.from_pretrained(Path(kangaroo.__path__[0]) / "joey")


def start_config(recipe: Recipe) -> tuple[KangarooConfig, PreTrainedTokenizerFast]:
    """Return the shape of the network that a recipe starts from, and its tokenizer; no weights are read or made.

    Raises:
        ModelError: The folder to start from holds no model.
    """
    if recipe.start is not None:
        with _reading(recipe.start):
            config = KangarooConfig.from_pretrained(recipe.start, local_files_only=True)
            return config, KangarooProcessor.from_pretrained(recipe.start).tokenizer
    tokenizer = shipped_tokenizer()
    if recipe.curriculum == "kangaroo":
        return kangaroo_8b(), tokenizer
    return _SMALL[recipe.curriculum](vocab_size=len(tokenizer)), tokenizer


def at_random(recipe: Recipe) -> tuple[KangarooForConditionalGeneration, KangarooProcessor]:
    """Return the small network of a curriculum with random weights, float32, and its processor.

    Raises:
        OptionError: The curriculum trains the published network, which begins with trained parts.
    """
    if recipe.curriculum not in _SMALL:
        raise OptionError(
            f"the curriculum {recipe.curriculum!r} begins with a trained vision tower and language model; name the "
            "folder that holds them as start"
        )
    config, tokenizer = start_config(recipe)
    torch.manual_seed(recipe.seed)
    return KangarooForConditionalGeneration(config), KangarooProcessor.for_model(config, tokenizer)


def from_folder(folder: Path) -> tuple[KangarooForConditionalGeneration, KangarooProcessor]:
    """Return a saved network in float32, and its processor.

    Raises:
        ModelError: The folder holds no model.
    """
    with _reading(folder), without_progress_bar():
        processor = KangarooProcessor.from_pretrained(folder)
        model = KangarooForConditionalGeneration.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True
        )
    return model, processor


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Say in one line what is wrong with a folder; transformers would look for it on a hub."""
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder}: no model to start from, expected config.json, weights and tokenizer there")
    try:
        yield
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: no model to start from ({error})") from None


def adapted(
    model: KangarooForConditionalGeneration, processor: KangarooProcessor, stage: Stage
) -> tuple[KangarooForConditionalGeneration, KangarooProcessor]:
    """Bring a network to a stage's resolution and way of folding; return it with the processor that fits both."""
    if model.config.vision_config.image_size != stage.image_size_px:
        model.model.set_image_size(stage.image_size_px)
    if model.config.patchify != stage.patchify:
        model.model.set_patchify(stage.patchify.value)
    return model, KangarooProcessor.for_model(model.config, processor.tokenizer, frame_sampler=stage.sampler)
