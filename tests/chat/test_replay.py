"""On a GPU a batch's steps are recorded and replayed; whoever joins or leaves, each says what it says alone."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import kangaroo
from kangaroo.chat.answerer import Sampling
from kangaroo.chat.generate import Reader
from kangaroo.chat.memory import Memory, Prompt
from kangaroo.chat.slots import Slots
from kangaroo.model.fast_llama import fast_llama

pytestmark = pytest.mark.gpu
FILM = "examples/kangaroo.mp4"


@pytest.fixture(scope="module")
def joey():
    return kangaroo.load("joey", device="cuda")


@torch.inference_mode()
def test_logits_are_those_of_the_plain_step_while_rows_come_and_go(joey):
    reader = Reader(joey.model, fast=fast_llama(joey.model.model.language_model))
    plain = Reader(joey.model)
    ours, theirs = Slots(), Slots()

    def put(length):
        # words: none of them opens a film
        prompt = Prompt(ids=[300 + place % 90 for place in range(length)])
        for slots in (ours, theirs):
            memory = Memory()
            reader.read(prompt, memory)
            slots.put(memory.cache, room=length + 40)

    def step(times):
        for number in range(times):
            ids = [310 + number + row for row in range(len(ours.lengths))]
            found = reader.read_on(ids, ours).clone()
            expected = plain.read_on(ids, theirs)
            known = expected.isfinite()
            assert torch.equal(found.isfinite(), known)
            torch.testing.assert_close(found[known], expected[known], rtol=0.05, atol=0.15)

    put(20)
    step(5)
    put(700)
    step(5)
    for slots in (ours, theirs):
        slots.drop(0)
    step(5)
    put(3)
    step(5)
    recorded = dict(reader._replay._recorded)
    assert set(recorded) >= {1, 2}
    # another in the place of one that left: in the same buffers nothing is recorded anew
    for slots in (ours, theirs):
        slots.drop(1)
    step(3)
    put(9)
    step(3)
    assert all(reader._replay._recorded[rows] is one for rows, one in recorded.items() if one is not None)
    assert recorded[2] is not None
    # as after an error; what was recorded reads other memory
    ours, theirs = Slots(), Slots()
    put(30)
    step(5)


def test_many_at_once_say_what_they_say_alone(joey):
    asked = [
        "What happens in the film?",
        "How many objects are there?",
        "影片里发生了什么？",
        "What colour is the hexagon?",
    ]
    brief = Sampling(max_new_tokens=24)
    alone = [joey.chat(FILM).ask(question, sampling=brief).read().text for question in asked]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda one: joey.chat(FILM).ask(one, sampling=brief).read().text, asked * 4))
    # nearly equal words may change places in half precision, which is seldom
    alike = sum(one == other for one, other in zip(together, alone * 4, strict=True))
    assert alike >= 14
