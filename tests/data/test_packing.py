import pickle
import random
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kangaroo.data.packing import Packed, PackingSample, PackingState, check_fits, choose, pack
from kangaroo.dialogue.encoding import Encoded
from kangaroo.errors import ContextError

PAD, PLACEHOLDER = 1, 9


def sample_of(number, length, num_frames=()):
    """Each id, mask and time says whose it is."""
    words = random.Random(number)
    return PackingSample(
        number=number,
        encoded=Encoded(
            input_ids=[100 * number + 10 + words.randrange(90) for _ in range(length)],
            assistant_mask=[words.random() < 0.4 for _ in range(length)],
            num_frames=list(num_frames),
        ),
        times_s=np.arange(sum(num_frames), dtype=np.float32) + number,
        media=f"film of {number}",
    )


def packed_rows(samples, **options):
    options = {"context_tokens": 64, "pad_id": PAD, "placeholder_id": PLACEHOLDER, **options}
    return list(pack(samples, **options))


def conversations(packed):
    """Return what stands between each two boundaries: ids, positions."""
    lengths = packed.boundaries.diff().tolist()
    assert sum(lengths) == packed.input_ids.numel()
    return list(
        zip(packed.input_ids.flatten().split(lengths), packed.position_ids.flatten().split(lengths), strict=True)
    )


@given(
    lengths=st.lists(st.integers(1, 64), min_size=1, max_size=40),
    num_rows=st.integers(1, 3),
    lookahead=st.integers(1, 12),
)
def test_every_sample_appears_once_and_whole(lengths, num_rows, lookahead):
    samples = [sample_of(number, length) for number, length in enumerate(lengths)]
    results = packed_rows(iter(samples), num_rows=num_rows, lookahead=lookahead)
    assert sorted(number for packed in results for number in packed.numbers) == list(range(len(samples)))
    for packed in results:
        found = [(ids.tolist(), positions.tolist()) for ids, positions in conversations(packed)]
        assert all(positions == list(range(len(ids))) for ids, positions in found)
        spoken = [ids for ids, _ in found if set(ids) != {PAD}]
        assert spoken == [samples[number].encoded.input_ids for number in packed.numbers]
        assert packed.media == tuple(f"film of {number}" for number in packed.numbers)
        assert packed.longest == max(len(ids) for ids, _ in found)
        # no conversation goes over a row's end
        assert set(range(0, packed.input_ids.numel() + 1, 64)) <= set(packed.boundaries.tolist())
        assert packed.fill == sum(map(len, spoken)) / packed.input_ids.numel()


@given(lengths=st.lists(st.integers(1, 64), min_size=1, max_size=30))
def test_a_target_is_each_token_that_the_assistant_says_after_the_first_token(lengths):
    samples = [sample_of(number, length) for number, length in enumerate(lengths)]
    for packed in packed_rows(iter(samples), num_rows=2):
        wanted, found = [], []
        for number in packed.numbers:
            encoded = samples[number].encoded
            said = zip(encoded.input_ids, encoded.input_ids[1:], encoded.assistant_mask[1:], strict=False)
            wanted += [(before, token) for before, token, is_said in said if is_said]
        before = packed.input_ids.flatten()[packed.supervised]
        found = list(zip(before.tolist(), packed.targets.tolist(), strict=True))
        assert found == wanted


@given(
    lengths=st.lists(st.integers(1, 64), min_size=1, max_size=40),
    num_rows=st.integers(1, 2),
    lookahead=st.integers(1, 9),
    stop=st.integers(0, 8),
    unreadable=st.sets(st.integers(0, 39)),
    start=st.sampled_from([PackingState(), PackingState(next_number=1, stride=3)]),
)
def test_a_stopped_stream_goes_on_bit_for_bit(lengths, num_rows, lookahead, stop, unreadable, start):
    options = {"num_rows": num_rows, "lookahead": lookahead}

    def stream(numbers, read):
        for number in numbers:
            if number >= len(lengths):
                return
            if number not in unreadable:
                read.append(number)
                yield sample_of(number, lengths[number])

    unbroken = packed_rows(stream(start.numbers(), []), state=start, **options)
    state = unbroken[stop].state if stop < len(unbroken) else start
    # what a checkpoint keeps is small: numbers
    assert len(state.pending) < lookahead or sum(lengths[number] for number in state.pending) < 128
    again = []
    resumed = packed_rows(stream(state.numbers(), again), state=state, **options)
    expected = unbroken[stop + 1 :] if stop < len(unbroken) else unbroken
    assert len(resumed) == len(expected)
    for ours, theirs in zip(resumed, expected, strict=True):
        for field in fields(Packed):
            one, other = getattr(ours, field.name), getattr(theirs, field.name)
            assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    consumed = {number for packed in unbroken[: stop + 1] for number in packed.numbers}
    if stop < len(unbroken):
        assert not consumed & set(again)


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=9))
def test_no_other_choice_fills_a_row_better(lengths):
    chosen = choose(lengths, 30)
    sums = {lengths[0]}
    for length in lengths[1:]:
        sums |= {one + length for one in sums if one + length <= 30}
    assert chosen[0] == 0
    assert len(set(chosen)) == len(chosen)
    assert sum(lengths[place] for place in chosen) == max(sums)


def test_no_sample_waits_longer_than_the_buffer_is_long():
    lengths = [33, *[64] * 50]
    results = packed_rows((sample_of(number, length) for number, length in enumerate(lengths)), lookahead=4)
    assert results[0].numbers == (0,)
    waits = [row - number for row, packed in enumerate(results) for number in packed.numbers]
    assert max(waits) <= 4


def test_rows_come_while_the_stream_is_still_being_read():
    read = []

    def endless():
        number = 0
        while True:
            read.append(number)
            yield sample_of(number, 16)
            number += 1

    rows = pack(endless(), context_tokens=64, pad_id=PAD, placeholder_id=PLACEHOLDER, lookahead=10)
    next(rows)
    assert len(read) == 10
    next(rows)
    assert len(read) == 14


def test_films_of_different_frame_counts_stand_in_order(tiny_processor):
    encoder = tiny_processor.encoder
    from kangaroo.dialogue.conversation import Conversation, Video
    from kangaroo.video.source import VideoSource

    def about(number, *num_frames):
        videos = [Video(VideoSource(f"film-{film}")) for film in range(len(num_frames))]
        encoded = encoder.conversation(Conversation().ask("What is it?", *videos).reply("A ball."), num_frames)
        times = np.concatenate([np.zeros(0), *(np.arange(count) + 10 * number for count in num_frames)])
        return PackingSample(number=number, encoded=encoded, times_s=times.astype(np.float32))

    samples = [about(0, 1), about(1, 6, 3), about(2), about(3, 16)]
    placeholder = tiny_processor.video_token_id
    (packed,) = packed_rows(iter(samples), context_tokens=512, placeholder_id=placeholder)
    counts = {0: (1,), 1: (6, 3), 2: (), 3: (16,)}
    assert sorted(packed.numbers) == [0, 1, 2, 3]
    assert packed.num_frames == tuple(count for number in packed.numbers for count in counts[number])
    wanted = [10 * number + frame for number in packed.numbers for count in counts[number] for frame in range(count)]
    assert packed.times_s.tolist() == wanted
    assert (packed.input_ids.flatten()[packed.placeholders] == placeholder).all()
    assert len(packed.placeholders) == sum(map(encoder.layout.num_visual_tokens, packed.num_frames))


def test_a_sample_longer_than_the_context_is_refused_with_the_arithmetic():
    sample = sample_of(3, 80, num_frames=(16, 2))
    with pytest.raises(ContextError, match=r"sample 3 has 80 tokens \(16 \+ 2 frames.*16 more than the context of 64"):
        packed_rows([sample_of(0, 10), sample])
    with pytest.raises(ContextError, match="no frames of films"):
        check_fits(sample_of(3, 80), context_tokens=64)
    check_fits(sample_of(3, 64), context_tokens=64)


def test_rows_cross_processes_and_are_pinned_whole(monkeypatch):
    class Pixels:
        def __init__(self, is_pinned):
            self.is_pinned = is_pinned

        def pin_memory(self):
            return Pixels(True)

    samples = [replace(sample_of(0, 20), media=Pixels(False)), replace(sample_of(1, 20), media=None)]
    (packed,) = packed_rows(samples)
    arrived = pickle.loads(pickle.dumps(replace(packed, media=())))
    assert torch.equal(arrived.input_ids, packed.input_ids)
    assert arrived.state == packed.state
    pinned = []
    # torch pins only where there is an accelerator
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: pinned.append(self) or self)
    again = packed.pin_memory()
    assert len(pinned) == sum(isinstance(getattr(packed, field.name), torch.Tensor) for field in fields(packed))
    assert again.media[0].is_pinned
    assert again.media[1] is None


def playground_lengths(encoder, stage, frames, num_samples):
    """Tokens of conversations about films drawn as training draws them; nothing is rendered."""
    from kangaroo.playground.rounds import training_rounds
    from kangaroo.playground.script import FilmKind, make_film
    from kangaroo.training.batches import conversation_about

    rng = random.Random(stage.name)
    for _ in range(num_samples):
        num_frames = rng.choices(*zip(*frames, strict=True))[0]
        films = stage.films if num_frames > 1 else replace(stage.films, kind=FilmKind.STILL)
        film = make_film(rng.getrandbits(48), settings=films, duration_s=max(1.0, num_frames - 0.5))
        yield len(
            encoder.conversation(conversation_about(film, training_rounds(film, rng, stage.mixture)), [num_frames])
        )


LONG_FILMS = ((16, 0.3), (64, 0.3), (96, 0.15), (128, 0.15), (160, 0.1))


@pytest.mark.parametrize(
    ("stage", "frames", "image_size_px", "context_tokens"),
    [
        (0, None, 112, 2048),
        (1, None, 112, 8192),
        (2, None, 224, 4096),
        (2, None, 224, 8192),
        (2, LONG_FILMS, 112, 4096),
    ],
)
def test_nineteen_of_twenty_slots_are_filled_on_the_playgrounds_own_lengths(
    stage, frames, image_size_px, context_tokens
):
    from transformers import PreTrainedTokenizerFast

    import kangaroo
    from kangaroo.dialogue.encoding import Encoder
    from kangaroo.model.presets import joey
    from kangaroo.training.curriculum import JOEY

    tokenizer = PreTrainedTokenizerFast.from_pretrained(f"{kangaroo.__path__[0]}/joey")
    encoder = Encoder(tokenizer, joey().layout(image_size_px=image_size_px))
    lengths = list(playground_lengths(encoder, JOEY[stage], frames or JOEY[stage].frames, 200))
    random.Random(0).shuffle(lengths)
    numbered = (sample_of(number, length) for number, length in enumerate(lengths * 2))
    options = {"context_tokens": context_tokens, "pad_id": PAD, "placeholder_id": PLACEHOLDER}
    # the last rows are what is left at the stream's end
    rows = [packed for packed in pack(numbered, **options) if packed.state.next_number < 2 * len(lengths)]
    assert len(rows) > 10
    assert np.mean([packed.fill for packed in rows]) >= 0.95


def test_samples_far_shorter_than_the_context_fill_it_whatever_the_look_ahead():
    results = packed_rows((sample_of(number, 1 + number % 3) for number in range(300)), lookahead=2)
    assert [packed.fill for packed in results[:-1]] == [1.0] * (len(results) - 1)
