import random
from collections import Counter

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.playground.questions import CHOICE_FAMILIES
from kangaroo.playground.rounds import LETTERS
from kangaroo.playground.script import Split, make_film
from kangaroo.playground.vocabulary import Language
from kangaroo.playground.wording import WORDINGS
from kangaroo.training import probe as module
from kangaroo.training.batches import Painter, PlaygroundBatches
from kangaroo.training.probe import lettered_rounds, probe
from kangaroo.video.source import VideoSource

NUM_FILMS = 6


@pytest.fixture(scope="module")
def batches(stage, tiny_processor):
    return PlaygroundBatches(stage, tiny_processor.encoder, seed=0)


def run_probe(network, batches):
    painter = Painter(torch.device("cpu"), seed=0)
    return probe(network.eval(), batches, painter, num_frames=16, num_films=NUM_FILMS)


def test_a_network_that_always_says_b_is_right_as_often_as_b_is(tiny_network, tiny_processor, batches, monkeypatch):
    asked = []

    def noted(*args):
        rounds = lettered_rounds(*args)
        asked.extend(rounds)
        return rounds

    def says_b(_module, _inputs, logits):
        letter = tiny_processor.encoder.text("B")[0]
        return one_hot(torch.full(logits.shape[:-1], letter), logits.shape[-1])

    monkeypatch.setattr(module, "lettered_rounds", noted)
    hook = tiny_network.lm_head.register_forward_hook(says_b)
    shares = run_probe(tiny_network, batches)
    hook.remove()
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
    rounds = [one for seed in range(150) for one in lettered_rounds(seed, 16.0, tuple(Language)[seed % 2])]
    letters = Counter(one.answer for one in rounds)
    assert set(letters) == set(LETTERS)
    for number in letters.values():
        assert number == pytest.approx(len(rounds) / 4, rel=0.2)
    assert {one.family for one in rounds} == set(CHOICE_FAMILIES)
    for seed in range(20):
        families = [one.family for one in lettered_rounds(seed, 16.0, Language.EN)]
        assert len(families) == len(set(families))
    heard = {wording for lines in WORDINGS[Language.EN].values() for wording in lines[:-2] if "{" not in wording}
    firsts = {one.question.splitlines()[0] for one in rounds}
    assert not heard & firsts


def test_the_probe_reads_the_letter_where_chat_would_begin_to_answer(tiny_network, tiny_processor, batches):
    """The state that the head reads equals that of the prompt alone, through the model's own forward."""
    states = []
    hook = tiny_network.lm_head.register_forward_pre_hook(lambda _module, inputs: states.append(inputs[0].clone()))
    painter = Painter(torch.device("cpu"), seed=0)
    run_probe(tiny_network, batches)
    hook.remove()
    duration_s = random.Random(0).uniform(batches.stage.films.min_duration_s, 16.4)
    first = lettered_rounds(0, duration_s, Language.EN)[0]
    film = make_film(0, split=Split.TEST, duration_s=duration_s)
    batch = batches.collate([film], [(0, [first])], 16)
    prompt = tiny_processor.encode(
        Conversation().ask(first.question, Video(VideoSource("any.mp4"))), [16], generation_prompt=True
    )
    with torch.no_grad():
        alone = tiny_network.model(
            input_ids=torch.tensor([prompt.input_ids]),
            pixel_values_videos=painter.normalise(painter.draw(batch))[None],
            video_times_s=batch.times_s[None],
        ).last_hidden_state[0, -1]
    torch.testing.assert_close(states[0][0], alone, rtol=1e-4, atol=1e-4)
