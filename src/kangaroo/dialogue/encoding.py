"""A conversation becomes ids, piece by piece, and the mask of what the assistant said.

Text and special tokens are never joined before they are ids, so no text can spell a special token. Every turn
begins and ends with a special token: the ids of a conversation begin with the ids of its first turns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from kangaroo.dialogue.conversation import Conversation, Role, Text, Turn, Video
from kangaroo.dialogue.tokenizer import SPECIAL_TOKENS, ChatToken
from kangaroo.errors import ModelError, PromptError
from kangaroo.model.layout import VisualLayout


@dataclass(kw_only=True)
class Encoded:
    """Ids ready for the model.

    Attributes:
        input_ids: Text, special tokens and one `<vi_pad>` for each visual token.
        assistant_mask: True where the assistant speaks: its text and the `<|eot_id|>` that ends it.
        num_frames: How many frames each film has, in order.
    """

    input_ids: list[int] = field(default_factory=list)
    assistant_mask: list[bool] = field(default_factory=list)
    num_frames: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.input_ids)

    def without_end(self) -> "Encoded":
        """Return this without the `<|eot_id|>` at its end, so that the last turn can go on."""
        return Encoded(
            input_ids=self.input_ids[:-1], assistant_mask=self.assistant_mask[:-1], num_frames=self.num_frames
        )

    def __add__(self, other: "Encoded") -> "Encoded":
        return Encoded(
            input_ids=self.input_ids + other.input_ids,
            assistant_mask=self.assistant_mask + other.assistant_mask,
            num_frames=self.num_frames + other.num_frames,
        )


class Encoder:
    """Writes turns as ids for one tokenizer and one layout of films. Safe to call from several threads."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, layout: VisualLayout) -> None:
        vocabulary = tokenizer.get_vocab()
        missing = [str(token) for token in SPECIAL_TOKENS if token not in vocabulary]
        if missing:
            raise ModelError(
                f"the tokenizer has no {', '.join(missing)}; name its reserved slots with name_visual_tokens"
            )
        self.tokenizer = tokenizer
        self.layout = layout
        self.ids = {token: vocabulary[token] for token in SPECIAL_TOKENS}
        # a copy of our own: the tokenizer's switch between text and special tokens is shared by all its callers
        self._text = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._text.encode_special_tokens = True
        self._text.no_truncation()
        self._text.no_padding()

    def __reduce__(self) -> tuple[Any, ...]:
        # `encode_special_tokens` is lost in a pickle, so a worker process makes its encoder anew
        return type(self), (self.tokenizer, self.layout)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Encoder":
        return self  # it never changes, and transformers copies processors to print them

    def text(self, text: str) -> list[int]:
        """Return the ids of plain text; a special token's spelling in it stays text."""
        # JSON may carry half of a surrogate pair, which no UTF-8 can spell
        spellable = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return self._text.encode(spellable, add_special_tokens=False).ids

    def film(self, num_frames: int) -> list[int]:
        """Return the visual block of a film."""
        return [self.ids[token] for token in self.layout.tokens(num_frames)]

    def begin(self) -> Encoded:
        """Return what stands before the first turn."""
        return _silent([self.ids[ChatToken.BEGIN_OF_TEXT]])

    def prompt(self) -> Encoded:
        """Return the header after which the model answers."""
        return self._header(Role.ASSISTANT)

    def turn(self, turn: Turn, num_frames: Sequence[int] = ()) -> Encoded:
        """Return one whole turn, header and end included; `num_frames` counts the frames of each of its films."""
        films = iter(num_frames)
        encoded = self._header(turn.role)
        for part in _stripped(turn):
            if isinstance(part, Video):
                count = next(films)
                encoded += _silent(self.film(count), [count])
            else:
                encoded += _said(self.text(part.text), turn.role)
        return encoded + _said([self.ids[ChatToken.END_OF_TURN]], turn.role)

    def conversation(self, conversation: Conversation, num_frames: Sequence[int]) -> Encoded:
        """Return all turns, from `<|begin_of_text|>` to the last turn's `<|eot_id|>`."""
        if len(num_frames) != len(conversation.videos):
            raise PromptError(
                f"the conversation holds {len(conversation.videos)} films but {len(num_frames)} were given; "
                "give one for each"
            )
        encoded, done = self.begin(), 0
        for turn in conversation.turns:
            count = sum(isinstance(part, Video) for part in turn.parts)
            encoded += self.turn(turn, num_frames[done : done + count])
            done += count
        return encoded

    def _header(self, role: Role) -> Encoded:
        start, end = self.ids[ChatToken.START_HEADER], self.ids[ChatToken.END_HEADER]
        return _silent([start, *self.text(role), end, *self.text("\n\n")])


def _stripped(turn: Turn) -> Iterator[Text | Video]:
    """Yield the turn's parts with neighbouring texts joined and no white space at the turn's two ends.

    A tokenizer may join white space with what stands before it, so a text's ids would depend on its surroundings.
    """
    parts: list[Text | Video] = []
    for part in turn.parts:
        if isinstance(part, Text) and parts and isinstance(parts[-1], Text):
            parts[-1] = Text(parts[-1].text + part.text)
        else:
            parts.append(part)
    for place, part in enumerate(parts):
        if isinstance(part, Text):
            text = part.text.lstrip() if place == 0 else part.text
            yield Text(text.rstrip() if place == len(parts) - 1 else text)
        else:
            yield part


def _silent(ids: list[int], num_frames: Sequence[int] = ()) -> Encoded:
    return Encoded(input_ids=ids, assistant_mask=[False] * len(ids), num_frames=list(num_frames))


def _said(ids: list[int], role: Role) -> Encoded:
    return Encoded(input_ids=ids, assistant_mask=[role is Role.ASSISTANT] * len(ids))
