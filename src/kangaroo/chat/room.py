"""Refuse before anything is decoded what the device has no memory for, and say what it would have."""

import torch

from kangaroo.dialogue.plan import Plan
from kangaroo.errors import ContextError
from kangaroo.model.int8 import Int8Linear
from kangaroo.model.memory import Need, needed
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.system import memory_bytes

GIB = 2**30


class Room:
    """The memory that a model's device has for questions, beside the weights and other programs.

    Args:
        model: On its device.
    """

    def __init__(self, model: KangarooForConditionalGeneration) -> None:
        self._config, self._device = model.config, model.device
        self._bytes_each = model.lm_head.weight.itemsize
        self._int8 = any(isinstance(part, Int8Linear) for part in model.modules())
        self._weights = sum(one.nbytes for one in (*model.parameters(), *model.buffers()))

    def check(self, plan: Plan, *, reserve_tokens: int) -> Need:
        """Return what a question takes, answers' tokens included.

        Raises:
            ContextError: The device has less, with nothing else asked. It says how many frames would fit.
        """
        need, free = self._need(plan, reserve_tokens), self._free_bytes()
        if need.total <= free:
            return need
        most = max((film.num_frames for film in plan.films), default=0)
        fold = self._config.layout().kernel[0]
        fits = [cap for cap in range(fold, most, fold) if self._need(plan, reserve_tokens, cap=cap).total <= free]
        advice = f"ask for at most {fits[-1]} frames a film" if fits else "use --quantize int8, or another device"
        raise ContextError(
            f"{plan}: this takes {need.total / GIB:.1f} GiB beside the weights, and {self._device} has "
            f"{free / GIB:.1f} GiB for it; {advice}"
        )

    def _need(self, plan: Plan, reserve_tokens: int, *, cap: int | None = None) -> Need:
        counts = [film.num_frames if cap is None else min(film.num_frames, cap) for film in plan.films]
        visual_tokens = sum(map(self._config.layout().num_tokens, counts))
        return needed(
            self._config,
            num_frames=sum(counts),
            num_tokens=plan.prompt_tokens - plan.visual_tokens + visual_tokens + reserve_tokens,
            bytes_each=self._bytes_each,
            int8=self._int8,
        )

    def _free_bytes(self) -> int:
        if self._device.type != "cuda":
            return memory_bytes()[1]
        # other conversations' are counted as free: they end
        return torch.cuda.mem_get_info(self._device)[0] + torch.cuda.memory_reserved(self._device) - self._weights


def told(need: Need) -> str:
    """Return what a question takes as the end of a sentence, where it is worth a word."""
    return f", {need.total / GIB:.1f} GiB" if need.total >= GIB / 4 else ""
