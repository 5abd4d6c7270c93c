import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from kangaroo.data.packing import join, lay_out
from kangaroo.dialogue.tokenizer import ChatToken
from kangaroo.playground.draw import write_film
from kangaroo.playground.film import Verb
from kangaroo.playground.rounds import Mixture, training_rounds
from kangaroo.playground.script import FilmKind, FilmSettings, make_film
from kangaroo.training.curriculum import Drawn
from kangaroo.training.drawn import DrawnFilms
from kangaroo.training.feed import Decoded
from kangaroo.training.painter import Painter
from kangaroo.video.decode import read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource


def films_of(stage, processor):
    return DrawnFilms(stage.data[0], stage.sampler, processor.encoder, context_tokens=stage.context_tokens)


def test_a_sample_follows_from_its_seed_alone(several, tiny_processor):
    one, two, other = (films_of(several, tiny_processor).sample(5, seed=seed) for seed in (3, 3, 4))
    assert one.conversations == two.conversations
    np.testing.assert_array_equal(one.media.states, two.media.states)
    assert one.conversations != other.conversations


def test_a_sample_holds_a_film_and_conversations_about_it(several, tiny_processor):
    sample = films_of(several, tiny_processor).sample(5, seed=3)
    assert sample.number == 5
    assert len(sample.conversations) == 3
    assert len({tuple(one.input_ids) for one in sample.conversations}) == 3
    assert sample.num_frames == [len(sample.times_s)] == [len(sample.media.states)] == [16]
    assert len(sample) <= several.context_tokens


def test_a_still_is_one_frame(stage, tiny_processor):
    still = replace(stage, data=(Drawn(least_s=1.0, most_s=1.0, films=FilmSettings(kind=FilmKind.STILL)),))
    sample = films_of(still, tiny_processor).sample(0, seed=1)
    assert sample.num_frames == [1]
    assert sample.times_s.tolist() == [0.0]


def test_rounds_that_a_row_has_no_room_for_are_left_out_whole(several, tiny_processor):
    films = films_of(several, tiny_processor)
    film = make_film(2, duration_s=15.0)
    asked = [training_rounds(film, random.Random(seed), Mixture(num_rounds=4)) for seed in range(3)]
    whole = films.about(film, asked, number=0)
    assert len(whole.conversations) == 3
    length = len(whole.conversations[0])
    short = DrawnFilms(films.drawn, films.sampler, films.encoder, context_tokens=length - 1)
    (kept,) = short.about(film, asked[:1], number=0).conversations
    assert kept.input_ids == whole.conversations[0].input_ids[: len(kept)]
    assert kept.input_ids[-1] == whole.conversations[0].input_ids[-1]
    assert len(films.about(film, asked, number=0)) == sum(map(len, whole.conversations))
    two = DrawnFilms(films.drawn, films.sampler, films.encoder, context_tokens=2 * length)
    assert len(two.about(film, asked, number=0)) <= 2 * length


@pytest.mark.parametrize("sampler", [FrameSampler(), FrameSampler(num_frames=8)])
def test_times_are_those_that_the_decoder_finds_in_the_films_file(sampler, tmp_path):
    film = make_film(11, duration_s=4.0, sampler=sampler)
    write_film(film, tmp_path / "film.mp4")
    read = read_frames(VideoSource(tmp_path / "film.mp4"), sampler, size_px=28)
    np.testing.assert_allclose(film.taken_times_s(sampler), read.times_s, atol=1e-6)


@pytest.mark.parametrize("num_frames", [8, 16])
def test_what_happens_lasts_longer_than_from_one_seen_frame_to_the_next(num_frames):
    sampler = FrameSampler(num_frames=num_frames)
    for seed in range(40):
        film = make_film(seed, duration_s=6.0, sampler=sampler)
        assert film.unit_s == pytest.approx(6.0 / num_frames)
        for event in (event for scene in film.scenes for event in scene.events):
            gradual = event.verb in (Verb.MOVE, Verb.GROW, Verb.SHRINK, Verb.TURN)
            assert event.end_s - event.start_s >= (2.0 if gradual else 1.0) * film.unit_s - 1e-9


def packed_sample(stage, processor, seed):
    ids = processor.encoder.ids
    row = lay_out(
        [films_of(stage, processor).sample(0, seed=seed)],
        context_tokens=stage.context_tokens,
        pad_id=ids[ChatToken.END_OF_TEXT],
        placeholder_id=processor.video_token_id,
    )
    return join([row])


def test_painted_frames_are_what_the_films_file_shows(stage, tiny_processor, tmp_path):
    packed = packed_sample(stage, tiny_processor, seed=3)
    rng = random.Random("asked 3")
    low, high = np.log(stage.data[0].least_s), np.log(stage.data[0].most_s)
    film = make_film(3, duration_s=float(np.exp(rng.uniform(low, high))))
    write_film(film, tmp_path / "film.mp4")
    frames = read_frames(VideoSource(tmp_path / "film.mp4"), stage.sampler, size_px=112)
    painter = Painter(torch.device("cpu"), image_size_px=112)
    decoded = painter.paint([Decoded(pixels=(frames.pixels,))], seed=None)
    painted = painter.paint(packed.media, seed=None)
    assert painted.shape == decoded.shape
    assert (painted - decoded).abs().mean() < 0.12  # lossy video, another scaler


def test_decoded_frames_come_as_chat_sees_them_and_films_keep_their_order(stage, tiny_processor, tmp_path):
    packed = packed_sample(stage, tiny_processor, seed=3)
    write_film(make_film(8, duration_s=3.0), tmp_path / "film.mp4")
    frames = read_frames(VideoSource(tmp_path / "film.mp4"), stage.sampler, size_px=56)
    painter, film = Painter(torch.device("cpu"), image_size_px=56), Decoded(pixels=(frames.pixels,))
    drawn, read = painter.paint(packed.media, seed=None), tiny_processor.pixels([frames]).pixels
    together = painter.paint([film, *packed.media, film], seed=None)
    torch.testing.assert_close(together, torch.cat([read, drawn, read]))
    # what was recorded is rough already
    assert torch.equal(painter.paint([film], seed=1), painter.paint([film], seed=None))
    assert painter.paint([], seed=1).shape == (0, 3, 56, 56)


def test_roughening_follows_from_its_seed_and_leaves_the_picture_recognisable(stage, tiny_processor):
    packed = packed_sample(stage, tiny_processor, seed=3)
    painter = Painter(torch.device("cpu"), image_size_px=56)
    clean, one, two, other = (painter.paint(packed.media, seed=seed) for seed in (None, 1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert 0.01 < (one - clean).abs().mean() < 0.8
