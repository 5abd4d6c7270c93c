"""What is said depends on the prompt and its own sampling alone: neighbours, caches and seeds change nothing else."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from taught import ANSWERS, BLUE, FIRST, RED, SECOND, film

from kangaroo.chat.answerer import FinishReason, Sampling
from kangaroo.chat.batch import Batch
from kangaroo.chat.generate import Reader, score_continuations
from kangaroo.chat.memory import Memory
from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import ContextError


@pytest.fixture
def say(taught, tiny_processor):
    """Return (text, tokens, reason) of each row."""

    def run(prompts, sampling=Sampling(), *, model=taught, memory=None):
        batch = Batch(model, tiny_processor.tokenizer)

        def one(prompt, own):
            steps = list(batch.answer(prompt, own, memory=memory))
            assert all(step.finish_reason is None for step in steps[:-1]), "a row went on after its end"
            return "".join(step.text for step in steps), len(steps), steps[-1].finish_reason

        each = [sampling] * len(prompts) if isinstance(sampling, Sampling) else sampling
        with ThreadPoolExecutor(len(prompts)) as threads:
            return list(threads.map(one, prompts, each))

    return run


def spoken_ids(prompt, memory):
    """What a memory read after its prompt: every word that was said but the last."""
    assert memory.ids[: len(prompt.ids)] == list(prompt.ids)
    return memory.ids[len(prompt.ids) :]


def test_a_batch_says_what_each_row_says_alone(say, prompts):
    assert say(prompts) == [say([prompt])[0] for prompt in prompts]
    assert len({tokens for _, tokens, _ in say(prompts)}) > 2


def test_the_cache_says_what_reading_all_anew_for_each_word_says(taught, say, prompts):
    banned = sorted(taught.config.visual_token_ids.values())
    for prompt in prompts:
        ids = list(prompt.ids)
        rows = torch.cat([own.rows for own in prompt.films]) if prompt.films else None
        while len(ids) < len(prompt.ids) + 20:
            with torch.inference_mode():
                embeds = taught.model.embed(torch.tensor([ids]), rows)
                logits = taught.lm_head(taught.model.language_model(inputs_embeds=embeds).last_hidden_state[0, -1])
                logits[banned] = float("-inf")
            ids.append(int(logits.argmax()))
            if ids[-1] in taught.config.text_config.eos_token_id:
                break
        memory = Memory()
        say([prompt], Sampling(max_new_tokens=20), memory=memory)
        assert spoken_ids(prompt, memory) == ids[len(prompt.ids) : -1]


def test_transformers_generate_says_the_same(taught, tiny_processor, say, prompt_of):
    conversation = Conversation().ask(FIRST, film(BLUE, 7))
    (text, tokens, _), *_ = say([prompt_of(conversation)])
    messages = [
        {
            "role": "user",
            "content": [{"type": "video", "video": film(BLUE, 7).source}, {"type": "text", "text": FIRST}],
        }
    ]
    inputs = tiny_processor.apply_chat_template(
        messages, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    ids = taught.generate(**inputs, do_sample=False, max_new_tokens=60, pad_token_id=1)[
        0, inputs["input_ids"].shape[1] :
    ]
    assert tiny_processor.decode(ids, skip_special_tokens=True) == text == ANSWERS[BLUE, FIRST]
    assert len(ids) == tokens


def test_a_seed_gives_one_text_whatever_its_neighbours_are(say, prompts):
    warm = Sampling(temperature=1.8, top_p=0.95, seed=11, max_new_tokens=24)
    others = [Sampling(temperature=1.0, seed=place, max_new_tokens=9) for place in range(len(prompts))]
    for place, prompt in enumerate(prompts):
        alone = say([prompt], warm)[0]
        assert say([prompt], warm)[0] == alone
        assert say(prompts, [*others[:place], warm, *others[place + 1 :]])[place] == alone


def test_other_seeds_say_other_things(say, prompts):
    said = {say(prompts[:1], Sampling(temperature=1.8, seed=seed, max_new_tokens=24))[0][0] for seed in range(8)}
    assert len(said) > 4
    unseeded = {say(prompts[:1], Sampling(temperature=1.8, max_new_tokens=24))[0][0] for _ in range(8)}
    assert len(unseeded) > 4


@pytest.mark.parametrize("cautious", [{"temperature": 1e-300}, {"temperature": 2.0, "top_p": 1e-9}])
def test_picks_without_a_choice_are_greedy(say, prompts, cautious):
    greedy = say(prompts, Sampling(max_new_tokens=30))
    assert say(prompts, Sampling(max_new_tokens=30, seed=1, **cautious)) == greedy


@pytest.mark.parametrize("stop", ["left, then", "e", "ar comes", "A red"])
def test_an_answer_ends_before_its_stop_string(say, prompts, stop):
    text, _, reason = say(prompts[:1], Sampling(stop=(stop, "never said")))[0]
    assert text == ANSWERS[RED, FIRST].partition(stop)[0]
    assert reason is FinishReason.STOP
    others = say(prompts[1:])
    assert say(prompts, [Sampling(stop=(stop,)), *[Sampling()] * len(others)])[1:] == others


def test_the_start_of_a_stop_string_that_never_ends_is_said(say, prompts):
    assert say(prompts[:1], Sampling(stop=("comes in.!",)))[0][0] == ANSWERS[RED, FIRST]


def test_characters_of_several_tokens_are_said_whole(taught, tiny_processor, prompt_of):
    prompt = prompt_of(Conversation().ask(SECOND, film(RED)))
    steps = list(Batch(taught, tiny_processor.tokenizer).answer(prompt))
    assert "".join(step.text for step in steps) == ANSWERS[RED, SECOND]
    assert sum(not step.text for step in steps) > 4, "every character was one token, so nothing was tested"
    assert all("�" not in step.text for step in steps)


def test_half_a_character_at_the_end_is_a_mark_and_never_bytes(say, prompt_of):
    prompt = prompt_of(Conversation().ask(SECOND, film(RED)))
    texts = [say([prompt], Sampling(max_new_tokens=most))[0][0] for most in range(1, 16)]
    for text in texts:
        assert ANSWERS[RED, SECOND].startswith(text.rstrip("�"))
    assert any(text.endswith("�") for text in texts)


@pytest.mark.parametrize(
    "sampling", [Sampling(max_new_tokens=40), Sampling(temperature=3.0, seed=5, max_new_tokens=40)]
)
def test_visual_tokens_are_never_said(taught, say, prompt_of, sampling):
    prompt = prompt_of(Conversation().ask(FIRST, film(RED)))
    banned = sorted(taught.config.visual_token_ids.values())
    flooded = copy.deepcopy(taught)
    with torch.no_grad():
        # whatever the state is, one of these two points along it
        table = flooded.lm_head.weight
        table[banned[0]] = 1000.0
        table[banned[1]] = -1000.0
    memory = Memory()
    with torch.inference_mode():
        state = flooded.model.language_model(inputs_embeds=flooded.model.embed(torch.tensor([[5]]), None))
        assert int(flooded.lm_head(state.last_hidden_state[0, -1]).argmax()) in banned
    say([prompt], sampling, model=flooded, memory=memory)
    said = spoken_ids(prompt, memory)
    assert len(said) > 2
    assert not set(said) & set(banned)


def test_an_answer_is_no_longer_than_asked_or_than_the_context(taught, say, prompt_of):
    prompt = prompt_of(Conversation().ask(FIRST, film(RED)))
    assert say([prompt], Sampling(max_new_tokens=3))[0][1:] == (3, FinishReason.LENGTH)
    narrow = copy.deepcopy(taught)
    narrow.config.text_config.max_position_embeddings = len(prompt.ids) + 5
    assert say([prompt], model=narrow)[0][1:] == (5, FinishReason.LENGTH)
    narrow.config.text_config.max_position_embeddings = len(prompt.ids)
    with pytest.raises(ContextError, match=f"{len(prompt.ids)} tokens"):
        say([prompt], model=narrow)


def teacher_forced(model, prompt, ids):
    """The log-likelihood by one whole forward pass without a cache."""
    rows = torch.cat([own.rows for own in prompt.films]) if prompt.films else None
    whole = torch.tensor([[*prompt.ids, *ids]])
    with torch.inference_mode():
        states = model.model.language_model(inputs_embeds=model.model.embed(whole, rows)).last_hidden_state[0]
        logits = model.lm_head(states[len(prompt.ids) - 1 : -1]).double()
        logits[:, sorted(model.config.visual_token_ids.values())] = float("-inf")
    chances = logits.log_softmax(dim=-1)
    return sum(float(chances[place, id]) for place, id in enumerate(ids))


def test_a_score_is_the_teacher_forced_likelihood(taught, tiny_processor, prompts):
    words = ["A", "B", ANSWERS[RED, FIRST], ANSWERS[BLUE, FIRST], "两只鹅", ""]
    ids = [tiny_processor.encoder.text(word) for word in words]
    for prompt in prompts:
        expected = [teacher_forced(taught, prompt, own) for own in ids]
        for most_bytes in (0, 1 << 30):
            found = score_continuations(Reader(taught), prompt, ids, most_bytes=most_bytes)
            assert [one.nats for one in found] == pytest.approx(expected, rel=1e-5, abs=1e-4)
            assert [one.num_tokens for one in found] == list(map(len, ids))
    assert score_continuations(Reader(taught), prompts[0], []) == []


def test_continuations_are_read_together_as_copies_of_the_prompt_fit_into_memory(taught, prompts, monkeypatch):
    read = []
    layers = taught.model.language_model.forward
    monkeypatch.setattr(
        taught.model.language_model,
        "forward",
        lambda **inputs: read.append(len(inputs.get("input_ids", ()))) or layers(**inputs),
    )
    prompt = prompts[0]
    text = taught.config.text_config
    a_copy = 2 * 4 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * len(prompt.ids)
    score_continuations(Reader(taught), prompt, [[5, 6]] * 5, most_bytes=2 * a_copy)
    assert read[1:] == [2, 2, 1]
