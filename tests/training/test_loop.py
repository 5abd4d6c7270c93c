import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from kangaroo.playground.questions import Family
from kangaroo.playground.rounds import Round
from kangaroo.playground.script import FilmKind, FilmSettings, make_film
from kangaroo.playground.vocabulary import COLOURS, Language
from kangaroo.training.batches import Painter, PlaygroundBatches
from kangaroo.training.curriculum import WARM_UP_STEPS
from kangaroo.training.loop import film_loss, learning_rate, make_optimizers, train_stage
from kangaroo.training.muon import Muon


def test_the_rate_falls_by_half_a_cosine_from_the_first_value_to_the_last(stage):
    long = replace(stage, steps=1000, learning_rate=(1e-3, 1e-4))
    rates = [learning_rate(long, step, is_first=False) for step in range(1000)]
    assert rates[0] == 1e-3
    assert rates[500] == pytest.approx((1e-3 + 1e-4) / 2)
    assert rates[250] == pytest.approx(1e-4 + 9e-4 * (1 + math.sqrt(0.5)) / 2)
    assert rates[-1] == pytest.approx(1e-4, rel=0.01)
    assert rates == sorted(rates, reverse=True)


def test_only_the_runs_first_stage_warms_up(stage):
    long = replace(stage, steps=1000, learning_rate=(1e-3, 1e-3))
    first = [learning_rate(long, step, is_first=True) for step in range(1000)]
    assert first[0] == pytest.approx(1e-3 / WARM_UP_STEPS)
    assert first[WARM_UP_STEPS // 2 - 1] == pytest.approx(1e-3 / 2)
    assert first[WARM_UP_STEPS - 1 :] == pytest.approx([1e-3] * (1001 - WARM_UP_STEPS))


def test_every_parameter_has_one_optimizer_and_embeddings_are_not_orthogonalised(tiny_network):
    muon, adamw = make_optimizers(tiny_network)
    assert isinstance(muon, Muon)
    groups = [*muon.param_groups, *adamw.param_groups]
    owned = [weight for group in groups for weight in group["params"]]
    assert len(owned) == len(set(owned))
    assert set(owned) == set(tiny_network.parameters())
    matrices = set(muon.param_groups[0]["params"])
    assert tiny_network.get_input_embeddings().weight not in matrices
    assert tiny_network.get_output_embeddings().weight not in matrices
    assert all(weight.ndim == 2 for weight in matrices)
    inner = [each.weight for each in tiny_network.model.modules() if isinstance(each, nn.Linear)]
    assert set(inner) <= matrices
    for group in groups:
        decays = {weight.ndim > 1 for weight in group["params"]}
        assert decays == {group["weight_decay"] > 0}


def test_the_loss_equals_that_of_the_models_own_forward(stage, tiny_processor, tiny_network):
    batch = PlaygroundBatches(replace(stage, conversations=2), tiny_processor.encoder, seed=3)[1]
    pixels = Painter(torch.device("cpu"), seed=0).paint(batch)
    ours = film_loss(tiny_network, pixels, batch)
    films = batch.num_films
    labels = torch.full_like(batch.input_ids, -100)
    labels[tuple(batch.spoken)] = batch.input_ids[tuple(batch.spoken)]
    theirs = tiny_network(
        input_ids=batch.input_ids,
        labels=labels,
        pixel_values_videos=pixels.view(films, batch.num_frames, *pixels.shape[1:])[batch.shows],
        video_times_s=batch.times_s.view(films, batch.num_frames)[batch.shows],
    ).loss
    assert films == 2
    assert batch.shows.tolist() == [0, 0, 1, 1]
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def stills_by_colour(number: int):
    """Stills of one shape each, all of different colours, and the colours' names."""
    settings, found, seed = FilmSettings(kind=FilmKind.STILL, sprite_share=0.0, max_things=1), {}, 0
    while len(found) < number:
        film = make_film(seed, settings=settings, duration_s=1.0)
        found.setdefault(film.scenes[0].things[0].look.colour, film)
        seed += 1
    return list(found.values()), [COLOURS[colour].name.en for colour in found]


def test_a_tiny_network_learns_to_say_the_colour_that_each_film_shows(stage, tiny_processor, tiny_network):
    films, colours = stills_by_colour(4)
    asked = [
        [Round(family=Family.COLOUR, question="Which colour?", answer=colour, language=Language.EN)]
        for colour in colours
    ]
    batch = PlaygroundBatches(stage, tiny_processor.encoder, seed=0).collate(films, list(enumerate(asked)), 1)
    painter, long = Painter(torch.device("cpu"), seed=0), replace(stage, steps=120, learning_rate=(1e-2, 1e-3))
    steps = list(train_stage(tiny_network, make_optimizers(tiny_network), [batch] * 120, painter, long))
    assert [step.number for step in steps] == list(range(120))
    assert steps[0].loss > 2
    # the question is the same four times: without looking no less than log 4 per answer is possible
    assert steps[-1].loss < 0.1
    assert steps[-1].num_films == 4
    assert steps[-1].num_tokens == batch.input_ids.numel()


def test_gradients_reach_every_part_of_the_network_that_is_used(stage, tiny_processor, tiny_network):
    batch = PlaygroundBatches(stage, tiny_processor.encoder, seed=3)[1]
    film_loss(tiny_network, Painter(torch.device("cpu"), seed=0).paint(batch), batch).backward()
    without = [name for name, weight in tiny_network.named_parameters() if weight.grad is None or not weight.grad.any()]
    # the projector reads the patches before the tower's last norm, as published
    assert without == ["model.vision_tower.norm.weight", "model.vision_tower.norm.bias"]
