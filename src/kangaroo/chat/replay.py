"""A running batch's next step as one CUDA graph: the GPU is given a few hundred kernels at once, not one by one.

A graph is bound to the rows of the batch and their buffers. After these changed, one step goes kernel by kernel, which
also compiles what was not compiled yet; the next is recorded, and those after it replay it.
Axes: row, word (of the vocabulary).
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kangaroo.chat.slots import Slots
from kangaroo.model.fast_llama import FastLlama
from kangaroo.model.modeling import KangarooForConditionalGeneration


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
        self._graph: torch.cuda.CUDAGraph | None = None
        self._seen_change = -1
        self._ids = torch.zeros(0, dtype=torch.long)
        self._said = torch.zeros(0)

    def read_on(self, ids: Sequence[int], slots: Slots) -> Float[Tensor, "row word"]:
        """Return logits that the next call overwrites."""
        words = torch.tensor(ids)
        with torch.cuda.device(self._model.device):
            return self._read_on(words, slots)

    def _read_on(self, words: Int[Tensor, " row"], slots: Slots) -> Float[Tensor, "row word"]:
        if slots.change != self._seen_change:
            self._graph, self._seen_change = None, slots.change
            self._ids = words.to(self._model.device)
            return self._step(self._ids, slots)
        self._ids.copy_(words)
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            # other threads see films meanwhile: what they ask of the GPU is no part of this
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._said = self._step(self._ids, slots)
        self._graph.replay()
        return self._said

    def _step(self, ids: Int[Tensor, " row"], slots: Slots) -> Float[Tensor, "row word"]:
        embeds = self._model.get_input_embeddings()(ids)
        return self._logits(self._llama.read_on(embeds, slots.layers, slots.positions, slots.seen))
