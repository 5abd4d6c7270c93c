"""Rows of ids become one batch, padded alike; options given to transformers' calls are told apart.

Axes: row, token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from transformers import BatchFeature

from kangaroo.dialogue.encoding import Encoded
from kangaroo.errors import OptionError


class ModelInputs(BatchFeature):
    """The model's keyword arguments. `to` with a dtype leaves times alone: half precision would round seconds."""

    def to(self, *args: Any, **kwargs: Any) -> "ModelInputs":
        """Move all tensors to a device, and pixels to a dtype."""
        times_s = self.get("video_times_s")
        super().to(*args, **kwargs)
        if times_s is not None and hasattr(times_s, "to"):
            self["video_times_s"] = times_s.to(self["pixel_values_videos"].device)
        return self


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """How rows become a batch. Left is where generation wants padding, right where training often does."""

    padding: bool | Literal["longest"] = True
    padding_side: Literal["left", "right"] = "left"
    return_mm_token_type_ids: bool = False


def split_options(given: Mapping[str, Any]) -> tuple[TextOptions, dict[str, Any]]:
    """Return the options for text and those for films, out of transformers' flat or nested keyword arguments.

    Raises:
        OptionError: A text option is not known.
    """
    options = {name: value for name, value in given.items() if value is not None}
    text = dict(options.pop("text_kwargs", {}))
    videos = dict(options.pop("videos_kwargs", {}))
    known = [field.name for field in fields(TextOptions)]
    text |= {name: options.pop(name) for name in known if name in options}
    if options.pop("truncation", False) or text.pop("truncation", False):
        raise OptionError("truncation might cut a film in two; use plan to fit a conversation into the context")
    for name in text:
        if name not in known:
            raise OptionError(f"text option {name!r} is not known; known: {', '.join(known)}")
    return TextOptions(**text), {**videos, **options}


def pad_rows(rows: Sequence[Encoded], options: TextOptions, *, pad_id: int) -> dict[str, list[list[int]]]:
    """Return `input_ids`, `attention_mask` and `assistant_masks`, each a list of rows."""
    longest = max(map(len, rows)) if options.padding else 0
    batch: dict[str, list[list[int]]] = {"input_ids": [], "attention_mask": [], "assistant_masks": []}
    for row in rows:
        missing = max(0, longest - len(row))
        columns = (
            ("input_ids", pad_id, row.input_ids),
            ("attention_mask", 0, [1] * len(row)),
            ("assistant_masks", 0, [int(said) for said in row.assistant_mask]),
        )
        for name, filler, values in columns:
            padding = [filler] * missing
            batch[name].append(padding + values if options.padding_side == "left" else values + padding)
    return batch
