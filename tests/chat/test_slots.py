"""Rows of different lengths come, grow and go, and each attends to its own keys alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from kangaroo.chat import slots as module
from kangaroo.chat.cache import GrowingCache
from kangaroo.chat.slots import Slots

LAYERS, HEADS, GROUPS, WIDTH = 2, 6, 3, 8


class Plain:
    """What slots must equal: each row's keys and values in tensors of their own, attention written out."""

    def __init__(self):
        self.rows = []

    def attend(self, query, keys, values, layer):
        gathered = []
        for row, states in enumerate(self.rows):
            states[layer] = [
                torch.cat([old, new[row : row + 1]], dim=2)
                for old, new in zip(states[layer], (keys, values), strict=True)
            ]
            own = [each.repeat_interleave(HEADS // GROUPS, dim=1) for each in states[layer]]
            gathered.append(F.scaled_dot_product_attention(query[row : row + 1], *own))
        return torch.cat(gathered).transpose(1, 2)


class Pair:
    """Slots and their plain double, given the same."""

    def __init__(self, device="cpu", dtype=torch.float32):
        self.slots, self.plain = Slots(), Plain()
        self.random = torch.Generator().manual_seed(0)
        self.as_given = {"device": device, "dtype": dtype}

    def draw(self, *shape):
        return torch.randn(*shape, generator=self.random).to(**self.as_given)

    def put(self, length, room):
        states = [[self.draw(1, GROUPS, length, WIDTH) for _ in "kv"] for _ in range(LAYERS)]
        cache = GrowingCache()
        for layer, (keys, values) in enumerate(states):
            cache.update(keys, values, layer)
        self.slots.put(cache, room=room)
        assert not cache.layers
        self.plain.rows.append(states)

    def step(self):
        rows = len(self.plain.rows)
        inputs = self.slots.inputs()
        assert inputs["position_ids"].tolist() == [[own[0][0].shape[2]] for own in self.plain.rows]
        for layer in range(LAYERS):
            query = self.draw(rows, HEADS, 1, WIDTH)
            keys, values = self.draw(rows, GROUPS, 1, WIDTH), self.draw(rows, GROUPS, 1, WIDTH)
            gathered = self.slots.attend(query, *self.slots.update(keys, values, layer), scaling=None)
            expected = self.plain.attend(query, keys, values, layer)
            # in half precision a mean of many values that cancel out keeps the rounding of each
            near = {} if query.dtype is torch.float32 else {"atol": 1e-3, "rtol": 2e-2}
            torch.testing.assert_close(gathered, expected, **near)
        self.slots.advance()

    def drop(self, row):
        cache, states = self.slots.take(row), self.plain.rows[row]
        self.slots.drop(row)
        for layer, own in zip(cache.layers, states, strict=True):
            assert torch.equal(layer.keys, own[0])
            assert torch.equal(layer.values, own[1])
        last = self.plain.rows.pop()
        if last is not states:
            self.plain.rows[row] = last

    def happens(self, one):
        """Put a row of a whole number's length, drop the row at a share of all, or step; what cannot be is left out."""
        rows = len(self.plain.rows)
        if isinstance(one, int):
            self.put(one, room=one + 40)
        elif rows and one is not None:
            self.drop(int(one * rows))
        elif rows:
            self.step()


happenings = st.lists(st.one_of(st.integers(1, 700), st.floats(0, 0.99), st.none()), max_size=16)


@given(happenings)
def test_every_row_attends_to_what_it_has_read(happened):
    pair = Pair()
    for one in happened:
        pair.happens(one)
        assert pair.slots.lengths == [own[0][0].shape[2] for own in pair.plain.rows]


def test_a_step_moves_no_buffer_and_the_last_row_takes_all_memory_along():
    pair = Pair()
    pair.put(250, room=300)
    places = [buffer.data_ptr() for layer in pair.slots.layers for buffer in layer]
    for _ in range(50):
        pair.step()
    assert places == [buffer.data_ptr() for layer in pair.slots.layers for buffer in layer]
    taken = pair.slots.take(0)
    assert places == [each.data_ptr() for layer in taken.layers for each in (layer.keys, layer.values)]
    pair.drop(0)
    assert not pair.slots.layers


def test_a_row_takes_no_more_room_along_than_it_fills():
    pair = Pair()
    pair.put(250, room=5000)
    kept = pair.slots.take(0)
    assert all(len(layer.keys.untyped_storage()) == layer.keys.nbytes for layer in kept.layers)


def test_what_was_taken_is_not_what_later_rows_write_to():
    pair = Pair()
    pair.put(250, room=300)
    taken = pair.slots.take(0)
    before = [layer.keys.clone() for layer in taken.layers]
    pair.drop(0)
    for length in (30, 9):
        pair.put(length, room=60)
        pair.step()
    assert all(torch.equal(layer.keys, old) for layer, old in zip(taken.layers, before, strict=True))


@given(happenings)
def test_while_its_number_stays_no_buffer_moves_or_is_another(happened):
    lie_at, kept = {}, []
    pairs = [Pair(), Pair()]
    for number, one in enumerate(happened):
        pair = pairs[number % 2]
        pair.happens(one)
        slots = pair.slots
        if slots.lengths:
            own = [slots.positions, slots.seen, *(buffer for layer in slots.layers for buffer in layer)]
            kept.append(own)  # so that no other is given the same place
            places = [each.data_ptr() for each in own]
            assert lie_at.setdefault(slots.buffers, places) == places
            assert slots.positions.tolist() == slots.lengths
            assert (slots.seen - 1).tolist() == slots.lengths
    assert len({tuple(places) for places in lie_at.values()}) == len(lie_at)


def test_rows_that_come_and_go_move_no_buffer_that_has_room_for_them():
    pair = Pair()
    for length in (250, 30):
        pair.put(length, room=300)
    before = pair.slots.buffers
    pair.step()
    pair.drop(0)
    pair.put(20, room=200)
    assert pair.slots.buffers == before
    pair.put(20, room=200)
    assert pair.slots.buffers != before


@pytest.mark.parametrize("failing", range(2 * LAYERS))
def test_a_row_without_memory_leaves_the_others_as_they_were(monkeypatch, failing):
    pair = Pair()
    for length in (30, 9):
        pair.put(length, room=60)
    pair.step()
    make, calls = module._buffer, []

    def short(*args):
        calls.append(args)
        if len(calls) == failing + 1:
            raise torch.OutOfMemoryError("no more")
        return make(*args)

    monkeypatch.setattr(module, "_buffer", short)
    with pytest.raises(torch.OutOfMemoryError):
        pair.put(5, room=1000)
    pair.plain.rows = pair.plain.rows[:2]
    pair.step()
    pair.put(6, room=900)
    pair.step()
    pair.drop(0)
    pair.step()


def test_a_first_row_without_memory_leaves_room_for_another(monkeypatch):
    def short(*_):
        raise torch.OutOfMemoryError("no more")

    pair = Pair()
    with monkeypatch.context() as patch:
        patch.setattr(module, "_buffer", short)
        with pytest.raises(torch.OutOfMemoryError):
            pair.put(5, room=10)
    pair.put(6, room=900)
    pair.step()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_one_kernel_for_all_rows_gathers_what_each_gathers_alone(dtype):
    pair = Pair("cuda", dtype)
    for length in (3000, 5, 700, 1):
        pair.put(length, room=length + 50)
        pair.step()
    for row in (3, 0, 1):
        pair.drop(row)
        pair.step()
