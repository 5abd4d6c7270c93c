from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kangaroo.dialogue.tokenizer import SPECIAL_TOKENS, train_tokenizer
from kangaroo.errors import ModelError, OptionError
from kangaroo.playground.vocabulary import COLOURS, PLACES, SHAPES
from kangaroo.training.curriculum import JOEY
from kangaroo.training.recipe import Recipe
from kangaroo.training.start import adapted, at_random, from_folder, shipped_tokenizer, start_config
from kangaroo.training.tokenizer import VOCAB_SIZE, playground_texts

TINY = Recipe(out=Path("out"), curriculum="tiny")


def test_joeys_tokenizer_writes_the_playgrounds_words_shortly():
    tokenizer = shipped_tokenizer()
    assert len(tokenizer) <= VOCAB_SIZE
    assert {str(token) for token in SPECIAL_TOKENS} <= tokenizer.get_vocab().keys()
    for name in (*(colour.name for colour in COLOURS.values()), *SHAPES.values(), *PLACES):
        text = f"The {name.en}. {name.zh}。"
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert tokenizer.decode(ids) == text
        assert len(ids) < 0.65 * len(text)


def test_a_tokenizer_made_of_the_playgrounds_texts_is_the_same_every_time():
    one, two = (train_tokenizer(playground_texts(30), vocab_size=600) for _ in range(2))
    assert one.get_vocab() == two.get_vocab()
    joined = "\n".join(playground_texts(20))
    assert "影片" in joined
    assert "film" in joined
    assert " dog\n" in joined


def test_random_weights_follow_from_the_seed():
    one, two, other = (at_random(replace(TINY, seed=seed))[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(weight, two[name]) for name, weight in one.items())
    assert any(not torch.equal(weight, other[name]) for name, weight in one.items())
    assert {weight.dtype for weight in one.values()} == {torch.float32}


def test_the_published_network_begins_with_trained_parts():
    published = replace(TINY, curriculum="kangaroo")
    assert start_config(published)[0].text_config.num_hidden_layers == 32
    with pytest.raises(OptionError, match="begins with a trained vision tower and language model; name the folder"):
        at_random(published)


def test_a_start_folder_without_a_model_or_tokenizer_is_refused(start_folder, tmp_path):
    for file in start_folder.iterdir():
        if file.name != "tokenizer.json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ModelError, match="no model to start from"):
            from_folder(folder)
        with pytest.raises(ModelError, match="no model to start from"):
            start_config(replace(TINY, start=folder))


def test_a_network_that_begins_to_fold_begins_by_averaging(start_folder):
    model, processor = from_folder(start_folder)
    pixels, times_s = torch.randn(4, 3, 56, 56), torch.zeros(4)
    flat = replace(JOEY[1], image_size_px=56)
    model, processor = adapted(model, processor, flat)
    assert processor.encoder.layout.num_tokens(4) == 4 * 17 + 2
    # what projects is the last step and not linear, so look at what it is given
    given = []
    model.model.multi_modal_projector.register_forward_pre_hook(lambda _module, inputs: given.append(inputs[0]))
    model.model.encode_films(pixels, times_s, [4])
    folding = replace(JOEY[2], image_size_px=56)
    model, processor = adapted(model, processor, folding)
    assert processor.encoder.layout.num_tokens(4) == 2 * 5 + 2
    model.model.encode_films(pixels, times_s, [4])
    unfolded, folded = given
    windows = unfolded.reshape(2, 2, 2, 2, 2, 2, -1)  # group, frame, row, tall, column, wide
    torch.testing.assert_close(folded, windows.mean(dim=(1, 3, 5)).reshape(8, -1))


def test_a_network_moves_to_another_resolution(start_folder):
    model, processor = from_folder(start_folder)
    model, processor = adapted(model, processor, replace(JOEY[3], image_size_px=28))
    assert model.config.vision_config.image_size == processor.encoder.layout.image_size_px == 28
    assert model.model.vision_tower.pos_embed.shape[1] == 1 + 2 * 2
