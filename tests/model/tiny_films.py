"""Films of noise and prompts that hold their placeholders, for a tiny network."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import tiny


@dataclass(frozen=True, kw_only=True)
class Film:
    """Pixels `[frame, 3, height, width]` and seconds `[frame]`."""

    pixels: Tensor
    times_s: Tensor

    def __len__(self) -> int:
        return len(self.times_s)


def make_film(num_frames: int, *, size_px: int = 56, seed: int = 0) -> Film:
    random = torch.Generator().manual_seed(1000 * seed + num_frames)
    return Film(
        pixels=torch.randn(num_frames, 3, size_px, size_px, generator=random),
        times_s=torch.arange(num_frames) * 0.9 + 0.25 * seed,
    )


def pad(*films: Film) -> dict[str, Tensor]:
    """Return what the processor gives: films padded to the longest, NaN times where there is no frame."""
    longest = max(len(film) for film in films)
    pixels = torch.zeros(len(films), longest, *films[0].pixels.shape[1:])
    times_s = torch.full((len(films), longest), float("nan"))
    for row, film in enumerate(films):
        pixels[row, : len(film)] = film.pixels
        times_s[row, : len(film)] = film.times_s
    return {"pixel_values_videos": pixels, "video_times_s": times_s}


def write_ids(config: KangarooConfig, *parts: int | Film) -> list[int]:
    """Return ids: words as they are, each film as its visual block."""
    ids: list[int] = []
    for part in parts:
        if isinstance(part, Film):
            layout = config.layout(image_size_px=part.pixels.shape[-1])
            ids += [config.visual_token_ids[token] for token in layout.tokens(len(part))]
        else:
            ids.append(part)
    return ids


def pad_left(*rows: Sequence[int], pad_id: int = 1) -> dict[str, Tensor]:
    """Return a batch of prompts with what says where each begins."""
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad_id)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for row, tokens in enumerate(rows):
        ids[row, longest - len(tokens) :] = torch.tensor(tokens)
        mask[row, longest - len(tokens) :] = 1
    return {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0)}


def build(config: KangarooConfig | None = None) -> KangarooForConditionalGeneration:
    torch.manual_seed(0)
    return KangarooForConditionalGeneration(config or tiny()).eval()
