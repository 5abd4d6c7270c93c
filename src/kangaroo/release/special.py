"""Which ids the five visual tokens have: by name where the tokenizer has them, else in Llama 3's reserved slots."""

import re
from collections.abc import Mapping

from transformers import PreTrainedTokenizerFast

from kangaroo.dialogue.tokenizer import ChatToken, name_visual_tokens
from kangaroo.errors import ModelError, OptionError
from kangaroo.model.layout import VisualToken
from kangaroo.model.presets import TokenIds
from kangaroo.release.model import Decision

_RESERVED = re.compile(r"<\|reserved_special_token_\d+\|>")


class SpecialTokens:
    """The ids of a tokenizer's special tokens.

    Args:
        tokenizer: Llama 3's, with or without names for the visual tokens.
        given: Ids by name, which a person decided.
        fill: The visual tokens that may take a free reserved slot; another one without a name is refused.

    Raises:
        ModelError: A token has no name and may take no slot, or no slot is free.
        OptionError: What was given is no visual token, or another token has its id.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, given: Mapping[str, int], *, fill: frozenset[VisualToken]
    ) -> None:
        if unknown := sorted(set(given) - set(map(str, VisualToken))):
            raise OptionError(f"--token names {unknown[0]!r}; the visual tokens are {', '.join(VisualToken)}")
        vocabulary = tokenizer.get_vocab()
        added = {id: token.content for id, token in tokenizer.added_tokens_decoder.items()}
        if taken := [token for token in given if added.get(given[token]) in set(ChatToken)]:
            raise OptionError(f"--token gives {taken[0]} the id {given[taken[0]]}, which is {added[given[taken[0]]]}'s")
        free = [id for id, name in sorted(added.items()) if _RESERVED.fullmatch(name) and id not in given.values()]
        ids, decisions = {}, []
        for token in VisualToken:
            if token in given:
                ids[token], why = given[token], "given by --token"
            elif token in vocabulary:
                ids[token], why = vocabulary[token], "by its name in the tokenizer"
            elif token not in fill:
                own = [name for name in added.values() if not _RESERVED.fullmatch(name) and name not in set(ChatToken)]
                raise ModelError(
                    f"the tokenizer has no {token}; its special tokens that are not stock are "
                    f"{', '.join(own[:12]) or 'none'}; say which id it has with --token '{token}=ID'"
                )
            elif free:
                ids[token] = free.pop(0)
                why = f"a free slot, {added[ids[token]]}"
            else:
                raise ModelError(f"the tokenizer has no reserved slot left for {token}; give --token '{token}=ID'")
            decisions.append(Decision(what=str(token), value=str(ids[token]), why=why))
        if absent := [token for token in ChatToken if token not in vocabulary]:
            raise ModelError(f"the tokenizer has no {absent[0]}; is it Llama 3's?")
        self.ids = TokenIds(
            begin_of_text=vocabulary[ChatToken.BEGIN_OF_TEXT],
            end_of_text=vocabulary[ChatToken.END_OF_TEXT],
            end_of_turn=vocabulary[ChatToken.END_OF_TURN],
            vi_start=ids[VisualToken.START],
            eof=ids[VisualToken.END_OF_FRAME],
            eov=ids[VisualToken.END_OF_VIDEO],
            vi_end=ids[VisualToken.END],
            vi_pad=ids[VisualToken.PATCH],
        )
        self.decisions = tuple(decisions)
        self.tokenizer = name_visual_tokens(tokenizer, ids)
