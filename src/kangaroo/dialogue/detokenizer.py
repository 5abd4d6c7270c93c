"""Turn generated ids into text as they come: whole characters only, and nothing of a stop string.

A Chinese character may take several tokens; it is handed out when its last byte has arrived.
"""

import codecs
from collections.abc import Sequence
from functools import cache

from transformers import PreTrainedTokenizerBase

from kangaroo.errors import OptionError


class Detokenizer:
    """Collects ids and hands out text; joined, the pieces equal decoding all ids at once.

    >>> detokenizer = Detokenizer(tokenizer, stop=("\\n",))
    >>> for id in ids:
    ...     print(detokenizer.push(id), end="")
    ...     if detokenizer.stopped:
    ...         break
    >>> print(detokenizer.flush())

    Special tokens are left out. `stopped` turns true when a stop string is complete; its text and all that
    follows is not handed out. Works with byte-level tokenizers, which Llama 3's and ours are.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, stop: Sequence[str] = ()) -> None:
        if not all(stop):
            raise OptionError("a stop string is empty; leave it out")
        self.stopped = False
        self._tokenizer = tokenizer
        self._added = dict(tokenizer.added_tokens_decoder)
        self._stop = tuple(stop)
        self._bytes = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""

    def push(self, id: int) -> str:
        """Return the text that this token completes, often none."""
        if self.stopped:
            return ""
        self._held += self._bytes.decode(self._spelling(id))
        return self._release(final=False)

    def flush(self) -> str:
        """Return what was held back, once no more tokens come. Half a character becomes a replacement mark."""
        if self.stopped:
            return ""
        self._held += self._bytes.decode(b"", final=True)
        return self._release(final=True)

    def _spelling(self, id: int) -> bytes:
        added = self._added.get(id)
        if added is not None:
            return b"" if added.special else added.content.encode()
        token = self._tokenizer.convert_ids_to_tokens(id)
        assert token is not None, f"id {id} is not in the vocabulary of {len(self._tokenizer)}"
        return bytes(_byte_of()[character] for character in token)

    def _release(self, *, final: bool) -> str:
        ends = [(self._held.find(stop), stop) for stop in self._stop if stop in self._held]
        if ends:
            self.stopped = True
            text, self._held = self._held[: min(ends)[0]], ""
            return text
        keep = 0 if final else max((_overlap(self._held, stop) for stop in self._stop), default=0)
        cut = len(self._held) - keep
        text, self._held = self._held[:cut], self._held[cut:]
        return text


def _overlap(text: str, stop: str) -> int:
    """Return how many of the text's last characters might be the beginning of the stop string."""
    longest = min(len(text), len(stop) - 1)
    return next((length for length in range(longest, 0, -1) if stop.startswith(text[-length:])), 0)


@cache
def _byte_of() -> dict[str, int]:
    """Return which byte each character of a byte-level vocabulary stands for (GPT-2's printable alphabet)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}
