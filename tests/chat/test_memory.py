"""What a memory and a new prompt begin with in common is kept, and nothing else."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.cache_utils import DynamicCache

from kangaroo.chat.cache import GrowingCache
from kangaroo.chat.features import FilmFeatures
from kangaroo.chat.memory import Memory, Prompt

START = 9


def film(key):
    return FilmFeatures(key=key, rows=torch.zeros(1, 2), times_s=(0.0,), notes=())


def remembering(ids, *films):
    memory = Memory(ids=list(ids), films=list(films))
    memory.cache.update(torch.zeros(1, 1, len(ids), 2), torch.zeros(1, 1, len(ids), 2), 0)
    return memory


@pytest.mark.parametrize(
    ("ids", "films", "read", "shown"),
    [
        ([1, START, 2, 3, 4], "a", [4], ""),  # goes on
        ([1, START, 2, 3], "a", [3], ""),  # the last word is always read, for what follows it
        ([1, START, 2], "a", [2], ""),  # told anew from an earlier word
        ([1, START, 5, 3, 4], "a", [5, 3, 4], ""),  # other words
        ([1, START, 2, 3, 4], "b", [START, 2, 3, 4], "b"),  # another film under the same placeholders
        ([1, START, 2, 3, START, 7], "ab", [START, 7], "b"),  # one more film
        ([6, START, 2], "a", [6, START, 2], "a"),  # nothing in common
    ],
)
def test_what_must_be_read(ids, films, read, shown):
    memory = remembering([1, START, 2, 3], "a")
    rest = memory.recall(Prompt(ids=ids, films=[film(key) for key in films]), film_start_id=START)
    assert (list(rest.ids), "".join(own.key for own in rest.films)) == (read, shown)
    assert memory.ids == ids[: len(ids) - len(read)]
    assert memory.cache.get_seq_length() == len(memory.ids)
    assert "".join(memory.films) + shown == films


@given(st.lists(st.sampled_from([1, 2]), min_size=1, max_size=8), st.lists(st.sampled_from([1, 2]), min_size=1))
def test_memory_and_rest_are_the_prompt(before, ids):
    memory = remembering(before)
    rest = memory.recall(Prompt(ids=ids), film_start_id=START)
    assert memory.ids + list(rest.ids) == ids
    assert rest.ids
    assert memory.cache.get_seq_length() == len(memory.ids)


def states(seed, length, rows=2):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 3, length, 4, generator=random)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=5))
def test_a_growing_cache_gives_what_transformers_cache_gives(lengths):
    ours, theirs = GrowingCache(), DynamicCache()
    for seed, length in enumerate(lengths):
        for layer in (0, 1):
            given_states = states(seed, length), states(seed + 100, length)
            for own, other in zip(ours.update(*given_states, layer), theirs.update(*given_states, layer), strict=True):
                assert torch.equal(own, other)
    assert ours.get_seq_length() == theirs.get_seq_length() == sum(lengths)


def test_forgetting_makes_room_for_other_words_and_keeps_the_first():
    cache = GrowingCache()
    first, second = states(0, 5), states(1, 3)
    cache.update(first, first, 0)
    cache.keep_first(2)
    keys, values = cache.update(second, second, 0)
    assert torch.equal(keys, torch.cat([first[..., :2, :], second], dim=-2))
    assert torch.equal(values, keys)
