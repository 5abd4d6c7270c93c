"""The published checkpoint becomes a model of ours: what the paper leaves open is decided by looking at the file.

Names: `model.` and `lm_head.` are Llama's, the tower is wherever its patch embedding is, `mm_projector.` projects, and
the only tensor with five axes folds frames; its name is known to nobody.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

from kangaroo.chat.load import find_folder, read_settings
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.errors import ModelError
from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.layout import VisualToken
from kangaroo.model.presets import CONTEXT_TOKENS
from kangaroo.release.language import RotaryTables, llama_names, read_llama, read_tokenizer
from kangaroo.release.model import Decision, NewModel, Weight, copied, expected_shapes, listed
from kangaroo.release.reading import FILES, Checkpoint, dtype_name
from kangaroo.release.special import SpecialTokens
from kangaroo.release.tower import Tower

_PROJECTOR = "mm_projector."


def plan_conversion(
    source: str | Path, *, allow: Sequence[str] = (), tokens: Mapping[str, int] | None = None
) -> NewModel:
    """Look at the released model and return what it becomes; no tensor's numbers are read but a small table's.

    >>> plan_conversion("KangarooGroup/kangaroo").write(Path("kangaroo-8b"))

    Args:
        source: A folder, or a hub id whose files are fetched.
        allow: Names or patterns of tensors that may be left out where the network has no place for them, and cast
            where their precision is another one.
        tokens: Ids of visual tokens that the tokenizer does not name.

    Raises:
        ModelError: There is no such model, or something in it is not as expected: the message names it.
    """
    folder = find_folder(source, wanted=FILES)
    checkpoint = Checkpoint.of_folder(folder)
    tower, fold = Tower(checkpoint), _Fold(checkpoint)
    special = SpecialTokens(read_tokenizer(folder), tokens or {}, fill=frozenset([VisualToken.PATCH]))
    text = read_llama(folder, special=special)
    rotary, settings = RotaryTables(checkpoint, text), read_settings(folder, "config.json")
    deep = f"{_PROJECTOR}2.weight" in checkpoint.specs
    config = KangarooConfig(
        vision_config=tower.config,
        text_config=text,
        patchify=fold.kind,
        patchify_kernel=fold.kernel,
        patchify_bias=fold.bias is not None,
        projector_type="mlp2x_gelu" if deep else "mlp1x_gelu",
        **special.ids.visual,
        tie_word_embeddings=text.tie_word_embeddings,
    )
    names = {fold.weight: "model.patchify.conv.weight"}
    if fold.bias is not None:
        names[fold.bias] = "model.patchify.conv.bias"
    others = [name for name in checkpoint.specs if name not in names and not name.startswith(tower.prefix)]
    names |= llama_names(others, tied=text.tie_word_embeddings)
    names |= {
        name: name.replace(_PROJECTOR, "model.multi_modal_projector.", 1)
        for name in others
        if name.startswith(_PROJECTOR)
    }
    cast = {name: any(fnmatchcase(name, pattern) for pattern in allow) for name in checkpoint.specs}
    # the fold may hang below the tower
    seeing = tower.weights(to="model.vision_tower.", cast=cast).items()
    weights = {ours: weight for ours, weight in seeing if weight.origin not in names}
    weights |= {ours: copied(checkpoint, name, cast=cast[name]) for name, ours in names.items()}
    left_out = _refuse_unexpected(checkpoint, config, weights, cast=cast, known=(*tower.not_needed, *rotary.names))
    dtype = _dtype(folder, settings)
    return NewModel(
        config=config,
        processor=KangarooProcessor.for_model(config, special.tokenizer),
        weights={name: weights[name] for name in sorted(weights)},
        dtype=dtype,
        decisions=(
            *tower.decisions,
            *rotary.decisions,
            *fold.decisions,
            Decision(
                what="projector",
                value=config.projector_type,
                why=f"{_PROJECTOR}2.weight is {'there' if deep else 'not there'}",
            ),
            Decision(
                what="context",
                value=f"{CONTEXT_TOKENS} tokens",
                why=f"stage 5 of the training; config.json says {settings.get('max_position_embeddings')}",
            ),
            Decision(
                what="last layer",
                value="shared with the word vectors" if text.tie_word_embeddings else "its own",
                why="tie_word_embeddings in config.json",
            ),
            Decision(what="precision", value=dtype_name(dtype), why="torch_dtype in config.json"),
            *special.decisions,
            *(Decision(what="left out", value=name, why="allowed by name") for name in left_out),
        ),
        checkpoints=(checkpoint,),
    )


class _Fold:
    """The convolution that folds frames: the only tensor with five axes, and what stands beside it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        found = [name for name, spec in checkpoint.specs.items() if len(spec.shape) == 5]
        if len(found) != 1:
            raise ModelError(
                f"the checkpoint holds {len(found)} tensors of five axes{': ' if found else ''}{', '.join(found[:8])}; "
                "expected one, [width, 1, frames, rows, columns], which folds frames"
            )
        (self.weight,) = found
        out, width, *kernel = checkpoint.specs[self.weight].shape
        if width not in (1, out):
            shape = list(checkpoint.specs[self.weight].shape)
            raise ModelError(
                f"{self.weight}: {shape} in the checkpoint, expected [{out}, 1, ...] or [{out}, {out}, ...]"
            )
        self.kind = "depthwise" if width == 1 else "dense"
        self.kernel = tuple(kernel)
        bias = f"{self.weight.removesuffix('weight')}bias"
        self.bias = bias if self.weight.endswith("weight") and bias in checkpoint.specs else None

    @property
    def decisions(self) -> tuple[Decision, ...]:
        bias = "with" if self.bias else "without"
        folds = "x".join(map(str, self.kernel))
        return (
            Decision(
                what="patchify",
                value=f"{self.kind} {folds}, {bias} bias",
                why=f"{self.weight}, the only tensor of five axes",
            ),
        )


def _refuse_unexpected(
    checkpoint: Checkpoint,
    config: KangarooConfig,
    weights: dict[str, Weight],
    *,
    cast: Mapping[str, bool],
    known: Sequence[str],
) -> list[str]:
    """Take out what was allowed by name, refuse what else the network has no place for, and return what was taken."""
    expected = expected_shapes(config)
    homeless = {weight.origin: name for name, weight in weights.items() if name not in expected}
    used = {weight.origin for weight in weights.values()}
    unknown = [name for name in checkpoint.specs if name in homeless or (name not in used and name not in known)]
    if refused := [f"{name} {checkpoint.specs[name]}" for name in unknown if not cast[name]]:
        raise ModelError(
            f"{len(refused)} tensors are not expected: {listed(refused)}; what they do would be lost. "
            "Leave them out knowingly with --allow NAME or --allow 'PATTERN*'"
        )
    for name in unknown:
        weights.pop(homeless.get(name, ""), None)
    return unknown


def _dtype(folder: Path, settings: Mapping[str, Any]) -> torch.dtype:
    name = settings.get("torch_dtype", settings.get("dtype"))
    dtype = getattr(torch, str(name), None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ModelError(f"{folder}: config.json says torch_dtype {name!r}, expected such as 'bfloat16'")
    return dtype
