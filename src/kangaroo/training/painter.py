"""Pixels on the training device: drawn films are rendered there and roughened as a camera and a codec would;
decoded ones arrive as bytes. Axes: frame (of all films on end), row, column.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from kangaroo.compiling import compiled
from kangaroo.dialogue.video_processor import EVA_CLIP_MEAN, EVA_CLIP_STD, normalise
from kangaroo.model.transfer import pinned, sent
from kangaroo.playground.render import Renderer
from kangaroo.training.drawn import DrawnFilm
from kangaroo.training.feed import Decoded


class Painter:
    """Makes what the vision tower takes of the media that packed rows carry.

    >>> painter = Painter(torch.device("cpu"), image_size_px=112)
    >>> painter.paint(packed.media, seed=0).shape
    torch.Size([64, 3, 112, 112])
    """

    def __init__(self, device: torch.device, *, image_size_px: int) -> None:
        self.device, self.image_size_px = device, image_size_px
        self.renderer: Renderer | None = None
        self.generator = torch.Generator(device)
        self.roughen = compiled(_roughen) if device.type == "cuda" else _roughen
        # put there once: numbers sent with every batch would make the device wait
        self.mean, self.std = (torch.tensor(value, device=device) for value in (EVA_CLIP_MEAN, EVA_CLIP_STD))

    def paint(self, media: Sequence[DrawnFilm | Decoded], *, seed: int | None) -> Float[Tensor, "frame 3 height width"]:
        """Return the normalised frames of all films in order; `seed` roughens drawn ones, None leaves them clean."""
        parts = []
        if seed is not None:
            self.generator.manual_seed(seed)
        for is_drawn, run in groupby(media, key=lambda one: isinstance(one, DrawnFilm)):
            if is_drawn:
                films = [one for one in run if isinstance(one, DrawnFilm)]
                pixels = self._drawn(films)
                parts.append(pixels if seed is None else self._roughened(pixels, [len(film.states) for film in films]))
            else:
                parts += [self._decoded(film) for one in run if isinstance(one, Decoded) for film in one.pixels]
        side = self.image_size_px
        pixels = torch.cat(parts) if parts else torch.zeros(0, 3, side, side, device=self.device)
        return normalise(pixels.float(), mean=self.mean, std=self.std)

    def _drawn(self, films: Sequence[DrawnFilm]) -> Tensor:
        self.renderer = self.renderer or Renderer(self.device, is_compiled=self.device.type == "cuda")
        aspects = torch.tensor([film.aspect for film in films], dtype=torch.float32)
        return self.renderer.render(
            pinned(_on_end(film.states for film in films), self.device),
            pinned(_on_end(film.patterns for film in films), self.device),
            aspects.repeat_interleave(torch.tensor([len(film.states) for film in films])),
            height_px=self.image_size_px,
            width_px=self.image_size_px,
        )

    def _decoded(self, pixels: np.ndarray) -> Tensor:
        frames = sent(torch.from_numpy(pixels), self.device)
        return rearrange(frames, "frame height width rgb -> frame rgb height width").float() / 255

    def _roughened(self, pixels: Tensor, num_frames: Sequence[int]) -> Tensor:
        """Blur, brighten and add noise, each film by its own strength."""
        counts = sent(torch.tensor(num_frames), self.device)

        def per_film(low: float, high: float) -> Tensor:
            strength = torch.rand(len(num_frames), 1, 1, 1, device=self.device, generator=self.generator)
            strength = (low + (high - low) * strength).to(pixels.dtype)
            return strength.repeat_interleave(counts, dim=0, output_size=len(pixels))

        strengths = per_film(0.0, 0.8), per_film(0.85, 1.1), per_film(-0.06, 0.06), per_film(0.0, 0.03)
        noise = torch.empty_like(pixels).normal_(generator=self.generator)
        return self.roughen(pixels, noise, *strengths)


def _roughen(pixels: Tensor, noise: Tensor, blur: Tensor, contrast: Tensor, light: Tensor, grain: Tensor) -> Tensor:
    blurred = F.avg_pool2d(pixels, 3, stride=1, padding=1, count_include_pad=False)
    pixels = (torch.lerp(pixels, blurred, blur) - 0.5) * contrast + 0.5 + light
    return (pixels + noise * grain).clamp(0, 1)


def _on_end(arrays: Iterable[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.concatenate(list(arrays)))
