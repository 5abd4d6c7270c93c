"""Answerers whose right share is known beforehand. They see a conversation and nothing else."""

import random
from pathlib import Path

from kangaroo.chat.answerer import Answer, FinishReason, Likelihood, Sampling
from kangaroo.dialogue.conversation import Conversation
from kangaroo.evaluation.films import Films
from kangaroo.evaluation.playground import Playground
from kangaroo.video.sampler import FrameSampler


class Scripted:
    """Says what `reply(question, film)` returns; `film` is the name of the film's file, None where none is shown."""

    def __init__(self, reply, name="scripted"):
        self.name = name
        self.reply = reply
        self.asked = 0

    def answer(self, conversation: Conversation, sampling: Sampling = Sampling()) -> Answer:
        self.asked += 1
        turn = conversation.turns[-1]
        films = [video.source.open() for video in conversation.videos]
        for video, film in zip(conversation.videos, films, strict=True):
            (video.sampler or FrameSampler()).clip_s(film.duration_s)  # refuses a clip that the film does not have
        names = [str(video.source.value).rsplit("/", 1)[-1] for video in conversation.videos]
        text = self.reply(turn.text, names[0] if names else None)
        return Answer(
            stream=iter((text[:1], text[1:])),
            model=self.name,
            times_s=[[0.0, film.duration_s] for film in films],
            finish_reason=FinishReason.STOP,
        )

    def answer_batch(self, conversations, sampling=Sampling()):
        return [self.answer(conversation, sampling).read() for conversation in conversations]

    def score(self, conversation, continuations):
        """Find likely what it would have said; asked nothing of its own, it finds all alike."""
        if conversation.turns[-1].text == "What happens?":
            return [Likelihood(nats=-1.0, num_tokens=1, is_greedy=False) for _ in continuations]
        said = self.answer(conversation).read().text
        return [
            Likelihood(nats=0.0 if one == said else -9.0, num_tokens=1, is_greedy=one == said) for one in continuations
        ]


def knowing(playground: Playground) -> Scripted:
    """Return one who knows every answer, and says it in words rather than as the key stands."""
    forms = ("{}", "({}).", "The answer is {}.", "答案是{}。")
    known = {}
    for number, item in enumerate(playground.items):
        film = Films(Path()).path(playground.films[item.film]).name if item.shows_film else None
        said = forms[number % 4].format(item.expected) if item.options else f" {item.expected} "
        known[item.question, film] = said
    return Scripted(lambda question, film: known[question, film], name="knowing")


def guessing(seed: int) -> Scripted:
    """Return one who names a letter at random."""
    rng = random.Random(seed)
    return Scripted(lambda question, film: rng.choice("ABCD"), name="guessing")
