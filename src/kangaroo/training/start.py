"""Where training begins: joey's or a tiny network at random, and the tokenizer that the playground's words need."""

import random
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.dialogue.tokenizer import train_tokenizer
from kangaroo.errors import ModelError
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import joey, tiny
from kangaroo.playground.rounds import Mixture, training_rounds
from kangaroo.playground.script import make_film
from kangaroo.playground.vocabulary import common_sprites, sprites

VOCAB_SIZE = 2048
_NUM_FILMS = 6000
_PRESETS = {"joey": joey, "tiny": tiny}


def playground_texts(num_films: int) -> Iterator[str]:
    """Yield what is said about so many films, and every sprite's name."""
    mixture = Mixture(num_rounds=10, describe_share=1.0)
    for seed in range(num_films):
        rounds = training_rounds(make_film(seed), random.Random(seed), mixture)
        yield from (text for one in rounds for text in (one.question, one.answer))
    for _ in range(40):
        yield from (f" {sprites()[slug].name.en}" for slug in common_sprites())


def make_tokenizer(*, num_films: int = _NUM_FILMS) -> PreTrainedTokenizerFast:
    """Train the playground's tokenizer; the same every time."""
    return train_tokenizer(playground_texts(num_films), vocab_size=VOCAB_SIZE)


def at_random(
    preset: str, tokenizer: PreTrainedTokenizerFast, *, seed: int
) -> tuple[KangarooForConditionalGeneration, KangarooProcessor]:
    """Return a preset's network with random weights, float32, and its processor."""
    torch.manual_seed(seed)
    config = _PRESETS[preset](vocab_size=len(tokenizer))
    model = KangarooForConditionalGeneration(config)
    return model, KangarooProcessor.for_model(config, tokenizer)


def from_folder(folder: Path) -> tuple[KangarooForConditionalGeneration, KangarooProcessor]:
    """Return a saved network in float32, and its processor.

    Raises:
        ModelError: The folder holds no model.
    """
    try:
        processor = KangarooProcessor.from_pretrained(folder)
        model = KangarooForConditionalGeneration.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: no model to start from ({error})") from None
    return model, processor
