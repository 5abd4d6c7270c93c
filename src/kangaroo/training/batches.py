"""Playground films become batches: drawn numbers and ids on worker processes, pixels on the training device.

Every batch follows from its number alone, so a run that resumes sees what it would have seen.
Axes: film, frame (all films of a batch have equally many), slot, position.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.dialogue.encoding import Encoder
from kangaroo.dialogue.tokenizer import ChatToken
from kangaroo.dialogue.video_processor import EVA_CLIP_MEAN, EVA_CLIP_STD, normalise
from kangaroo.playground.film import Film
from kangaroo.playground.render import Renderer, backgrounds
from kangaroo.playground.rounds import Round, training_rounds
from kangaroo.playground.script import MAX_THINGS, FilmKind, make_film
from kangaroo.training.curriculum import Stage
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

_PAD_TO = 64


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Films of equal frame counts and conversations about them, padded on the right.

    `shows` holds which film each conversation is about; `spoken` holds row and position of every token that the
    assistant says, `[2, token]`, row by row.
    """

    states: Tensor
    patterns: Tensor
    aspects: Tensor
    times_s: Tensor
    input_ids: Tensor
    shows: Tensor
    spoken: Tensor
    num_frames: int
    image_size_px: int

    @property
    def num_films(self) -> int:
        """Films, each of which several conversations may be about."""
        return len(self.times_s) // self.num_frames

    def pin_memory(self) -> "Batch":
        """Return the batch where a GPU can fetch it while other work goes on; torch's loader calls this."""
        tensors: dict[str, Any] = {
            name: value.pin_memory() for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **tensors)


def shown_times(film: Film) -> np.ndarray:
    """Return the presentation times of the frames that the default sampler takes of this film, written as a file."""
    wanted = FrameSampler().wanted_times(film.duration_s)
    return np.floor(wanted * film.fps + 1e-6) / film.fps


def conversation_about(film: Film, rounds: list[Round]) -> Conversation:
    """Return the rounds as a conversation, the film before the first question."""
    videos = (Video(VideoSource(f"playground-{film.seed}")),)
    conversation = Conversation()
    for number, one in enumerate(rounds):
        conversation = conversation.ask(one.question, *(videos if number == 0 else ())).reply(one.answer)
    return conversation


class PlaygroundBatches(Dataset[Batch]):
    """The batches of one stage, by number.

    Args:
        stage: What to draw and to ask.
        encoder: Writes conversations as ids.
        seed: Of the whole run.
        first_step: Where a resumed run goes on.
    """

    def __init__(self, stage: Stage, encoder: Encoder, *, seed: int, first_step: int = 0) -> None:
        self.stage, self.encoder, self.seed, self.first_step = stage, encoder, seed, first_step

    def __getitem__(self, step: int) -> Batch:
        """Draw batch number `step`."""
        rng = random.Random(f"{self.seed} {self.stage.name} {step}")
        counts, shares = zip(*self.stage.frames, strict=True)
        num_frames = rng.choices(counts, shares)[0]
        num_films = min(self.stage.max_films, self.stage.batch_frames // num_frames)
        films = [self._film(rng, num_frames) for _ in range(num_films)]
        asked = [
            (place, training_rounds(film, rng, self.stage.mixture))
            for place, film in enumerate(films)
            for _ in range(self.stage.conversations)
        ]
        return self.collate(films, asked, num_frames)

    def _film(self, rng: random.Random, num_frames: int) -> Film:
        seed = rng.getrandbits(48)
        if num_frames == 1:
            return make_film(seed, settings=replace(self.stage.films, kind=FilmKind.STILL), duration_s=1.0)
        duration_s = rng.uniform(num_frames - 1.4, num_frames + 0.4)
        if num_frames == FrameSampler().min_frames:
            duration_s = rng.uniform(self.stage.films.min_duration_s, num_frames + 0.4)
        return make_film(seed, settings=self.stage.films, duration_s=duration_s)

    def collate(self, films: Sequence[Film], asked: Sequence[tuple[int, list[Round]]], num_frames: int) -> Batch:
        """Put films and conversations, each about the film of an index, into tensors."""
        times = [np.zeros(1) if num_frames == 1 else shown_times(film) for film in films]
        assert all(len(one) == num_frames for one in times), f"{[len(one) for one in times]} frames, not {num_frames}"
        encoded = [
            self.encoder.conversation(conversation_about(films[film], rounds), [num_frames]) for film, rounds in asked
        ]
        length = -(-max(len(one) for one in encoded) // _PAD_TO) * _PAD_TO
        ids = np.full((len(asked), length), self.encoder.ids[ChatToken.END_OF_TEXT], dtype=np.int64)
        speaks = np.zeros((len(asked), length), dtype=bool)
        for row, one in enumerate(encoded):
            ids[row, : len(one)] = one.input_ids
            speaks[row, : len(one)] = one.assistant_mask
        return Batch(
            states=torch.from_numpy(
                np.concatenate([film.states(t, num_slots=MAX_THINGS) for film, t in zip(films, times, strict=True)])
            ),
            patterns=torch.from_numpy(np.concatenate([backgrounds(f, t) for f, t in zip(films, times, strict=True)])),
            aspects=torch.tensor([film.aspect for film in films]).repeat_interleave(num_frames),
            times_s=torch.from_numpy(np.concatenate(times).astype(np.float32)),
            input_ids=torch.from_numpy(ids),
            shows=torch.tensor([film for film, _ in asked]),
            spoken=torch.from_numpy(np.stack(speaks.nonzero())),
            num_frames=num_frames,
            image_size_px=self.stage.image_size_px,
        )


def loader(batches: PlaygroundBatches, *, num_workers: int) -> Iterator[Batch]:
    """Yield the batches from `first_step` on, in order, drawn ahead by worker processes (0: by this one)."""
    options: dict[str, Any] = {"prefetch_factor": 6} if num_workers else {}
    steps = range(batches.first_step, batches.stage.steps)
    return iter(
        DataLoader(
            batches,
            sampler=steps,
            batch_size=None,
            num_workers=num_workers,
            pin_memory=torch.cuda.is_available(),
            **options,
        )
    )


class Painter:
    """Draws a batch's frames on the training device, roughened as a camera and a codec would, and normalises them."""

    def __init__(self, device: torch.device, *, seed: int) -> None:
        self.renderer = Renderer(device)
        self.generator = torch.Generator(device).manual_seed(seed)
        # put there once: numbers sent with every batch would make the device wait
        self.mean, self.std = (torch.tensor(value, device=device) for value in (EVA_CLIP_MEAN, EVA_CLIP_STD))

    def paint(self, batch: Batch) -> Tensor:
        """Return normalised pixels `[frame, 3, row, column]` of all films on end."""
        return self.normalise(self._roughen(self.draw(batch), batch.num_frames))

    def draw(self, batch: Batch) -> Tensor:
        """Return clean pixels, 0 to 1."""
        side = batch.image_size_px
        return self.renderer.render(batch.states, batch.patterns, batch.aspects, height_px=side, width_px=side)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Return pixels, 0 to 1, as the model takes them."""
        return normalise(pixels, mean=self.mean, std=self.std)

    def _roughen(self, pixels: Tensor, num_frames: int) -> Tensor:
        """Blur, brighten and add noise, each film by its own strength."""
        films = len(pixels) // num_frames

        def per_film(low: float, high: float) -> Tensor:
            strength = torch.rand(films, 1, 1, 1, device=pixels.device, generator=self.generator)
            return (low + (high - low) * strength).to(pixels.dtype).repeat_interleave(num_frames, dim=0)

        blurred = F.avg_pool2d(pixels, 3, stride=1, padding=1, count_include_pad=False)
        pixels = torch.lerp(pixels, blurred, per_film(0.0, 0.8))
        pixels = (pixels - 0.5) * per_film(0.85, 1.1) + 0.5 + per_film(-0.06, 0.06)
        noise = torch.empty_like(pixels).normal_(generator=self.generator)
        return (pixels + noise * per_film(0.0, 0.03)).clamp(0, 1)
