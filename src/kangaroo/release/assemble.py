"""Public parts become where the first stage of training begins: EVA-02-CLIP's tower, Llama 3, new parts between.

The new parts: the projector's matrices are normal numbers of deviation 0.02 (Llama's own) with no bias; the word
vectors of the five visual tokens are the mean of all. Frames are not folded in stages 1 and 2, so there is no
convolution yet: training starts it as an average when stage 3 asks for it.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from kangaroo.chat.load import find_folder
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.errors import ModelError, OptionError
from kangaroo.model.configuration import KangarooConfig, KangarooVisionConfig
from kangaroo.model.layout import VisualToken
from kangaroo.model.vision import resize_positions
from kangaroo.release.language import RotaryTables, llama_names, read_llama, read_tokenizer
from kangaroo.release.model import Decision, NewModel, Weight, copied, expected_shapes, listed, made
from kangaroo.release.reading import FILES, Checkpoint
from kangaroo.release.special import SpecialTokens
from kangaroo.release.tower import Tower

_SPREAD = 0.02
_WORDS = "model.language_model.embed_tokens.weight"


def plan_assembly(
    vision: Path,
    language: str | Path,
    *,
    image_size_px: int = 224,
    seed: int = 0,
    tokens: Mapping[str, int] | None = None,
) -> NewModel:
    """Look at both parts and return the model that they make, in bfloat16.

    >>> plan_assembly(Path("EVA02_CLIP_L_336_psz14_s6B.pt"), "Llama-3-8B-Instruct").write(Path("stage-0"))

    Args:
        vision: EVA-02-CLIP's checkpoint, with or without its text side.
        language: A folder or hub id of Llama 3 Instruct.
        image_size_px: Side of the frames that training begins with; the table of positions is resized to it.
        seed: Of the projector's numbers.
        tokens: Ids of visual tokens; the others take the first free reserved slots.

    Raises:
        ModelError: A part is missing, or something in it is not as expected.
        OptionError: The image size is no multiple of the patch.
    """
    tower_file = Checkpoint([vision])
    tower = Tower(tower_file)
    folder = find_folder(language, wanted=FILES)
    words = Checkpoint.of_folder(folder)
    special = SpecialTokens(read_tokenizer(folder), tokens or {}, fill=frozenset(VisualToken))
    patch = tower.config.patch_size
    if image_size_px < patch or image_size_px % patch:
        raise OptionError(f"--image-size is {image_size_px}; give a multiple of the patch, {patch} px")
    vision_config = KangarooVisionConfig(**{**tower.config.to_dict(), "image_size": image_size_px})
    config = KangarooConfig(
        vision_config=vision_config,
        text_config=(text := read_llama(folder, special=special)),
        patchify="none",
        **special.ids.visual,
        tie_word_embeddings=text.tie_word_embeddings,
    )
    names = llama_names(words.specs, tied=text.tie_word_embeddings)
    tables = RotaryTables(words, text)
    if strangers := sorted({*words.specs} - {*names, *tables.names, "lm_head.weight"}):
        raise ModelError(f"{folder}: holds {listed(strangers)}, which a Llama has not; give a plain Llama's folder")
    weights = {ours: copied(words, theirs, cast=True) for theirs, ours in names.items()}
    if _WORDS not in weights:
        raise ModelError(f"{folder}: model.embed_tokens.weight is missing; is this a Llama's folder?")
    before = weights[_WORDS]
    slots = sorted(config.visual_token_ids.values())
    weights[_WORDS] = replace(before, read=lambda: _with_mean(before.read(), slots))
    weights |= tower.weights(to="model.vision_tower.", cast=True)
    positions = weights["model.vision_tower.pos_embed"]
    side = image_size_px // patch
    weights["model.vision_tower.pos_embed"] = replace(
        positions,
        shape=(1, 1 + side * side, positions.shape[-1]),
        read=lambda: resize_positions(positions.read().float(), side=side),
    )
    weights |= _projector(config, seed=seed)
    return NewModel(
        config=config,
        processor=KangarooProcessor.for_model(config, special.tokenizer),
        weights={name: weights[name] for name in sorted(weights)},
        dtype=torch.bfloat16,
        decisions=(
            *tower.decisions,
            *tables.decisions,
            Decision(
                what="positions",
                value=f"{image_size_px} px, {1 + side * side} entries",
                why=f"bicubic, from {tower.config.image_size} px"
                if side * patch != tower.config.image_size
                else "as they are",
            ),
            Decision(what="patchify", value="none", why="begins in stage 3, as an average"),
            Decision(
                what="projector", value=config.projector_type, why=f"new: normal, deviation {_SPREAD}, seed {seed}"
            ),
            Decision(what="visual tokens", value="the mean of all word vectors", why="new"),
            *special.decisions,
        ),
        checkpoints=(tower_file, words),
    )


def _with_mean(table: Tensor, slots: list[int]) -> Tensor:
    changed = table.clone()
    # a share at a time: the whole table in float32 would be gigabytes
    total = sum(part.sum(dim=0, dtype=torch.float64) for part in table.split(8192))
    changed[slots] = (torch.as_tensor(total) / len(table)).to(table.dtype)
    return changed


def _projector(config: KangarooConfig, *, seed: int) -> dict[str, Weight]:
    generator = torch.Generator().manual_seed(seed)
    own = {}
    for name, shape in expected_shapes(config).items():
        if name.startswith("model.multi_modal_projector."):
            numbers = torch.zeros(shape)
            if name.endswith(".weight"):
                numbers.normal_(std=_SPREAD, generator=generator)
            own[name] = made(numbers.bfloat16())
    return own
