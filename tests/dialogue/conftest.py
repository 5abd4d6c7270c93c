"""A tokenizer laid out as Llama 3's: text first, special tokens behind, some of them reserved."""

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from kangaroo.dialogue.tokenizer import ChatToken
from tiny_texts import TEXTS


@pytest.fixture(scope="session")
def llama_tokenizer():
    pattern = r"\p{N}{1,3}| ?[\p{L}]+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        TEXTS * 4, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    names = [*ChatToken, *(f"<|reserved_special_token_{place}|>" for place in range(8))]
    tokenizer.add_special_tokens([AddedToken(str(name), special=True, normalized=False) for name in names])
    begin = str(ChatToken.BEGIN_OF_TEXT)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", special_tokens=[(begin, tokenizer.token_to_id(begin))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=begin, eos_token=str(ChatToken.END_OF_TEXT))
