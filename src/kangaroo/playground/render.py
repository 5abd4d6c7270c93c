"""Draw films as pixels, on the CPU or on a GPU, many films at once.

Each slot of a frame is one tile of the atlas: moved, scaled, turned, tinted and laid over what is below it.
Axes: frame, slot, state (see `film`), pattern (kind, two colours, angle, frequency), row, column.
"""

from collections.abc import Iterable

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn import functional as F

from kangaroo.compiling import compiled
from kangaroo.playground.atlas import atlas
from kangaroo.playground.film import PATTERNS, Film
from kangaroo.playground.pack import TILE_PX
from kangaroo.playground.script import MAX_THINGS
from kangaroo.playground.vocabulary import Style

_TYPICAL_SIZE = 0.25


def backgrounds(film: Film, times_s: np.ndarray) -> Float32[np.ndarray, "frame pattern"]:
    """Return the background of each frame as numbers: kind, first and second colour, angle, frequency."""
    rows = [
        [PATTERNS.index(back.pattern), *back.first, *back.second, back.angle, back.frequency]
        for back in (scene.background for scene in film.scenes)
    ]
    table = np.array(rows, dtype=np.float32)
    return table[[film.scene_at(second) for second in times_s]]


class Renderer:
    """Draws on one device, sprites in one style; `is_compiled` pays on a GPU for whoever draws many films of one size.

    >>> frames = Renderer("cpu").draw(make_film(seed=1), np.array([0.0, 1.0]), height_px=112, width_px=112)
    """

    def __init__(
        self, device: torch.device | str = "cpu", *, style: Style = Style.FLUENT, is_compiled: bool = False
    ) -> None:
        self.device = torch.device(device)
        self.is_compiled = is_compiled
        self._paint_background = compiled(_paint_background) if is_compiled else _paint_background
        self._lay_over = compiled(_lay_over) if is_compiled else _lay_over
        self.dtype = torch.float16 if self.device.type == "cuda" else torch.float32
        self.tiles = {
            side: atlas(side, style).to(self.device, self.dtype) for side in (TILE_PX, TILE_PX // 2, TILE_PX // 4)
        }

    def draw(
        self, film: Film, times_s: np.ndarray, *, height_px: int, width_px: int
    ) -> UInt8[Tensor, "frame row column rgb"]:
        """Draw one film at the given seconds, stretched to a size."""
        states = torch.from_numpy(film.states(times_s, num_slots=MAX_THINGS))
        patterns = torch.from_numpy(backgrounds(film, times_s))
        aspects = torch.full((len(times_s),), film.aspect)
        pixels = self.render(states, patterns, aspects, height_px=height_px, width_px=width_px)
        pixels = (pixels * 255).round().clamp(0, 255).to(torch.uint8)
        return rearrange(pixels, "frame rgb row column -> frame row column rgb").cpu()

    @torch.no_grad()
    def render(
        self,
        states: Float32[Tensor, "frame slot state"],
        patterns: Float32[Tensor, "frame pattern"],
        aspects: Float32[Tensor, " frame"],
        *,
        height_px: int,
        width_px: int,
        chunk_frames: int = 1024,
    ) -> Tensor:
        """Return pixels, 0 to 1, `[frame, rgb, row, column]`, on this renderer's device."""
        chunks = [
            self._render_chunk(*parts, height_px=height_px, width_px=width_px)
            for parts in zip(
                states.split(chunk_frames), patterns.split(chunk_frames), aspects.split(chunk_frames), strict=True
            )
        ]
        return torch.cat(chunks)

    def _render_chunk(
        self, states: Tensor, patterns: Tensor, aspects: Tensor, *, height_px: int, width_px: int
    ) -> Tensor:
        # which slots and patterns are used is asked on the CPU, where the numbers come from: the GPU never waits
        used = [torch.nonzero(states[:, slot, 4] > 0).flatten() for slot in range(states.shape[1])]
        # what is compiled paints all kinds, so that it is compiled once
        kinds = range(len(PATTERNS)) if self.is_compiled else sorted({int(kind) for kind in patterns[:, 0]})
        states = rearrange(
            states.to(self.device, non_blocking=True), "frame slot state -> slot frame state"
        ).contiguous()
        patterns = patterns.to(self.device, non_blocking=True)
        aspects = aspects.to(self.device, non_blocking=True)
        y, x = (
            rearrange((torch.arange(side, device=self.device) + 0.5) / side, "place -> 1 place")
            for side in (height_px, width_px)
        )
        canvas = self._paint_background(patterns, tuple(kinds), x, y, dtype=self.dtype)
        tiles = self._tiles_for(min(height_px, width_px))
        for slot, frames in enumerate(used):
            if not len(frames):
                continue
            where = frames.to(self.device, non_blocking=True)
            whole = len(frames) == len(patterns)
            drawn = self._lay_over(
                canvas if whole else canvas[where],
                tiles,
                states[slot] if whole else states[slot, where],
                aspects if whole else aspects[where],
                x,
                y,
            )
            if whole:
                canvas = drawn
            else:
                canvas[where] = drawn
        return canvas

    def _tiles_for(self, side_px: int) -> Tensor:
        """Choose the sharpest tiles that a typical thing does not shrink by more than a third."""
        wanted = _TYPICAL_SIZE * side_px * 1.5
        fitting = [side for side in self.tiles if side <= wanted]
        return self.tiles[max(fitting, default=min(self.tiles))]


def _lay_over(below: Tensor, tiles: Tensor, state: Tensor, aspects: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the frames `below` with a tile over each."""
    grid = _tile_coordinates(state, aspects, x, y).to(below.dtype)
    layers = F.grid_sample(tiles[state[:, 8].long()], grid, align_corners=False)
    alpha = state[:, 4].to(below.dtype)[:, None, None, None]
    tint = rearrange(state[:, 5:8].to(below.dtype), "frame rgb -> frame rgb 1 1")
    return alpha * (layers[:, :3] + tint * layers[:, 3:4]) + (1 - alpha * layers[:, 4:5]) * below


def _tile_coordinates(state: Tensor, aspects: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return, for every pixel, where it falls in the tile, -1 to 1."""
    unit_x = (1 / aspects).clamp(max=1)[:, None]
    unit_y = aspects.clamp(max=1)[:, None]
    scale = (2 / state[:, 2])[:, None]
    across = (x - state[:, 0:1]) / unit_x * scale
    down = (y - state[:, 1:2]) / unit_y * scale
    cos, sin = torch.cos(state[:, 3])[:, None, None], torch.sin(state[:, 3])[:, None, None]
    across, down = across[:, None, :], down[:, :, None]
    return torch.stack([across * cos + down * sin, down * cos - across * sin], dim=-1)


def _paint_background(patterns: Tensor, kinds: Iterable[int], x: Tensor, y: Tensor, *, dtype: torch.dtype) -> Tensor:
    """Paint what lies behind the things; `kinds` are those that occur."""
    kind = patterns[:, 0][:, None, None]
    angle, frequency = patterns[:, 7][:, None, None], patterns[:, 8][:, None, None]
    along = torch.cos(angle) * x[:, None, :] + torch.sin(angle) * y[:, :, None]
    across = torch.cos(angle) * y[:, :, None] - torch.sin(angle) * x[:, None, :]
    share = torch.zeros_like(along)
    for index in kinds:
        share = torch.where(kind == index, _share_of_second(PATTERNS[index], along, across, 6.2832 * frequency), share)
    first, second = patterns[:, 1:4][:, :, None, None], patterns[:, 4:7][:, :, None, None]
    return (first + (second - first) * share[:, None]).to(dtype)


def _share_of_second(pattern: str, along: Tensor, across: Tensor, pace: Tensor) -> Tensor:
    """Return how much of its second colour a pattern shows, at places along and across its angle."""
    wave, cross_wave = torch.sin(pace * along), torch.sin(pace * across)
    match pattern:
        case "gradient":
            return along.clamp(0, 1)
        case "stripes":
            return (wave * 6).clamp(-1, 1) / 2 + 0.5
        case "checks":
            return (wave * cross_wave * 8).clamp(-1, 1) / 2 + 0.5
        case "clouds":
            return (torch.sin(wave * 1.7 + 5 * across) + torch.sin(cross_wave * 1.3 + 4 * along)) / 4 + 0.5
        case _:
            return torch.zeros_like(along)
