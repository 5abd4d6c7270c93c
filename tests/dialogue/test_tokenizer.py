"""The trained tokenizer spells every text and keeps its special tokens where they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from kangaroo.dialogue.tokenizer import SPECIAL_TOKENS, WORD_JOINER, name_visual_tokens, train_tokenizer
from kangaroo.errors import ModelError, OptionError
from kangaroo.model.layout import VisualToken
from tiny_texts import TEXTS

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: WORD_JOINER not in text)


def plain(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)


def test_special_tokens_have_the_first_ids(tiny_tokenizer):
    assert tiny_tokenizer.convert_tokens_to_ids([str(token) for token in SPECIAL_TOKENS]) == list(range(10))
    assert tiny_tokenizer.convert_ids_to_tokens([0, 1, 4, 5, 9]) == [
        "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<vi_start>", "<vi_pad>",
    ]  # fmt: skip
    assert (tiny_tokenizer.bos_token_id, tiny_tokenizer.eos_token_id, tiny_tokenizer.pad_token_id) == (0, 1, 1)


@given(text=ANY_TEXT)
def test_every_text_comes_back(tiny_tokenizer, text):
    ids = plain(tiny_tokenizer, text)
    assert tiny_tokenizer.decode(ids) == text
    assert min(ids, default=10) >= 10


@given(text=st.text(st.sampled_from("红色的圆形，向左。3 7ab 12"), max_size=30))
def test_digits_and_chinese_characters_stand_alone(tiny_tokenizer, text):
    for id in plain(tiny_tokenizer, text):
        token = tiny_tokenizer.decode([id])
        alone = [character for character in token if character.isdigit() or ord(character) > 0x2E80]
        assert len(token) == 1 or not alone


def test_known_characters_take_one_token(tiny_tokenizer):
    assert len(plain(tiny_tokenizer, "红色")) == 2
    assert len(plain(tiny_tokenizer, "2026")) == 4


def test_headers_take_one_token_each(tiny_tokenizer):
    assert [len(plain(tiny_tokenizer, word)) for word in ("user", "assistant", "system", "\n\n")] == [1, 1, 1, 1]


def test_training_is_repeatable(tiny_tokenizer):
    again = train_tokenizer(TEXTS * 4, vocab_size=512)
    assert again.backend_tokenizer.to_str() == tiny_tokenizer.backend_tokenizer.to_str()


def test_the_vocabulary_keeps_its_bound():
    assert len(train_tokenizer(TEXTS, vocab_size=300)) == 300
    with pytest.raises(OptionError, match="give 266 or more"):
        train_tokenizer(TEXTS, vocab_size=265)


@pytest.mark.parametrize("kind", [AutoTokenizer, PreTrainedTokenizerFast])
def test_it_loads_as_it_was_saved(tiny_tokenizer, tmp_path, kind):
    tiny_tokenizer.save_pretrained(tmp_path)
    loaded = kind.from_pretrained(tmp_path)
    assert loaded.get_vocab() == tiny_tokenizer.get_vocab()
    assert loaded.padding_side == "left"
    assert loaded.pad_token_id == 1
    text = "A red circle，红色 <|eot_id|>"
    assert loaded.encode(text) == tiny_tokenizer.encode(text)


def test_the_names_of_reserved_slots(llama_tokenizer):
    ids = {token: 900 + place for place, token in enumerate(VisualToken)}
    with pytest.raises(ModelError, match="id 900 is no special token"):
        name_visual_tokens(llama_tokenizer, ids)
    first = llama_tokenizer.convert_tokens_to_ids("<|reserved_special_token_0|>")
    ids = {token: first + place for place, token in enumerate(VisualToken)}
    named = name_visual_tokens(llama_tokenizer, ids)
    assert len(named) == len(llama_tokenizer)
    assert {token: named.convert_tokens_to_ids(str(token)) for token in VisualToken} == ids
    assert named.encode("<vi_pad>", add_special_tokens=False) == [ids[VisualToken.PATCH]]
    moved = {**ids, VisualToken.PATCH: first + 5}
    with pytest.raises(ModelError, match=f"has <vi_pad> at id {ids[VisualToken.PATCH]}, the model at id {first + 5}"):
        name_visual_tokens(named, moved)
    np.testing.assert_array_equal(named.encode("hello 红"), llama_tokenizer.encode("hello 红"))
