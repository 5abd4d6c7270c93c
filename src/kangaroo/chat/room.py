"""Refuse before anything is decoded what the device has no memory for, and say how many frames it has memory for."""

import torch

from kangaroo.dialogue.plan import Plan
from kangaroo.errors import ContextError
from kangaroo.model.int8 import Int8Linear
from kangaroo.model.memory import most_frames_that, needed
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.system import memory_bytes

GIB = 2**30


class Room:
    """The memory that a model's device has for a question: what is free when this is made, before any was asked.

    Args:
        model: On its device.
    """

    def __init__(self, model: KangarooForConditionalGeneration) -> None:
        self._config = model.config
        self._bytes_each = model.lm_head.weight.itemsize
        self._int8 = any(isinstance(part, Int8Linear) for part in model.modules())
        self._free = _free_bytes(model.device)

    def check(self, plan: Plan, *, reserve_tokens: int) -> None:
        """Refuse a question that could not even be asked alone.

        Raises:
            ContextError: It says how many frames could.
        """
        words = plan.prompt_tokens - plan.visual_tokens + reserve_tokens
        counts = [film.num_frames for film in plan.films]

        def fits(cap: int) -> bool:
            return self._free is None or self._bytes([min(count, cap) for count in counts], words) <= self._free

        most = max(counts, default=0)
        if fits(most):
            return
        cap = most_frames_that(fits, self._config, limit=most)
        advice = f"ask for at most {cap} frames a film" if cap else "take a smaller model, or another device"
        raise ContextError(
            f"{plan}, {self._bytes(counts, words) / GIB:.1f} GiB: more than the model's device has beside the weights; "
            f"{advice}"
        )

    def told(self, plan: Plan) -> str:
        """Return what a plan's films are in one line, with the memory that they take where it is worth a word."""
        num_bytes = self._bytes([film.num_frames for film in plan.films], 0)
        return f"{plan}, {num_bytes / GIB:.1f} GiB" if plan.films and num_bytes >= GIB / 4 else str(plan)

    def _bytes(self, counts: list[int], words: int) -> float:
        visual_tokens = sum(map(self._config.layout().num_tokens, counts))
        return needed(
            self._config,
            num_frames=sum(counts),
            num_tokens=visual_tokens + words,
            bytes_each=self._bytes_each,
            int8=self._int8,
        ).total


def _free_bytes(device: torch.device) -> int | None:
    """Return what is free, what torch keeps for itself included; None where the system does not say."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    known = memory_bytes()
    return None if known is None else known[1]
