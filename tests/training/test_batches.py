import random
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.playground.draw import write_film
from kangaroo.playground.film import Verb
from kangaroo.playground.rounds import Mixture, training_rounds
from kangaroo.playground.script import make_film
from kangaroo.training.batches import Painter, PlaygroundBatches, loader, shown_times
from kangaroo.video.decode import read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource
from kangaroo.video.write import write_video


@pytest.fixture(scope="module")
def batches(stage, tiny_processor):
    return PlaygroundBatches(stage, tiny_processor.encoder, seed=1)


def assert_equal(one, other):
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b, field.name


def test_a_batch_follows_from_its_number_alone(batches, stage, tiny_processor):
    late = PlaygroundBatches(stage, tiny_processor.encoder, seed=1, first_step=3)
    for step in (3, 5):
        assert_equal(batches[step], late[step])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_whatever_the_workers_and_the_point_of_resumption_the_order_is_the_same(
    batches, stage, tiny_processor, num_workers
):
    late = PlaygroundBatches(stage, tiny_processor.encoder, seed=1, first_step=2)
    given = list(loader(late, num_workers=num_workers))
    assert len(given) == stage.steps - 2
    for step, batch in enumerate(given, start=2):
        assert_equal(batch, batches[step])


def test_other_steps_seeds_and_stages_give_other_batches(batches, stage, tiny_processor):
    seen = [batches[0], batches[1]]
    seen.append(PlaygroundBatches(stage, tiny_processor.encoder, seed=2)[0])
    seen.append(PlaygroundBatches(replace(stage, name="other"), tiny_processor.encoder, seed=1)[0])
    firsts = {(batch.num_frames, tuple(batch.input_ids.flatten().tolist())) for batch in seen}
    assert len(firsts) == 4


def test_a_batch_holds_as_many_films_as_fit_and_lengths_occur_by_their_shares(stage, tiny_processor):
    wide = replace(stage, frames=((1, 0.25), (16, 0.5), (32, 0.25)), max_films=20, batch_frames=64, steps=120)
    given = [PlaygroundBatches(wide, tiny_processor.encoder, seed=5)[step] for step in range(40)]
    assert {(batch.num_frames, len(batch.input_ids)) for batch in given} == {(1, 20), (16, 4), (32, 2)}
    assert np.mean([batch.num_frames == 16 for batch in given]) == pytest.approx(0.5, abs=0.2)
    for batch in given:
        frames = batch.num_frames * len(batch.input_ids)
        assert len(batch.states) == len(batch.patterns) == len(batch.aspects) == len(batch.times_s) == frames


def test_spoken_tokens_are_what_the_assistant_says_and_nothing_else(batches, tiny_processor):
    film = make_film(4, duration_s=16.0)
    rounds = training_rounds(film, random.Random(4), Mixture(num_rounds=5, describe_share=1.0))
    assert len(rounds) == 5
    batch = batches.collate([film], [(0, rounds)], 16)
    ids, (rows, places) = batch.input_ids[0], batch.spoken
    assert not rows.any()
    supervised = [place in places.tolist() for place in range(len(ids))]
    segments, silent = [], []
    for place, (token, said) in enumerate(zip(ids.tolist(), supervised, strict=True)):
        if said and not supervised[place - 1]:
            segments.append([])
        (segments[-1] if said else silent).append(token)
    decode = tiny_processor.tokenizer.decode
    assert [decode(segment) for segment in segments] == [f"{one.answer}<|eot_id|>" for one in rounds]
    unsaid = decode(silent)
    for one in rounds:
        assert one.question in unsaid


def test_ids_are_those_that_the_processor_writes_in_chat(batches, tiny_processor):
    film = make_film(4, duration_s=16.0)
    rounds = training_rounds(film, random.Random(4), Mixture(num_rounds=2))
    batch = batches.collate([film], [(0, rounds)], 16)
    conversation = Conversation().ask(rounds[0].question, Video(VideoSource("any.mp4"))).reply(rounds[0].answer)
    conversation = conversation.ask(rounds[1].question)
    prompt = tiny_processor.encode(conversation, [16], generation_prompt=True).input_ids
    assert batch.input_ids[0, : len(prompt)].tolist() == prompt


def test_frames_are_shown_at_the_times_that_the_sampler_takes_of_the_written_file(tmp_path):
    """Pictures do not matter for times: the files hold tiny black ones, as many and as fast as the film has."""
    random_s = random.Random(0)
    for seed in range(24):
        film = make_film(seed, duration_s=random_s.uniform(2.5, 70.0))
        path = tmp_path / f"{seed}.mp4"
        black = np.zeros((16, 16, 3), dtype=np.uint8)
        write_video(path, (black for _ in range(film.num_frames)), fps=float(film.fps), preset="ultrafast")
        read = read_frames(VideoSource(path), FrameSampler(), size_px=16)
        told = shown_times(film)
        assert len(read) == len(told), f"a film of {film.duration_s} s at {film.fps} fps"
        # a film's last frame may end half a frame early or late
        np.testing.assert_allclose(read.times_s, told, atol=1.01 / film.fps)


@pytest.mark.parametrize("seed", [1, 6, 9])
def test_training_sees_what_the_processor_reads_from_the_films_file(batches, tiny_processor, tmp_path, seed):
    film = make_film(seed, duration_s=3.0)
    write_film(film, tmp_path / "film.mp4")
    read = tiny_processor.video_processor.read(VideoSource(tmp_path / "film.mp4"))
    inference = tiny_processor.pixels([read])
    rounds = training_rounds(film, random.Random(0), Mixture(num_rounds=1))
    batch = batches.collate([film], [(0, rounds)], 16)
    painter = Painter(torch.device("cpu"), seed=0)
    training = painter.normalise(painter.draw(batch))
    assert training.shape == inference.pixels.shape
    difference = (training - inference.pixels).abs().mean(dim=(1, 2, 3)).numpy()
    # one frame's motion at most lies between the two where a wanted time falls between two frames
    still = np.isclose(read.times_s, batch.times_s.numpy(), atol=1e-3)
    assert still.mean() > 0.7
    assert difference[still].max() < 0.08  # deviations; 0.02 of the range of a pixel
    np.testing.assert_allclose(inference.times_s, batch.times_s, atol=1.01 / film.fps)


def test_roughening_is_mild_differs_by_film_and_follows_from_the_seed(batches, stage):
    batch = next(one for one in (batches[step] for step in range(6)) if one.num_frames == 16)
    painter = Painter(torch.device("cpu"), seed=3)
    clean = painter.normalise(painter.draw(batch))
    rough = painter.paint(batch)
    assert torch.equal(rough, Painter(torch.device("cpu"), seed=3).paint(batch))
    assert not torch.equal(rough, Painter(torch.device("cpu"), seed=4).paint(batch))
    by_film = (rough - clean).view(len(batch.input_ids), -1).abs().mean(dim=1)
    assert (by_film > 0.01).all()
    assert (by_film < 0.6).all()
    assert (by_film[0] - by_film[1]).abs() > 1e-3


def test_stills_show_one_film_frame_at_second_nought(stage, tiny_processor):
    only = replace(stage, frames=((1, 1.0),), max_films=8)
    batch = PlaygroundBatches(only, tiny_processor.encoder, seed=0)[0]
    assert batch.num_frames == 1
    assert not batch.times_s.any()
    assert (batch.states[..., 4].sum(dim=1) >= 1).all()


def test_training_films_hold_no_held_out_action(batches, stage, monkeypatch):
    from kangaroo.playground import script
    from kangaroo.training import batches as module

    made = []
    monkeypatch.setattr(
        module, "make_film", lambda *args, **options: made.append(make_film(*args, **options)) or made[-1]
    )
    for step in range(stage.steps):
        batches[step]
    acts = [
        (scene.things[event.thing].look, event.verb)
        for film in made
        for scene in film.scenes
        for event in scene.events
        if event.verb in script.ACTIONS
    ]
    assert Verb.MOVE in {verb for _, verb in acts}
    assert not any(script.held_out(*act) for act in acts)
