import random
from collections import Counter

import numpy as np
import pytest
import torch

from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.model.packed import allow_packed_rows
from kangaroo.playground.questions import CHOICE_FAMILIES
from kangaroo.playground.rounds import LETTERS
from kangaroo.playground.script import Split, make_film
from kangaroo.playground.vocabulary import Language
from kangaroo.playground.wording import WORDINGS
from kangaroo.training import probe as module
from kangaroo.training.drawn import DrawnFilms
from kangaroo.training.loss import Objective
from kangaroo.training.painter import Painter
from kangaroo.training.probe import lettered_rounds, probe
from kangaroo.video.source import VideoSource

NUM_FILMS = 6


def rounds_of(seed):
    film = make_film(seed, split=Split.TEST, duration_s=16.0)
    return lettered_rounds(film, random.Random(f"probe {seed}"), tuple(Language)[seed % 2])


@pytest.fixture
def objective(tiny_network):
    allow_packed_rows(tiny_network)
    return Objective(tiny_network.eval())


def run_probe(objective, processor, stage):
    painter = Painter(torch.device("cpu"), image_size_px=56)
    return probe(objective, processor.encoder, stage, painter, num_films=NUM_FILMS)


def test_a_network_that_always_says_b_is_right_as_often_as_b_is(objective, stage, tiny_processor, monkeypatch):
    asked = []

    def noted(*args):
        rounds = lettered_rounds(*args)
        asked.extend(rounds)
        return rounds

    letter = tiny_processor.encoder.text("B")[0]
    monkeypatch.setattr(module, "lettered_rounds", noted)
    monkeypatch.setattr(Objective, "predict", lambda _self, _pixels, packed: torch.full_like(packed.targets, letter))
    shares = run_probe(objective, tiny_processor, stage)
    assert len(asked) > 20
    assert 0 < sum(one.answer == "B" for one in asked) < len(asked)
    for family in {one.family for one in asked}:
        assert shares[family] == np.mean([one.answer == "B" for one in asked if one.family is family])
    families = [shares[family] for family in CHOICE_FAMILIES if family in shares]
    assert shares["mean"] == pytest.approx(np.mean(families))
    for language in Language:
        right = [one.answer == "B" for one in asked if one.language is language]
        assert shares[f"language {language}"] == np.mean(right)


def test_rounds_are_lettered_evenly_in_unheard_words_one_for_each_family():
    rounds = [one for seed in range(150) for one in rounds_of(seed)]
    letters = Counter(one.answer for one in rounds)
    assert set(letters) == set(LETTERS)
    for number in letters.values():
        assert number == pytest.approx(len(rounds) / 4, rel=0.2)
    assert {one.family for one in rounds} == set(CHOICE_FAMILIES)
    for seed in range(20):
        families = [one.family for one in rounds_of(seed)]
        assert len(families) == len(set(families))
    heard = {wording for lines in WORDINGS[Language.EN].values() for wording in lines[:-2] if "{" not in wording}
    firsts = {one.question.splitlines()[0] for one in rounds}
    assert not heard & firsts


def test_the_probe_reads_the_letter_where_chat_would_begin_to_answer(
    objective, stage, tiny_network, tiny_processor, monkeypatch
):
    """What it predicts is what the model's own forward says after the prompt alone."""
    predicted = []
    plain = Objective.predict

    def noted(self, pixels, packed):
        predicted.append((pixels, plain(self, pixels, packed)))
        return predicted[-1][1]

    monkeypatch.setattr(Objective, "predict", noted)
    run_probe(objective, tiny_processor, stage)
    drawn = stage.data[0]
    film = make_film(
        0, split=Split.TEST, duration_s=random.Random(0).uniform(drawn.least_s, drawn.most_s), settings=drawn.films
    )
    first = lettered_rounds(film, random.Random("probe 0"), Language.EN)[0]
    sample = DrawnFilms(drawn, stage.sampler, tiny_processor.encoder, context_tokens=512).about(
        film, [[first]], number=0
    )
    prompt = tiny_processor.encode(
        Conversation().ask(first.question, Video(VideoSource("any.mp4"))), [16], generation_prompt=True
    )
    pixels, words = predicted[0]
    with torch.no_grad():
        alone = tiny_network(
            input_ids=torch.tensor([prompt.input_ids]),
            pixel_values_videos=pixels[None],
            video_times_s=torch.from_numpy(sample.times_s)[None],
        ).logits[0, -1]
    assert words[0] == alone.argmax()
