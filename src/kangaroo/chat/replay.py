"""A running batch's next step as one CUDA graph: the GPU is given a few hundred kernels at once, not one by one.

A graph is bound to a number of rows and to the batch's buffers. The first step of so many rows in these buffers goes
kernel by kernel, which also compiles what was not compiled yet; the next is recorded, and those after it replay it,
whichever rows come and go meanwhile.
Axes: row, word (of the vocabulary).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kangaroo.chat.slots import Slots
from kangaroo.model.fast_llama import FastLlama
from kangaroo.model.modeling import KangarooForConditionalGeneration


class _Recorded(NamedTuple):
    """A step of so many rows: what it reads, and where it leaves what it says."""

    graph: torch.cuda.CUDAGraph
    ids: Int[Tensor, " row"]
    said: Float[Tensor, "row word"]


class Replay:
    """Reads one more word of each row and returns the logits of the next, as `Reader.read_on` does.

    Args:
        model: On a GPU.
        llama: Its language model.
        logits: Turns states into logits.
    """

    def __init__(
        self, model: KangarooForConditionalGeneration, llama: FastLlama, logits: Callable[[Tensor], Tensor]
    ) -> None:
        self._model, self._llama, self._logits = model, llama, logits
        self._buffers = -1
        self._recorded: dict[int, _Recorded | None] = {}

    def read_on(self, ids: Sequence[int], slots: Slots) -> Float[Tensor, "row word"]:
        """Return logits that the next call overwrites."""
        words = torch.tensor(ids)
        with torch.cuda.device(self._model.device):
            return self._read_on(words, slots)

    def _read_on(self, words: Int[Tensor, " row"], slots: Slots) -> Float[Tensor, "row word"]:
        if slots.buffers != self._buffers:
            self._recorded.clear()
            self._buffers = slots.buffers
        rows = len(words)
        if rows not in self._recorded:
            self._recorded[rows] = None
            return self._step(words.to(self._model.device), slots)
        recorded = self._recorded[rows]
        if recorded is None:
            recorded = self._recorded[rows] = self._record(words, slots)
        recorded.ids.copy_(words)
        recorded.graph.replay()
        return recorded.said

    def _record(self, words: Int[Tensor, " row"], slots: Slots) -> _Recorded:
        graph, ids = torch.cuda.CUDAGraph(), words.to(self._model.device)
        others = [one.graph.pool() for one in self._recorded.values() if one is not None]
        # other threads see films meanwhile: what they ask of the GPU is no part of this
        with torch.cuda.graph(graph, pool=others[0] if others else None, capture_error_mode="thread_local"):
            said = self._step(ids, slots)
        return _Recorded(graph, ids, said)

    def _step(self, ids: Int[Tensor, " row"], slots: Slots) -> Float[Tensor, "row word"]:
        embeds = self._model.get_input_embeddings()(ids)
        return self._logits(self._llama.read_on(embeds, slots.layers, slots.positions, slots.seen))
