"""Say what comes after a prompt, token by token: read the prompt, read on in a batch, pick words, score continuations.

Keeps nothing between calls; `Batch` does. Axes: row, position, width, word (of the vocabulary).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.cache_utils import DynamicCache

from kangaroo.chat.answerer import FinishReason, Likelihood, Sampling
from kangaroo.chat.memory import Memory, Prompt
from kangaroo.chat.replay import Replay
from kangaroo.chat.slots import Slots
from kangaroo.dialogue.detokenizer import Detokenizer
from kangaroo.model.fast_llama import FastLlama
from kangaroo.model.layout import VisualToken
from kangaroo.model.modeling import KangarooForConditionalGeneration

_DRAWS = 1 << 48
_MOST_ROWS = 16  # of continuations, read together


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one new token adds to an answer: whole characters, often none; and whether the answer ends with it."""

    text: str
    finish_reason: FinishReason | None


def end_ids(model: KangarooForConditionalGeneration) -> frozenset[int]:
    """Return the ids that end an answer."""
    ends = model.config.text_config.eos_token_id
    return frozenset([ends] if isinstance(ends, int) else ends or ())


class Reader:
    """Feeds the language model, and turns its states into chances of words that may be spoken.

    Args:
        model: On its device.
        fast: Reads instead of the model's plain layers, to the same states.
    """

    def __init__(self, model: KangarooForConditionalGeneration, *, fast: FastLlama | None = None) -> None:
        self.model = model
        # a bias of minus infinity: visual tokens are read, never spoken
        self._banned = torch.tensor(sorted(model.config.visual_token_ids.values()), device=model.device)
        self._fast = fast
        self._replay = None if fast is None else Replay(model, fast, self.logits)

    @torch.inference_mode()
    def read(self, prompt: Prompt, memory: Memory) -> Float[Tensor, "1 word"]:
        """Read of the prompt what the memory does not hold, and return the logits of the next word."""
        rest = memory.recall(prompt, film_start_id=self.model.config.visual_token_ids[VisualToken.START])
        before = len(prompt.ids) - len(rest.ids)
        films = [film.rows for film in rest.films]
        network = self.model.model
        embeds = network.embed(self._tensor([list(rest.ids)]), torch.cat(films) if films else None)
        if self._fast is not None:
            last = self._fast.read(embeds[0], memory.cache)
        else:
            last = network.language_model(
                inputs_embeds=embeds,
                position_ids=torch.arange(before, len(prompt.ids), device=self.model.device)[None],
                past_key_values=memory.cache,
                use_cache=True,
            ).last_hidden_state[:, -1]
        memory.has_read(rest)
        return self.logits(last)

    @torch.inference_mode()
    def read_on(self, ids: Sequence[int], slots: Slots) -> Float[Tensor, "row word"]:
        """Read one more word of each row and return the logits of the next, which hold until the next call."""
        if self._replay is not None:
            logits = self._replay.read_on(ids, slots)
        else:
            network = self.model.model
            embeds = network.embed(self._tensor([[id] for id in ids]))
            states = network.language_model(inputs_embeds=embeds, **slots.inputs()).last_hidden_state
            logits = self.logits(states[:, -1])
        slots.advance()
        return logits

    def logits(self, states: Float[Tensor, "... width"]) -> Float[Tensor, "... word"]:
        """Return the logits of states in float32, those of visual tokens at minus infinity."""
        return self.model.lm_head(states).float().index_fill(-1, self._banned, float("-inf"))

    def _tensor(self, ids: list[list[int]]) -> Int[Tensor, "row position"]:
        return torch.tensor(ids, device=self.model.device)


class Voice:
    """What one answer says next, and when it ends: its sampling, its own random numbers, its text so far."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, sampling: Sampling, *, ends: frozenset[int], room: int
    ) -> None:
        self.sampling = sampling
        self._ends = ends
        self._left = min(sampling.max_new_tokens, room)
        self._detokenizer = Detokenizer(tokenizer, stop=sampling.stop)
        self._generator = torch.Generator()
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)

    def draw(self) -> float:
        """Return a random number of at least 0 and less than 1."""
        return int(torch.randint(_DRAWS, (), generator=self._generator)) / _DRAWS

    def say(self, id: int) -> Step:
        """Add a token."""
        self._left -= 1
        reason = None
        text = "" if id in self._ends else self._detokenizer.push(id)
        if id in self._ends or self._detokenizer.stopped:
            reason = FinishReason.STOP
        elif self._left == 0:
            reason = FinishReason.LENGTH
        return Step(text=text + self._detokenizer.flush() if reason else text, finish_reason=reason)


def pick(logits: Float[Tensor, "row word"], voices: Sequence[Voice]) -> list[int]:
    """Return each row's next word. No row's choice depends on another's."""
    ids: list[int] = logits.argmax(dim=-1).tolist()
    free = [row for row, voice in enumerate(voices) if voice.sampling.temperature > 0]
    if free:
        own = logits if len(free) == len(voices) else logits[free]
        for row, id in zip(free, _sample(own, [voices[row] for row in free]), strict=True):
            ids[row] = id
    return ids


def _sample(logits: Float[Tensor, "row word"], voices: Sequence[Voice]) -> list[int]:
    settings = [(voice.sampling.temperature, voice.sampling.top_p, voice.draw()) for voice in voices]
    columns = torch.tensor(settings, dtype=torch.float64, device=logits.device)
    temperature, top_p, draw = rearrange(columns, "row setting -> setting row 1")
    # in float64 and from the likeliest down, so that no temperature is too small to divide by
    sharpened = (logits.double() - logits.amax(dim=-1, keepdim=True)) / temperature
    chances, words = sharpened.softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    # the fewest words that together reach top_p; the likeliest is always among them
    chances[(chances.cumsum(dim=-1) - chances >= top_p) & (top_p < 1)] = 0
    reached = chances.cumsum(dim=-1)
    place = (reached <= draw * reached[:, -1:]).sum(dim=-1, keepdim=True)
    picked: list[int] = words.gather(-1, place)[:, 0].tolist()
    return picked


@torch.inference_mode()
def score_continuations(
    reader: Reader, prompt: Prompt, continuations: Sequence[Sequence[int]], *, most_bytes: int = 1 << 30
) -> list[Likelihood]:
    """Return how likely each continuation's ids are after the prompt.

    The prompt is read once. Each continuation that is read takes a copy of its keys and values: so many are read
    together as fit into `most_bytes`, one at least.
    """
    found: list[Likelihood] = []
    model, memory = reader.model, Memory()
    first = reader.read(prompt, memory).log_softmax(dim=-1)
    known = [(layer.keys, layer.values) for layer in memory.cache.layers]
    copy_bytes = sum(part.nbytes for layer in known for part in layer)
    rows = max(1, min(_MOST_ROWS, most_bytes // copy_bytes))
    for at in range(0, len(continuations), rows):
        batch = continuations[at : at + rows]
        longest = max(map(len, batch))
        # padding comes after the words, where nothing that counts looks at it
        ids = torch.tensor(
            [[*own, *[0] * (longest - len(own))] for own in batch], device=model.device, dtype=torch.long
        )
        chances = repeat(first, "1 word -> row 1 word", row=len(batch))
        if longest > 1:
            cache = DynamicCache([tuple(part.expand(len(batch), -1, -1, -1) for part in layer) for layer in known])
            states = model.model.language_model(
                input_ids=ids[:, :-1], past_key_values=cache, use_cache=True
            ).last_hidden_state
            chances = torch.cat([chances, reader.logits(states).log_softmax(dim=-1)], dim=1)
        for row, own in enumerate(batch):
            places = torch.arange(len(own), device=model.device)
            said = ids[row, : len(own)]
            found.append(
                Likelihood(
                    nats=float(chances[row, places, said].double().sum()),
                    num_tokens=len(own),
                    is_greedy=bool((chances[row, : len(own)].argmax(dim=-1) == said).all()),
                )
            )
    return found
