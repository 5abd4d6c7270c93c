"""One running batch that answers join and leave: whoever asks at the same time shares the model's steps.

A thread of its own steps the batch as long as anyone is in it. Between two steps those who left give up their slots,
and one that waits reads its prompt and joins. Steps wait for their readers, never readers' slowness for the steps: a
reader that stops reading holds at most its own answer. No answer's end, error or hurry changes what another says.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterator
from queue import SimpleQueue

import torch
from transformers import PreTrainedTokenizerBase

from kangaroo.chat.answerer import Sampling
from kangaroo.chat.generate import Reader, Step, Voice, end_ids, pick
from kangaroo.chat.memory import Memory, Prompt
from kangaroo.chat.slots import Slots, allow_slots
from kangaroo.errors import ContextError, OptionError
from kangaroo.model.fast_llama import fast_llama
from kangaroo.model.modeling import KangarooForConditionalGeneration

_log = logging.getLogger(__name__)


class Batch:
    """The running batch of one model.

    >>> batch = Batch(model, tokenizer)
    >>> "".join(step.text for step in batch.answer(prompt))

    Args:
        model: On its device, in evaluation mode.
        tokenizer: Turns ids into text.
        max_rows: How many answers run together. Others wait until one ends.
        ends: The ids that end an answer; None for the model's own.

    Attributes:
        reader: Feeds the model.

    Raises:
        OptionError: No answer could run.
    """

    def __init__(
        self,
        model: KangarooForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_rows: int = 16,
        ends: frozenset[int] | None = None,
    ) -> None:
        if max_rows < 1:
            raise OptionError(f"{max_rows} answers at a time; give 1 or more")
        allow_slots(model)
        self._tokenizer = tokenizer
        self._max_rows = max_rows
        self._context = model.config.text_config.max_position_embeddings
        self._ends = end_ids(model) if ends is None else ends
        self.reader = Reader(model, fast=fast_llama(model.model.language_model))
        self._lock = threading.Lock()
        self._waiting: deque[_Row] = deque()
        self._worker: threading.Thread | None = None
        # the worker's alone
        self._rows: list[_Row] = []
        self._slots = Slots()

    def answer(
        self, prompt: Prompt, sampling: Sampling = Sampling(), *, memory: Memory | None = None
    ) -> Iterator[Step]:
        """Yield a step for each new token. Leaving the iteration frees the answer's slot at the batch's next step.

        Visual tokens are never picked. An answer ends with an end token, a stop string, or at its most tokens, which
        the context bounds too. With a seed it says the same whatever its neighbours are.

        Args:
            prompt: Ids and film features.
            sampling: How tokens are picked.
            memory: Of the conversation: what it has read is not read again.

        Raises:
            ContextError: The prompt leaves no room for an answer.
            torch.OutOfMemoryError: There is no memory for this answer; those under way go on.
        """
        room = self._context - len(prompt.ids)
        if room <= 0:
            raise ContextError(
                f"the prompt has {len(prompt.ids):,} tokens, leaving no room in the context of {self._context:,}; "
                "shorten it"
            )
        voice = Voice(self._tokenizer, sampling, ends=self._ends, room=room)
        row = _Row(prompt, voice, memory, room=len(prompt.ids) + min(sampling.max_new_tokens, room))
        try:
            self._admit(row)
            while True:
                step = row.steps.get()
                if isinstance(step, BaseException):
                    raise step
                yield step
                if step.finish_reason:
                    return
        finally:
            row.over = True

    def _admit(self, row: "_Row") -> None:
        with self._lock:
            self._waiting.append(row)
            if self._worker is None:
                worker = threading.Thread(target=self._work, name="kangaroo-batch")
                worker.start()
                self._worker = worker

    @torch.inference_mode()
    def _work(self) -> None:
        while True:
            try:
                if not self._change_rows():
                    return
                if self._rows:
                    self._step()
            except BaseException as error:  # whatever it is, nobody may wait for a thread that is gone
                for row in self._rows:
                    row.fail(error)
                self._rows, self._slots = [], Slots()

    def _change_rows(self) -> bool:
        """Let go who is done, let in one that waits; tell whether anyone is there."""
        with self._lock:
            first = self._waiting[0] if self._waiting else None
        # looked for before: an answer that was cut short for another question has left when that is asked
        for place in reversed(range(len(self._rows))):
            if self._rows[place].over:
                self._leave(place)
        joins = first if len(self._rows) < self._max_rows else None
        with self._lock:
            if joins is not None:
                self._waiting.popleft()
            elif not self._rows and not self._waiting:
                self._worker = None
                return False
        if joins is not None:
            self._join(joins)
        return True

    def _join(self, row: "_Row") -> None:
        try:
            row.say(pick(self.reader.read(row.prompt, row.memory), [row.voice])[0])
            if not row.over:
                self._slots.put(row.memory.cache, room=row.room)
                self._rows.append(row)
        except BaseException as error:
            row.fail(error)
            if not self._rows:
                self._slots = Slots()  # what was made for this row goes with it

    def _step(self) -> None:
        words = pick(
            self.reader.read_on([row.last for row in self._rows], self._slots), [row.voice for row in self._rows]
        )
        for row, id in zip(self._rows, words, strict=True):
            row.memory.has_read(Prompt(ids=[row.last]))
            try:
                row.say(id)
            except Exception as error:
                row.fail(error)

    def _leave(self, place: int) -> None:
        row = self._rows[place]
        if row.remembers:
            try:
                row.memory.cache = self._slots.take(place)
            except torch.OutOfMemoryError:
                _log.warning("no memory to keep what a conversation has read; its next question reads it anew")
                row.memory.forget()
        self._slots.drop(place)
        last = self._rows.pop()
        if last is not row:
            self._rows[place] = last


class _Row:
    """One answer on its way between the worker and its reader. `over` once it ended, failed, or its reader left."""

    def __init__(self, prompt: Prompt, voice: Voice, memory: Memory | None, *, room: int) -> None:
        self.prompt = prompt
        self.voice = voice
        self.memory = memory or Memory()
        self.remembers = memory is not None
        self.room = room
        self.last = -1
        self.over = False
        self.steps: SimpleQueue[Step | BaseException] = SimpleQueue()

    def say(self, id: int) -> None:
        step = self.voice.say(id)
        self.last = id
        self.over = self.over or step.finish_reason is not None
        self.steps.put(step)

    def fail(self, error: BaseException) -> None:
        self.memory.forget()
        self.over, self.remembers = True, False
        self.steps.put(error)
