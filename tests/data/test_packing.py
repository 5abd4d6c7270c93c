import pickle
import random
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kangaroo.data.packing import PackingSample, PackingState, Row, check_fits, choose, join, pack
from kangaroo.dialogue.encoding import Encoded
from kangaroo.errors import ContextError

PAD, PLACEHOLDER = 1, 9


def sample_of(number, length, num_frames=()):
    """Each id, mask and time says whose it is."""
    words = random.Random(number)
    return PackingSample(
        number=number,
        conversations=(
            Encoded(
                input_ids=[100 * number + 10 + words.randrange(90) for _ in range(length)],
                assistant_mask=[words.random() < 0.4 for _ in range(length)],
                num_frames=list(num_frames),
            ),
        ),
        times_s=np.arange(sum(num_frames), dtype=np.float32) + number,
        media=f"film of {number}",
        weight=number + 1.0,
    )


def packed_rows(samples, **options):
    options = {"context_tokens": 64, "pad_id": PAD, "placeholder_id": PLACEHOLDER, **options}
    return list(pack(samples, **options))


def conversations(row):
    """Return ids and positions of each conversation, and of the padding."""
    ends = np.cumsum(row.lengths)
    assert ends[-1] == len(row.input_ids)
    return list(zip(np.split(row.input_ids, ends[:-1]), np.split(row.position_ids, ends[:-1]), strict=True))


lengths_of_samples = st.lists(st.integers(1, 64), min_size=1, max_size=40)


@given(lengths=lengths_of_samples, lookahead=st.integers(1, 12))
def test_every_sample_appears_once_and_whole(lengths, lookahead):
    samples = [sample_of(number, length) for number, length in enumerate(lengths)]
    rows = packed_rows(iter(samples), lookahead=lookahead)
    assert sorted(number for row in rows for number in row.numbers) == list(range(len(samples)))
    for row in rows:
        assert len(row.input_ids) == 64
        found = [(ids.tolist(), positions.tolist()) for ids, positions in conversations(row)]
        assert all(positions == list(range(len(ids))) for ids, positions in found)
        spoken = [ids for ids, _ in found if set(ids) != {PAD}]
        assert spoken == [samples[number].conversations[0].input_ids for number in row.numbers]
        assert row.media == tuple(f"film of {number}" for number in row.numbers)
        assert row.fill == sum(map(len, spoken)) / 64


@given(lengths=lengths_of_samples, num_rows=st.integers(1, 3))
def test_a_target_is_each_token_that_the_assistant_says_later_and_weighs_what_its_sample_does(lengths, num_rows):
    samples = [sample_of(number, length) for number, length in enumerate(lengths)]
    rows = packed_rows(iter(samples))
    for start in range(0, len(rows), num_rows):
        together = rows[start : start + num_rows]
        packed, wanted = join(together), []
        for number in (number for row in together for number in row.numbers):
            (encoded,) = samples[number].conversations
            said = zip(encoded.input_ids, encoded.input_ids[1:], encoded.assistant_mask[1:], strict=False)
            wanted += [(before, token, number + 1.0) for before, token, is_said in said if is_said]
        before = packed.input_ids.flatten()[packed.supervised]
        assert list(zip(before.tolist(), packed.targets.tolist(), packed.weights.tolist(), strict=True)) == wanted


@given(
    lengths=lengths_of_samples,
    lookahead=st.integers(1, 9),
    stop=st.integers(0, 8),
    unreadable=st.sets(st.integers(0, 39)),
    start=st.sampled_from([PackingState(), PackingState(next_number=1, stride=3)]),
)
def test_a_stopped_stream_goes_on_bit_for_bit(lengths, lookahead, stop, unreadable, start):
    def stream(numbers, read):
        for number in numbers:
            if number >= len(lengths):
                return
            if number not in unreadable:
                read.append(number)
                yield sample_of(number, lengths[number])

    unbroken = packed_rows(stream(start.numbers(), []), state=start, lookahead=lookahead)
    state = unbroken[stop].state if stop < len(unbroken) else start
    # what a checkpoint keeps is small: numbers
    assert len(state.pending) < lookahead or sum(lengths[number] for number in state.pending) < 3 * 64
    again = []
    resumed = packed_rows(stream(state.numbers(), again), state=state, lookahead=lookahead)
    expected = unbroken[stop + 1 :] if stop < len(unbroken) else unbroken
    assert len(resumed) == len(expected)
    for ours, theirs in zip(resumed, expected, strict=True):
        for field in fields(Row):
            np.testing.assert_array_equal(getattr(ours, field.name), getattr(theirs, field.name))
    consumed = {number for row in unbroken[: stop + 1] for number in row.numbers}
    if stop < len(unbroken):
        assert not consumed & set(again)


@given(lengths=lengths_of_samples)
def test_rows_laid_end_to_end_count_on_over_one_another(lengths):
    rows = packed_rows(sample_of(number, length) for number, length in enumerate(lengths))
    packed = join(rows)
    assert packed.boundaries[0] == 0
    assert packed.boundaries.diff().tolist() == [length for row in rows for length in row.lengths]
    # no conversation goes over a row's end
    assert set(range(0, packed.input_ids.numel() + 1, 64)) <= set(packed.boundaries.tolist())
    assert packed.longest == max(length for row in rows for length in row.lengths)
    assert packed.media == tuple(medium for row in rows for medium in row.media)
    assert packed.times_s.tolist() == np.concatenate([row.times_s for row in rows]).tolist()


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
        return PackingSample(number=number, conversations=(encoded,), times_s=times.astype(np.float32))

    samples = [about(0, 1), about(1, 6, 3), about(2), about(3, 16)]
    placeholder = tiny_processor.video_token_id
    rows = packed_rows(iter(samples), context_tokens=512, placeholder_id=placeholder)
    packed = join(rows)
    counts = {0: (1,), 1: (6, 3), 2: (), 3: (16,)}
    order = [number for row in rows for number in row.numbers]
    assert sorted(order) == [0, 1, 2, 3]
    assert packed.num_frames == tuple(count for number in order for count in counts[number])
    wanted = [10 * number + frame for number in order for count in counts[number] for frame in range(count)]
    assert packed.times_s.tolist() == wanted
    assert (packed.input_ids.flatten()[packed.placeholders] == placeholder).all()
    assert len(packed.placeholders) == sum(map(encoder.layout.num_visual_tokens, packed.num_frames))
    assert packed.feature_rows.tolist() == list(range(len(packed.placeholders)))


def test_conversations_about_one_film_take_the_same_rows_of_it(tiny_processor):
    encoder = tiny_processor.encoder
    from kangaroo.dialogue.conversation import Conversation, Video
    from kangaroo.video.source import VideoSource

    def about(number, num_frames, *questions):
        asked = [Conversation().ask(words, Video(VideoSource("film"))).reply("A ball.") for words in questions]
        return PackingSample(
            number=number,
            conversations=tuple(encoder.conversation(one, [num_frames]) for one in asked),
            times_s=np.arange(num_frames, dtype=np.float32),
        )

    samples = [about(0, 4, "What is it?", "Which one?", "Why?"), about(1, 2, "Where is it?", "And now?")]
    (row,) = packed_rows(iter(samples), context_tokens=512, placeholder_id=tiny_processor.video_token_id)
    packed = join([row, row])
    long, short = (encoder.layout.num_visual_tokens(count) for count in (4, 2))
    assert packed.num_frames == (4, 2, 4, 2)
    shown = [*range(long)] * 3 + [*range(long, long + short)] * 2
    assert packed.feature_rows.tolist() == [*shown, *(place + long + short for place in shown)]
    # each conversation is one on its own: it begins at position 0 and sees no other
    begun = packed.position_ids.flatten()[packed.boundaries[:-1].long()]
    assert begun.tolist() == [0] * 12
    assert list(row.lengths[:-1]) == [len(one) for sample in samples for one in sample.conversations]


def test_conversations_of_a_sample_are_about_the_same_films():
    with pytest.raises(AssertionError, match="not about the same films"):
        replace(sample_of(0, 5, [2]), conversations=(Encoded(num_frames=[2]), Encoded(num_frames=[3])))


def test_a_sample_longer_than_the_context_is_refused_with_the_arithmetic():
    sample = sample_of(3, 80, num_frames=(16, 2))
    with pytest.raises(ContextError, match=r"sample 3 has 80 tokens \(16 \+ 2 frames.*16 more than the context of 64"):
        packed_rows([sample_of(0, 10), sample])
    with pytest.raises(ContextError, match="no frames of films"):
        check_fits(sample_of(3, 80), context_tokens=64)
    check_fits(sample_of(3, 64), context_tokens=64)


def test_a_row_crosses_processes_whole():
    (row,) = packed_rows([sample_of(0, 20), sample_of(1, 20)])
    arrived = pickle.loads(pickle.dumps(row))
    for field in fields(Row):
        np.testing.assert_array_equal(getattr(arrived, field.name), getattr(row, field.name))


def test_samples_far_shorter_than_the_context_fill_it_whatever_the_look_ahead():
    results = packed_rows((sample_of(number, 1 + number % 3) for number in range(300)), lookahead=2)
    assert [packed.fill for packed in results[:-1]] == [1.0] * (len(results) - 1)
