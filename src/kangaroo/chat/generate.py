"""Say what comes after a prompt, token by token, for several prompts at once. Keeps nothing between calls.

Prompts are padded on the left, so that all rows write at the same place; a row that has ended is dropped from the
batch when half of it has. Axes: row, position, width, word (of the vocabulary).
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from einops import repeat
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.cache_utils import DynamicCache

from kangaroo.chat.answerer import FinishReason, Sampling
from kangaroo.chat.cache import GrowingCache
from kangaroo.chat.memory import Memory, Prompt
from kangaroo.dialogue.detokenizer import Detokenizer
from kangaroo.errors import ContextError
from kangaroo.model.layout import VisualToken
from kangaroo.model.modeling import KangarooForConditionalGeneration


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one new token adds to a row: whole characters, often none; and whether the row ends with it."""

    row: int
    text: str
    finish_reason: FinishReason | None


def generate(
    model: KangarooForConditionalGeneration,
    prompts: Sequence[Prompt],
    *,
    tokenizer: PreTrainedTokenizerBase,
    sampling: Sampling | Sequence[Sampling] = Sampling(),
    memory: Memory | None = None,
    lock: AbstractContextManager = nullcontext(),
) -> Iterator[list[Step]]:
    """Yield one list of steps for each round: one step for each row that has not ended.

    >>> "".join(steps[0].text for steps in generate(model, [prompt], tokenizer=tokenizer))

    Visual tokens are never picked. A row ends with an end token, a stop string, or at its most tokens, which the
    context bounds too. A row that samples with a seed gives the same text whatever its neighbours are.

    Args:
        model: On the device where it shall work, in evaluation mode.
        prompts: Ids and film features of each row.
        tokenizer: Turns ids into text.
        sampling: One for all rows, or one for each.
        memory: Of a single row: what it has read is not read again.
        lock: Held while the model works, not while the caller reads.

    Raises:
        ContextError: A prompt leaves no room for an answer.
    """
    each = [sampling] * len(prompts) if isinstance(sampling, Sampling) else sampling
    assert len(each) == len(prompts), f"{len(each)} samplings for {len(prompts)} prompts"
    assert memory is None or len(prompts) == 1, f"a memory is of one conversation, not of {len(prompts)}"
    context = model.config.text_config.max_position_embeddings
    rows = [
        _Row(index, tokenizer, own, room=context - len(prompt.ids))
        for index, (prompt, own) in enumerate(zip(prompts, each, strict=True))
    ]
    for prompt in prompts:
        if len(prompt.ids) >= context:
            raise ContextError(
                f"the prompt has {len(prompt.ids):,} tokens, leaving no room in the context of {context:,}; shorten it"
            )
    ends = end_ids(model)
    reader = Reader(model, memory)
    with lock:
        ids = _pick(reader.read(prompts), rows)
    while True:
        steps = [row.take(id, ends) for row, id in zip(rows, ids, strict=True) if not row.ended]
        yield steps
        going = [place for place, row in enumerate(rows) if not row.ended]
        if not going:
            return
        with lock:
            if len(going) <= len(rows) / 2:
                rows, ids = [rows[place] for place in going], [ids[place] for place in going]
                reader.keep(going)
            ids = _pick(reader.go_on(ids), rows)


def end_ids(model: KangarooForConditionalGeneration) -> frozenset[int]:
    """Return the ids that end an answer."""
    ends = model.config.text_config.eos_token_id
    return frozenset([ends] if isinstance(ends, int) else ends or ())


class Reader:
    """Feeds the language model and keeps what it has read: the state of one batch."""

    def __init__(self, model: KangarooForConditionalGeneration, memory: Memory | None = None) -> None:
        self._model = model
        self._memory = Memory() if memory is None else memory
        self._padding: Int[Tensor, " row"] | None = None
        # a bias of minus infinity: visual tokens are read, never spoken
        self._banned = torch.tensor(sorted(model.config.visual_token_ids.values()), device=model.device)

    @property
    def cache(self) -> GrowingCache:
        """Keys and values so far."""
        return self._memory.cache

    @torch.inference_mode()
    def read(self, prompts: Sequence[Prompt]) -> Float[Tensor, "row word"]:
        """Read the prompts and return the logits of each one's next word."""
        start = self._model.config.visual_token_ids[VisualToken.START]
        if len(prompts) == 1:
            prompts = [self._memory.recall(prompts[0], film_start_id=start)]
        lengths = [len(prompt.ids) for prompt in prompts]
        longest = max(lengths)
        if min(lengths) < longest:
            self._padding = longest - torch.tensor(lengths, device=self._model.device)
        filler = min(end_ids(self._model), default=0)
        ids = torch.tensor([[filler] * (longest - len(prompt.ids)) + list(prompt.ids) for prompt in prompts])
        films = [film.rows for prompt in prompts for film in prompt.films]
        logits = self._feed(ids.to(self._model.device), torch.cat(films) if films else None)
        if len(prompts) == 1:
            self._memory.has_read(prompts[0])
        return logits

    @torch.inference_mode()
    def go_on(self, ids: Sequence[int]) -> Float[Tensor, "row word"]:
        """Read one more word of each row and return the logits of the next."""
        logits = self._feed(torch.tensor([[id] for id in ids], device=self._model.device), None)
        if len(ids) == 1:
            self._memory.has_read(Prompt(ids=ids))
        return logits

    @torch.inference_mode()
    def keep(self, places: Sequence[int]) -> None:
        """Forget all rows but those at these places."""
        index = torch.tensor(places, device=self._model.device)
        self.cache.batch_select_indices(index)
        if self._padding is not None:
            self._padding = self._padding[index]

    def _feed(
        self, ids: Int[Tensor, "row position"], films: Float[Tensor, "token width"] | None
    ) -> Float[Tensor, "row word"]:
        before = self.cache.get_seq_length()
        places = torch.arange(before, before + ids.shape[1], device=ids.device)
        positions, mask = places[None], None
        if self._padding is not None:
            positions = (places - self._padding[:, None]).clamp(min=0)
            columns = torch.arange(before + ids.shape[1], device=ids.device)
            mask = (columns >= self._padding[:, None]).long()
        network = self._model.model
        states = network.language_model(
            inputs_embeds=network.embed(ids, films),
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        ).last_hidden_state
        return self.logits(states[:, -1])

    def logits(self, states: Float[Tensor, "... width"]) -> Float[Tensor, "... word"]:
        """Return the logits of states in float32, those of visual tokens at minus infinity."""
        return self._model.lm_head(states).float().index_fill(-1, self._banned, float("-inf"))


class _Row:
    """One answer as it grows."""

    def __init__(self, index: int, tokenizer: PreTrainedTokenizerBase, sampling: Sampling, *, room: int) -> None:
        self.sampling = sampling
        self.generator = torch.Generator()
        if sampling.seed is None:
            self.generator.seed()
        else:
            self.generator.manual_seed(sampling.seed)
        self.ended = False
        self._index = index
        self._left = min(sampling.max_new_tokens, room)
        self._detokenizer = Detokenizer(tokenizer, stop=sampling.stop)

    def take(self, id: int, ends: frozenset[int]) -> Step:
        """Add a token."""
        self._left -= 1
        reason = None
        text = "" if id in ends else self._detokenizer.push(id)
        if id in ends or self._detokenizer.stopped:
            reason = FinishReason.STOP
        elif self._left == 0:
            reason = FinishReason.LENGTH
        self.ended = reason is not None
        return Step(row=self._index, text=text + self._detokenizer.flush() if reason else text, finish_reason=reason)


def _pick(logits: Float[Tensor, "row word"], rows: Sequence[_Row]) -> list[int]:
    if all(row.sampling.temperature == 0 for row in rows):
        return logits.argmax(dim=-1).tolist()
    return [_pick_one(own, row) for own, row in zip(logits.cpu(), rows, strict=True)]


def _pick_one(logits: Float[Tensor, " word"], row: _Row) -> int:
    if row.sampling.temperature == 0:
        return int(logits.argmax())
    # in float64 and from the likeliest down, so that no temperature is too small to divide by
    sharpened = (logits.double() - logits.max()) / row.sampling.temperature
    chances, words = sharpened.softmax(dim=-1).sort(descending=True)
    if row.sampling.top_p < 1:
        # the fewest words that together reach top_p; the likeliest is always among them
        chances[chances.cumsum(dim=0) - chances >= row.sampling.top_p] = 0
    return int(words[torch.multinomial(chances, 1, generator=row.generator)])


@torch.inference_mode()
def score_continuations(
    model: KangarooForConditionalGeneration, prompt: Prompt, continuations: Sequence[Sequence[int]], *, rows: int = 16
) -> list[float]:
    """Return the log-likelihood of each continuation's ids after the prompt, in nats.

    The prompt is read once; so many `rows` of continuations are read together.
    """
    scores: list[float] = []
    reader = Reader(model)
    first = reader.read([prompt]).log_softmax(dim=-1)
    known = [(layer.keys, layer.values) for layer in reader.cache.layers]
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
            scores.append(float(chances[row, places, ids[row, : len(own)]].double().sum()))
    return scores
