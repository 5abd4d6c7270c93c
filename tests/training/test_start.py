import torch

from kangaroo.dialogue.tokenizer import SPECIAL_TOKENS
from kangaroo.playground.vocabulary import COLOURS, PLACES, SHAPES
from kangaroo.training.start import VOCAB_SIZE, at_random, make_tokenizer, playground_texts


def test_the_tokenizer_is_the_same_every_time_and_writes_the_playgrounds_words_shortly():
    one, two = make_tokenizer(num_films=60), make_tokenizer(num_films=60)
    assert one.get_vocab() == two.get_vocab()
    assert len(one) <= VOCAB_SIZE
    assert {str(token) for token in SPECIAL_TOKENS} <= one.get_vocab().keys()
    for name in (*(colour.name for colour in COLOURS.values()), *SHAPES.values(), *PLACES):
        text = f"The {name.en}. {name.zh}。"
        ids = one.encode(text, add_special_tokens=False)
        assert one.decode(ids) == text
        assert len(ids) < 0.65 * len(text)


def test_texts_are_questions_and_answers_in_both_languages_and_every_common_name():
    texts = list(playground_texts(20))
    joined = "\n".join(texts)
    assert "影片" in joined
    assert "film" in joined
    assert texts.count(" dog") == 40


def test_random_weights_follow_from_the_seed(tiny_tokenizer):
    one, two, other = (at_random("tiny", tiny_tokenizer, seed=seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(weight, two[name]) for name, weight in one.items())
    assert any(not torch.equal(weight, other[name]) for name, weight in one.items())
    assert {weight.dtype for weight in one.values()} == {torch.float32}
