"""Train the small bilingual tokenizer: byte-level BPE that can spell any text.

Digits and Chinese characters stand alone, so a number is read digit by digit and no token joins the halves of two
characters. The special tokens come first, at ids that never move.
"""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from kangaroo.errors import ModelError, OptionError
from kangaroo.model.layout import VisualToken


class ChatToken(StrEnum):
    """The tokens that stand around turns."""

    BEGIN_OF_TEXT = "<|begin_of_text|>"
    END_OF_TEXT = "<|end_of_text|>"
    START_HEADER = "<|start_header_id|>"
    END_HEADER = "<|end_header_id|>"
    END_OF_TURN = "<|eot_id|>"


SPECIAL_TOKENS = (*ChatToken, *VisualToken)
"""Every token that is more than text, in the order of the trained tokenizer's first ids."""

WORD_JOINER = "\u2060"
"""Breaks the spelling of a special token that somebody typed, where a prompt is rendered to one string.

The chat template writes it after `<`; the trained tokenizer's normaliser takes it out again, after special tokens
have been found. A tokenizer without that normaliser reads an invisible character, and still no special token.
"""

_PIECES = (
    r"[\p{Han}\u3000-\u303f\uff00-\uffef]"  # Chinese, one character at a time, its punctuation too
    r"|\p{N}"
    r"|'(?:s|t|re|ve|m|ll|d)\b"
    r"| ?[\p{L}\p{M}&&[^\p{Han}]]+"
    r"| ?[^\s\p{L}\p{M}\p{N}\u3000-\u303f\uff00-\uffef]+"
    r"|\s*[\r\n]+"  # blank lines end a piece: what follows a turn's header never changes the header's ids
    r"|\s+(?!\S)"
    r"|\s+"
)

_HEADER = ("user", "assistant", "system", "\n\n")  # stands around every text, so it deserves a token each


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> PreTrainedTokenizerFast:
    """Learn merges from texts and return a tokenizer whose special tokens have the ids of `SPECIAL_TOKENS`' order.

    Args:
        texts: What the model will read and write, English and Chinese mixed.
        vocab_size: Most ids that the tokenizer may use; texts with little variety use fewer.

    Raises:
        OptionError: The vocabulary is too small to spell every byte.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    smallest = len(SPECIAL_TOKENS) + len(alphabet)
    if vocab_size < smallest:
        raise OptionError(f"a vocabulary of {vocab_size} cannot spell every text; give {smallest} or more")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace(WORD_JOINER, "")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[str(token) for token in SPECIAL_TOKENS],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator((piece for text in texts for piece in (text, *_HEADER)), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=str(ChatToken.BEGIN_OF_TEXT),
        eos_token=str(ChatToken.END_OF_TEXT),
        pad_token=str(ChatToken.END_OF_TEXT),
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def name_visual_tokens(tokenizer: PreTrainedTokenizerFast, ids: Mapping[VisualToken, int]) -> PreTrainedTokenizerFast:
    """Return a Llama-3 tokenizer whose reserved slots carry the names of the visual tokens.

    The published checkpoint takes reserved slots for them, so its vocabulary keeps its size.

    Args:
        tokenizer: A tokenizer with special tokens at these ids.
        ids: The slot of each visual token, as `KangarooConfig.visual_token_ids` gives them.

    Raises:
        ModelError: A slot is no special token, or one of the names stands at another id.
    """
    names = {id: str(token) for token, id in ids.items()}
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    slots = {added["id"]: added for added in state["added_tokens"]}
    for id, name in names.items():
        if id not in slots or not slots[id]["special"]:
            raise ModelError(f"id {id} is no special token of this tokenizer, so it cannot become {name}")
        known = tokenizer.get_vocab().get(name, id)
        if known != id:
            raise ModelError(f"the tokenizer has {name} at id {known}, the model at id {id}; give the model that id")
    vocabulary = state["model"]["vocab"]
    for id, name in names.items():
        if vocabulary.get(slots[id]["content"]) == id:  # some tokenizers list special tokens twice
            del vocabulary[slots[id]["content"]]
            vocabulary[name] = id
        slots[id]["content"] = name
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)),
        bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token,
        pad_token=tokenizer.pad_token or tokenizer.eos_token,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )
