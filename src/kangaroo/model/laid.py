"""Parameters laid end to end in one tensor, so that one product reads them together; the modules keep views.

What changes a parameter in place changes the tensor too. Saving and loading see parameters as they were.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F


@torch.no_grad()
def end_to_end(parts: Sequence[Shaped[Tensor, "..."]], *, room: int = 0) -> Shaped[Tensor, "..."]:
    """Return the rows of parameters one after the other, each parameter's followed by so many rows of zeros.

    Parameters that lie so already stay where they are.
    """
    rows = [len(part) + room for part in parts]
    if (whole := _as_they_lie(parts, rows)) is not None:
        return whole
    whole = torch.cat([F.pad(part, (0, 0) * (part.ndim - 1) + (0, room)) for part in parts])
    for part, own in zip(parts, whole.split(rows), strict=True):
        part.data = own[: len(part)]
    return whole


@torch.no_grad()
def with_columns(part: Float[Tensor, "rows columns"], room: int) -> Float[Tensor, "rows more_columns"]:
    """Return a parameter with so many columns of zeros behind its own; one that lies so already stays where it is."""
    rows, columns = part.shape
    memory, more = part.untyped_storage(), columns + room
    if part.stride() == (more, 1) and memory.nbytes() == rows * more * part.element_size():
        return part.detach().as_strided((rows, more), (more, 1), 0)
    whole = F.pad(part, (0, room))
    part.data = whole[:, :columns]
    return whole


def _as_they_lie(parts: Sequence[Tensor], rows: Sequence[int]) -> Tensor | None:
    """Return what fills a memory of its own with these parts already."""
    first = parts[0].detach()
    memory, row_bytes = first.untyped_storage(), first[0].nbytes
    starts = accumulate(rows, initial=0)
    lie_so = memory.nbytes() == sum(rows) * row_bytes and all(
        part.is_contiguous() and part.data_ptr() == memory.data_ptr() + start * row_bytes
        for part, start in zip(parts, starts, strict=False)
    )
    return first.as_strided((sum(rows), *first.shape[1:]), first.stride(), 0) if lie_so else None
