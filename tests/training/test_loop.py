import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from kangaroo.data.packing import join, lay_out
from kangaroo.data.quarantine import Quarantine
from kangaroo.dialogue.tokenizer import ChatToken
from kangaroo.model.packed import allow_packed_rows
from kangaroo.playground.questions import Family
from kangaroo.playground.rounds import Round
from kangaroo.playground.script import FilmKind, FilmSettings, make_film
from kangaroo.playground.vocabulary import COLOURS, Language
from kangaroo.training.curriculum import Drawn, Method, Part
from kangaroo.training.drawn import DrawnFilms
from kangaroo.training.feed import Feed, feed_rows, fresh_states
from kangaroo.training.loop import Progress, rate_factor, train_stage
from kangaroo.training.loss import Objective
from kangaroo.training.optimizers import freeze, make_optimizers, modules_of, set_rates
from kangaroo.training.painter import Painter
from kangaroo.training.parallel import start_world

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def world():
    return start_world("cpu")


def test_rates_rise_evenly_then_fall_by_half_a_cosine(stage):
    long = replace(stage, samples=1000, warm_up=0.1, last_rate=0.2)
    factors = [rate_factor(long, samples) for samples in range(1001)]
    assert factors[0] == 0.01  # the first step moves too
    assert factors[50] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(1.0)
    assert factors[325] == pytest.approx(0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2)
    assert factors[1000] == pytest.approx(0.2)
    assert rate_factor(long, 2000) == pytest.approx(0.2)
    assert max(factors) <= 1


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("parts", [tuple(Part), (Part.VISION, Part.PROJECTOR), (Part.PATCHIFY, Part.LANGUAGE)])
def test_the_stages_parts_train_at_their_rates_and_no_others(stage, tiny_network, method, parts):
    rates = {part: 1e-3 * (place + 1) for place, part in enumerate(parts)}
    only = replace(stage, rates=tuple(rates.items()), method=method)
    freeze(tiny_network, only)
    optimizers = make_optimizers(tiny_network, only)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    highest = {weight: group["highest"] for group in groups for weight in group["params"]}
    assert len(highest) == sum(len(group["params"]) for group in groups)
    for part, modules in modules_of(tiny_network).items():
        for weight in (weight for module in modules for weight in module.parameters()):
            assert weight.requires_grad == (part in rates)
            assert highest.get(weight) == rates.get(part)
    set_rates(optimizers, 0.5)
    assert all(group["lr"] == group["highest"] / 2 for group in groups)


def test_muon_moves_matrices_of_blocks_and_not_embeddings_or_readout(stage, tiny_network):
    freeze(tiny_network, stage)
    muon, adamw = make_optimizers(tiny_network, replace(stage, method=Method.MUON))
    matrices = {weight for group in muon.param_groups for weight in group["params"]}
    inner = {each.weight for each in tiny_network.model.modules() if isinstance(each, nn.Linear)}
    assert matrices == inner
    assert tiny_network.get_input_embeddings().weight not in matrices
    for group in adamw.param_groups:
        assert {weight.ndim > 1 for weight in group["params"]} == {group["weight_decay"] > 0}


def trained(model, processor, stage, world, tmp_path, *, rows_per_pass=1, progress=None):
    freeze(model, stage)
    allow_packed_rows(model)
    feed = Feed(stage, {}, processor.encoder, seed=0)
    progress = progress or Progress(streams=fresh_states(stage))
    rows = feed_rows(feed, progress.streams, Quarantine(tmp_path / "bad.jsonl"), workers=0, lookahead=8)
    return list(
        train_stage(
            Objective(model),
            make_optimizers(model, stage),
            rows,
            Painter(CPU, image_size_px=56),
            stage,
            progress,
            world,
            rows_per_pass=rows_per_pass,
            seed=0,
        )
    )


def test_a_stage_ends_when_its_samples_are_seen_and_counts_what_passed(
    stage, tiny_processor, tiny_network, world, tmp_path
):
    progress = Progress(streams=fresh_states(stage))
    steps = trained(tiny_network, tiny_processor, stage, world, tmp_path, progress=progress)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert steps[-1].samples >= stage.samples > steps[-2].samples
    assert (progress.step, progress.samples) == (len(steps), steps[-1].samples)
    for step in steps:
        assert 0 < step.load.spoken < step.load.tokens <= 2 * 512
        assert step.load.frames == 16 * step.load.visual_tokens / 32
        assert step.filled == step.load.tokens / 1024
    again = Progress.from_dict(progress.to_dict())
    assert again == progress


def test_rows_that_pass_one_by_one_give_the_step_of_rows_that_pass_together(
    stage, tiny_processor, start_folder, world, tmp_path
):
    from kangaroo.training.start import from_folder

    one, two = (from_folder(start_folder)[0] for _ in range(2))
    apart = trained(one, tiny_processor, stage, world, tmp_path, rows_per_pass=1)
    together = trained(two, tiny_processor, stage, world, tmp_path, rows_per_pass=2)
    # films are roughened pass by pass, so only the first digits agree
    assert float(apart[0].loss) == pytest.approx(float(together[0].loss), rel=0.02)
    assert float(apart[0].grad_norm) == pytest.approx(float(together[0].grad_norm), rel=0.1)


def stills_by_colour(number: int):
    """Stills of one shape each, all of different colours, and the colours' names."""
    settings, found, seed = FilmSettings(kind=FilmKind.STILL, sprite_share=0.0, max_things=1), {}, 0
    while len(found) < number:
        film = make_film(seed, settings=settings, duration_s=1.0)
        found.setdefault(film.scenes[0].things[0].look.colour, film)
        seed += 1
    return list(found.values()), [COLOURS[colour].name.en for colour in found], settings


def test_a_tiny_network_learns_to_say_the_colour_that_each_film_shows(stage, tiny_processor, tiny_network, world):
    films, colours, settings = stills_by_colour(4)
    drawn = DrawnFilms(
        Drawn(least_s=1.0, most_s=1.0, films=settings), stage.sampler, tiny_processor.encoder, context_tokens=512
    )
    asked = [
        Round(family=Family.COLOUR, question="Which colour?", answer=colour, language=Language.EN) for colour in colours
    ]
    samples = [drawn.about(film, [[one]], number=n) for n, (film, one) in enumerate(zip(films, asked, strict=True))]
    row = lay_out(
        samples,
        context_tokens=512,
        pad_id=tiny_processor.encoder.ids[ChatToken.END_OF_TEXT],
        placeholder_id=tiny_processor.video_token_id,
    )
    long = replace(stage, rows=1, samples=4 * 120, rates=tuple((part, 1e-2) for part in Part))
    freeze(tiny_network, long)
    allow_packed_rows(tiny_network)
    objective = Objective(tiny_network)
    steps = list(
        train_stage(
            objective,
            make_optimizers(tiny_network, long),
            iter([row] * 120),
            Painter(CPU, image_size_px=56),
            long,
            Progress(),
            world,
            rows_per_pass=1,
            seed=0,
        )
    )
    assert len(steps) == 120
    assert steps[0].loss > 2
    # the question is the same four times: without looking no less than log 4 per answer is possible
    assert steps[-1].loss < 0.1
    packed = join([row])
    predicted = objective.predict(Painter(CPU, image_size_px=56).paint(packed.media, seed=None), packed)
    assert (predicted == packed.targets).float().mean() > 0.9
