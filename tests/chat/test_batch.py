"""Answers join and leave one running batch, and none of them can tell."""

import copy
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import pytest
from taught import ANSWERS, BLUE, FIRST, RED, SECOND

import kangaroo
from kangaroo.chat.answerer import FinishReason, Sampling
from kangaroo.chat.batch import Batch
from kangaroo.chat.generate import Detokenizer
from kangaroo.chat.memory import Memory, Prompt
from kangaroo.errors import OptionError, PromptError


@pytest.fixture
def batch(taught, tiny_processor):
    return Batch(taught, tiny_processor.tokenizer)


@pytest.fixture
def alone(taught, tiny_processor):
    """Return the pieces of an answer that has the model to itself."""
    return lambda prompt, sampling=Sampling(): [
        step.text for step in Batch(taught, tiny_processor.tokenizer).answer(prompt, sampling)
    ]


@pytest.fixture
def gate(taught):
    """Let the language model take only so many more steps, each as it is released."""
    steps = threading.Semaphore(0)
    hook = taught.model.language_model.register_forward_pre_hook(lambda *_: steps.acquire() and None)
    yield steps
    hook.remove()
    steps.release(10_000)
    idle()


def idle():
    """Wait until no batch is at work."""
    for thread in threading.enumerate():
        if thread.name == "kangaroo-batch":
            thread.join(timeout=30)
            assert not thread.is_alive()


@contextmanager
def reading(batch, *asked, gate=None):
    """Iterators of answers that have all joined and handed out a first step; a gate lets through what that takes."""
    answers = [batch.answer(*one) for one in asked]
    with ThreadPoolExecutor(len(answers)) as threads:
        firsts = [threads.submit(next, answer) for answer in answers]
        # one by one: a thread that comes late finds a step taken before it
        while wait(firsts, timeout=0.02 if gate else None).not_done:
            gate.release()
        firsts = [first.result() for first in firsts]
    try:
        yield list(zip(firsts, answers, strict=True))
    finally:
        for answer in answers:
            answer.close()


@pytest.mark.parametrize("seed", range(6))
def test_joins_and_leaves_at_any_moment_change_no_text(taught, tiny_processor, prompts, alone, seed):
    luck = random.Random(seed)
    batch = Batch(taught, tiny_processor.tokenizer, max_rows=luck.choice([1, 2, 5, 16]))
    jobs = []
    for number in range(14):
        warm = Sampling(temperature=1.7, top_p=luck.choice([0.9, 1.0]), seed=number, max_new_tokens=luck.randint(1, 30))
        sampling = luck.choice([Sampling(), Sampling(max_new_tokens=luck.randint(1, 9)), warm])
        prompt = luck.choice(prompts)
        expected = alone(prompt, sampling)
        stays = luck.choice([len(expected), luck.randint(1, len(expected))])
        jobs.append((prompt, sampling, expected, stays, luck.random() / 20))

    def run(job):
        prompt, sampling, expected, stays, delay_s = job
        time.sleep(delay_s)
        steps = batch.answer(prompt, sampling)
        texts = [next(steps).text for _ in range(stays)]
        if stays == len(expected):
            assert next(steps, None) is None
        steps.close()
        return texts == expected[:stays]

    with ThreadPoolExecutor(len(jobs)) as threads:
        assert all(threads.map(run, jobs))
    idle()
    assert batch._slots.lengths == []
    assert batch._rows == []


def test_answers_share_steps(batch, prompts, work):
    with ThreadPoolExecutor(5) as threads:
        said = list(threads.map(lambda prompt: list(batch.answer(prompt)), prompts))
    steps = work.positions.count(1)
    assert max(map(len, said)) - 1 <= steps < sum(map(len, said)) / 2


def test_rounds_of_conversations_stay_warm_in_a_batch(answerer, cold, films, work):
    barrier = threading.Barrier(4)

    def talk(answerer, place, wait):
        session = answerer.chat(films[(RED, BLUE)[place % 2]])
        said = []
        for question in (FIRST, SECOND, FIRST, SECOND)[place // 2 :][:3]:
            wait()
            said.append(session.ask(question).read().text)
        return said

    expected = [talk(cold(), place, lambda: None) for place in range(4)]
    work.forget()
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda place: talk(answerer, place, barrier.wait), range(4))) == expected
    # only the first prompt of each is read whole; the next ones are what was asked since
    prompts = sorted(length for length in work.positions if length > 1)
    assert len(prompts) == 12
    assert max(prompts[:8]) < min(prompts[8:])
    assert work.num_films == 2


def test_leaving_in_the_middle_keeps_what_was_read(batch, prompts, work):
    memory = Memory()
    steps = batch.answer(prompts[0], memory=memory)
    for _ in range(5):
        next(steps)
    steps.close()
    idle()
    assert memory.ids[: len(prompts[0].ids)] == list(prompts[0].ids)
    assert memory.cache.get_seq_length() == len(memory.ids) >= len(prompts[0].ids) + 4
    work.forget()
    assert "".join(step.text for step in batch.answer(prompts[0], memory=memory)) == ANSWERS[RED, FIRST]
    assert work.positions[0] == 1


def test_closing_frees_the_slot_at_the_next_step(taught, tiny_processor, prompts, gate):
    batch = Batch(taught, tiny_processor.tokenizer, max_rows=1)
    first = batch.answer(prompts[0])
    gate.release(3)
    for _ in range(3):
        next(first)
    with ThreadPoolExecutor(1) as threads:
        second = threads.submit(lambda: next(batch.answer(prompts[2])))
        time.sleep(0.1)
        assert not second.done()
        first.close()
        # one for the step that was under way, one to read the second prompt
        gate.release(2)
        assert second.result(timeout=10).finish_reason is None


def test_a_reader_that_never_reads_holds_nobody_up(batch, prompts, alone):
    most = Sampling(temperature=3.0, seed=1, max_new_tokens=40)
    expected = alone(prompts[1], most)
    with reading(batch, (prompts[1], most), (prompts[0],)) as ((first, slow), (other, quick)):
        assert other.text + "".join(step.text for step in quick) == ANSWERS[RED, FIRST]
        idle()
        assert slow.gi_frame.f_locals["row"].steps.qsize() == len(expected) - 1 < most.max_new_tokens
        assert [first.text, *(step.text for step in slow)] == expected


def test_a_prompt_that_cannot_be_read_fails_alone(batch, prompts):
    broken = Prompt(ids=prompts[0].ids, films=[copy.copy(prompts[1].films[0])])
    with reading(batch, (prompts[0],), (prompts[3],)) as answers:
        with pytest.raises(PromptError, match="feature rows"):
            next(batch.answer(broken))
        assert answers[0][0].text + "".join(step.text for step in answers[0][1]) == ANSWERS[RED, FIRST]


def test_a_row_that_explodes_hurts_no_other(batch, prompts, alone, monkeypatch):
    push = Detokenizer.push

    def explode(self, id):
        if self._stop == ("boom",) and self._held == "" and self._fuse():
            raise ZeroDivisionError
        return push(self, id)

    fuse = iter([False] * 3)
    monkeypatch.setattr(Detokenizer, "push", explode)
    monkeypatch.setattr(Detokenizer, "_fuse", lambda _: next(fuse, True), raising=False)
    expected = [alone(prompt) for prompt in prompts[:2]]
    memory = Memory()

    def run(prompt, sampling):
        try:
            return [step.text for step in batch.answer(prompt, sampling, memory=memory if sampling.stop else None)]
        except ZeroDivisionError:
            return None

    with ThreadPoolExecutor(3) as threads:
        samplings = Sampling(), Sampling(), Sampling(stop=("boom",))
        assert list(threads.map(run, [*prompts[:2], prompts[0]], samplings)) == [*expected, None]
    idle()
    assert memory.ids == []
    assert "".join(run(prompts[0], Sampling(stop=("never",)))) == ANSWERS[RED, FIRST]


def test_an_error_of_the_model_reaches_all_who_are_in_and_nobody_after(batch, taught, prompts, gate, alone):
    with reading(batch, (prompts[0],), (prompts[1],), (prompts[2],), gate=gate) as answers:
        hook = taught.model.language_model.register_forward_pre_hook(broken)
        gate.release(1000)
        for _, steps in answers:
            with pytest.raises(RuntimeError, match="the card fell out"):
                list(steps)
        hook.remove()
    assert "".join(step.text for step in batch.answer(prompts[0])) == ANSWERS[RED, FIRST]


def broken(*_):
    raise RuntimeError("the card fell out")


def test_a_row_too_large_for_memory_fails_alone(taught, tiny_processor, prompts):
    endless = copy.deepcopy(taught)
    endless.config.text_config.max_position_embeddings = 1 << 45
    batch = Batch(endless, tiny_processor.tokenizer)
    with reading(batch, (prompts[0],), (prompts[1],)) as answers:
        huge = batch.answer(prompts[2], Sampling(max_new_tokens=1 << 44))
        with pytest.raises(RuntimeError, match=r"memory|size|overflow"):
            list(huge)
        assert answers[0][0].text + "".join(step.text for step in answers[0][1]) == ANSWERS[RED, FIRST]
    assert "".join(step.text for step in batch.answer(prompts[0])) == ANSWERS[RED, FIRST]


def test_an_answer_may_be_closed_by_another_thread(answerer, films, gate):
    session = answerer.chat(films[RED])
    gate.release(2)
    answer = session.ask(FIRST)
    with ThreadPoolExecutor(1) as threads:
        reader = threads.submit(list, answer)
        while answer.new_tokens < 2:
            time.sleep(0.01)
        said = answer.text
        answer.close()
        gate.release(1000)
        reader.result(timeout=10)
    assert (answer.text, answer.finish_reason) == (said, FinishReason.CANCELLED)
    idle()
    assert session.regenerate().read().text == ANSWERS[RED, FIRST]


def test_joey_says_in_a_batch_what_it_says_alone():
    joey = kangaroo.load(device="cpu")
    film = Path(__file__).parents[2] / "examples" / "kangaroo.mp4"
    questions = ["What happens?", "Which shapes are there?", "一共有几个形状？", "How many?", "Why?"]
    jobs = [(question, num_frames) for question in questions for num_frames in (None, 4)][:8]

    def ask(job):
        session = joey.chat(None if job[1] is None else film, num_frames=job[1], sampling=Sampling(max_new_tokens=20))
        return [session.ask(job[0]).read().text, session.ask("Are you sure?").read().text]

    expected = list(map(ask, jobs))
    assert len({text for own in expected for text in own}) > 5
    with ThreadPoolExecutor(len(jobs)) as threads:
        assert list(threads.map(ask, jobs)) == expected


def test_a_batch_of_no_answers_is_refused():
    with pytest.raises(OptionError, match="0 answers"):
        kangaroo.load(device="cpu", max_rows=0)
