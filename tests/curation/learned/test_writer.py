"""A small Llama out of a GGUF file answers as transformers' own does, and merges captions as any model may."""

import pytest
import torch
from captioned import told
from tiny_gguf import tiny_llama, write_llama

from kangaroo.chat.answerer import Answerer, FinishReason, Sampling
from kangaroo.curation.learned.writer import SMOLLM, TextAnswerer, open_model
from kangaroo.curation.measures.models import FETCH_COMMAND
from kangaroo.curation.words.asking import Asker, ModelSettings
from kangaroo.curation.words.merging import MergeSettings, merge
from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.errors import ContextError, ModelError, OptionError, PromptError
from kangaroo.video.source import VideoSource

ASKED = Conversation().ask("An ant and a bee: 12 é?")


@pytest.fixture(scope="module")
def llama():
    return tiny_llama()


@pytest.fixture(scope="module")
def writer(llama, tmp_path_factory):
    return TextAnswerer(write_llama(tmp_path_factory.mktemp("tiny") / "tiny.gguf", llama))


def test_it_says_what_the_model_it_was_written_from_says(llama, writer):
    answer = writer.answer(ASKED, Sampling(max_new_tokens=24)).read()
    text = "<|im_start|>user\nAn ant and a bee: 12 é?<|im_end|>\n<|im_start|>assistant\n"
    ids = writer._tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
    assert writer._tokenizer.decode(ids[0]) == text
    said = llama.generate(ids, max_new_tokens=24, do_sample=False, pad_token_id=0)[0, ids.shape[1] :]
    assert answer.text == writer._tokenizer.decode(said, skip_special_tokens=True)
    assert (answer.prompt_tokens, answer.new_tokens) == (ids.shape[1], len(said))
    assert answer.finish_reason is FinishReason.LENGTH


def test_its_weights_are_those_that_were_written(llama, writer):
    for name, weight in writer._model.state_dict().items():
        torch.testing.assert_close(weight, llama.state_dict()[name], atol=0, rtol=0)


def test_it_is_an_answerer(writer):
    assert isinstance(writer, Answerer)
    free = Sampling(temperature=1.0, seed=3, max_new_tokens=8)
    one, other = writer.answer_batch([ASKED, ASKED], free)
    assert one.text == other.text
    pieces = writer.answer(ASKED, free)
    next(iter(pieces))
    assert pieces.finish_reason is FinishReason.CANCELLED or pieces.text
    with pytest.raises(OptionError, match="scores nothing"):
        writer.score(ASKED, ["yes"])


def test_what_it_cannot_read_is_refused(writer):
    with pytest.raises(PromptError, match="no films"):
        writer.answer(Conversation().ask("What?", Video(VideoSource("film.mp4"))))
    with pytest.raises(PromptError, match="English"):
        writer.answer(Conversation().ask("写一段话。"))
    with pytest.raises(ContextError, match="256"):
        writer.answer(ASKED, Sampling(max_new_tokens=250))


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"general.architecture": "mamba"}, "mamba"), ({"tokenizer.ggml.pre": "qwen2"}, "qwen2"),
     ({"llama.block_count": None}, "llama.block_count")],
)  # fmt: skip
def test_another_model_is_refused(llama, tmp_path, changes, said):
    with pytest.raises(ModelError, match=said):
        TextAnswerer(write_llama(tmp_path / "other.gguf", llama, **changes))


def test_what_it_invents_is_cut_and_the_record_says_who_merged(writer):
    settings = MergeSettings(model=ModelSettings(name="SmolLM2", model=SMOLLM, max_new_tokens=16), prompt_en="Retell:")
    merged = merge([told("a", "A dog barks.")], settings, Asker(answerer=writer, settings=settings.model))
    assert merged.how == "merged by SmolLM2"
    assert merged.text == ""
    assert merged.cost.new_tokens == 16


def test_where_it_was_not_fetched_the_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ModelError, match=f"{FETCH_COMMAND} writer"):
        open_model(ModelSettings(name="SmolLM2", model=SMOLLM))


@pytest.mark.long
def test_smollm_retells_what_captioners_said():
    settings = MergeSettings(model=ModelSettings(name="SmolLM2", model=SMOLLM, max_new_tokens=128))
    captions = [
        told("a", "A woman cuts carrots in a kitchen.", "A woman puts carrots into a pot.", "Soup boils in a pot."),
        told(
            "b", "A woman with a knife cuts carrots.", "The woman puts the carrots into a pot.", "A pot of soup boils."
        ),
    ]
    merged = merge(captions, settings, open_model(settings.model))
    assert merged.how == "merged by SmolLM2"
    assert "carrots" in merged.text
    assert all(claim.captioners for claim in merged.claims)
