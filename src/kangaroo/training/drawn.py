"""Playground films as samples: drawn numbers and ids here, pixels later, on the training device.

Axes: frame, slot, state and pattern (see `playground.render`).
"""

import math
import random
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from kangaroo.data.packing import PackingSample
from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.dialogue.encoding import Encoded, Encoder
from kangaroo.playground.film import Film
from kangaroo.playground.render import backgrounds
from kangaroo.playground.rounds import Round, training_rounds
from kangaroo.playground.script import MAX_THINGS, FilmKind, make_film
from kangaroo.training.curriculum import Drawn
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource


@dataclass(frozen=True, kw_only=True)
class DrawnFilm:
    """What a renderer needs for a film's frames."""

    states: Float32[np.ndarray, "frame slot state"]
    patterns: Float32[np.ndarray, "frame pattern"]
    aspect: float


class DrawnFilms:
    """Samples by number; the number is the film's seed, so there is no end of them."""

    def __init__(self, drawn: Drawn, sampler: FrameSampler, encoder: Encoder, *, context_tokens: int) -> None:
        self.drawn, self.sampler, self.encoder, self.context_tokens = drawn, sampler, encoder, context_tokens

    def sample(self, number: int, *, seed: int) -> PackingSample:
        """Return sample `number` of a stream: the film of a seed and what is asked about it."""
        rng = random.Random(f"asked {seed}")
        low, high = math.log(self.drawn.least_s), math.log(self.drawn.most_s)
        film = make_film(
            seed, settings=self.drawn.films, duration_s=math.exp(rng.uniform(low, high)), sampler=self.sampler
        )
        asked = [training_rounds(film, rng, self.drawn.rounds) for _ in range(self.drawn.conversations)]
        return self.about(film, asked, number=number)

    def about(self, film: Film, asked: list[list[Round]], *, number: int) -> PackingSample:
        """Return conversations about a film as a sample, whole rounds left out where a row has no room for them."""
        # of a still one frame says all
        still = self.drawn.films.kind is FilmKind.STILL
        times_s = np.zeros(1) if still else film.taken_times_s(self.sampler)
        conversations: list[Encoded] = []
        room = self.context_tokens
        for rounds in asked:
            one = self._fitted(film, rounds, len(times_s), room)
            if one is None:
                break
            conversations.append(one)
            room -= len(one)
        return PackingSample(
            number=number,
            conversations=tuple(conversations),
            times_s=times_s.astype(np.float32),
            media=DrawnFilm(
                states=film.states(times_s, num_slots=MAX_THINGS),
                patterns=backgrounds(film, times_s),
                aspect=film.aspect,
            ),
        )

    def _fitted(self, film: Film, rounds: list[Round], num_frames: int, room: int) -> Encoded | None:
        for number in range(len(rounds), 0, -1):
            encoded = self.encoder.conversation(conversation_about(film, rounds[:number]), [num_frames])
            if len(encoded) <= room:
                return encoded
        return None


def conversation_about(film: Film, rounds: list[Round]) -> Conversation:
    """Return the rounds as a conversation, the film before the first question."""
    videos = (Video(VideoSource(f"playground-{film.seed}")),)
    conversation = Conversation()
    for number, one in enumerate(rounds):
        conversation = conversation.ask(one.question, *(videos if number == 0 else ())).reply(one.answer)
    return conversation
