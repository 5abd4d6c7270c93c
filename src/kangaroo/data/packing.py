"""Several conversations fill one row of the context, whole, while the samples after them are still being decoded.

A short buffer looks ahead in the stream; each row begins with the sample that has waited longest and takes of the
others those that fill it best. Nothing but sample numbers is needed to go on after a stop: see `PackingState`.
Axes: row, position (in a row), target (a supervised token), visual (a placeholder), frame (of all films on end).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate, chain, count
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from kangaroo.dialogue.encoding import Encoded
from kangaroo.errors import ContextError


@dataclass(frozen=True, kw_only=True)
class PackingSample:
    """A conversation ready to be packed.

    Attributes:
        number: Its place in the stream. Numbers grow; those of samples that could not be read are left out.
        encoded: Ids, what the assistant says of them, and each film's number of frames.
        times_s: When each frame of its films was shown, in seconds of its film.
        media: What the films' pixels are made of. Packing only carries it.
    """

    number: int
    encoded: Encoded
    times_s: NDArray[np.float32]
    media: Any = None

    def __len__(self) -> int:
        return len(self.encoded)


@dataclass(frozen=True, kw_only=True)
class PackingState:
    """Where a stream of packed rows stands: all before `next_number` is packed but the pending samples.

    >>> rows = pack(map(read_sample, state.numbers()), state=state, context_tokens=8192, pad_id=1, placeholder_id=9)

    Attributes:
        pending: Samples that were read and are not packed yet, in the buffer's order.
        next_number: The first that was not read.
        stride: From one number to the next: streams that share a mixture take turns.
    """

    pending: tuple[int, ...] = ()
    next_number: int = 0
    stride: int = 1

    def numbers(self) -> Iterator[int]:
        """Yield, without end, the numbers of the samples to give to `pack` to go on as if it had never stopped."""
        return chain(self.pending, count(self.next_number, self.stride))


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Rows full of conversations.

    Attributes:
        input_ids: Conversations on end; what is left of a row is padding, a conversation of its own.
        position_ids: Begin anew with each conversation.
        boundaries: Where conversations begin in the rows laid end to end, and where the last ends.
        longest: Tokens of the longest conversation or padding.
        supervised: Where in the rows laid end to end a state must foretell what the assistant says next.
        targets: What it says there.
        placeholders: Where in the rows laid end to end feature rows of films belong.
        num_frames: Of each film, in order.
        times_s: Seconds of each frame of all films in order.
        media: What each conversation's sample carried.
        numbers: Each conversation's sample number.
        state: Where to go on after these rows.
    """

    input_ids: Int[Tensor, "row position"]
    position_ids: Int[Tensor, "row position"]
    boundaries: Int[Tensor, " boundary"]
    longest: int
    supervised: Int[Tensor, " target"]
    targets: Int[Tensor, " target"]
    placeholders: Int[Tensor, " visual"]
    num_frames: tuple[int, ...]
    times_s: Float[Tensor, " frame"]
    num_tokens: int
    media: tuple[Any, ...]
    numbers: tuple[int, ...]
    state: PackingState

    @property
    def fill(self) -> float:
        """The share of slots that is not padding."""
        return self.num_tokens / self.input_ids.numel()

    def pin_memory(self) -> "Packed":
        """Return the same in page-locked memory, from where copies to a GPU overlap; torch's DataLoader calls it."""
        tensors: dict[str, Any] = {
            field.name: value.pin_memory()
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        media = tuple(each.pin_memory() if hasattr(each, "pin_memory") else each for each in self.media)
        return replace(self, media=media, **tensors)


def check_fits(sample: PackingSample, *, context_tokens: int) -> None:
    """Refuse a sample that no row can hold whole; a loader asks before it decodes, and puts it aside.

    Raises:
        ContextError: It is longer than the context.
    """
    if len(sample) > context_tokens:
        frames = " + ".join(map(str, sample.encoded.num_frames)) or "no"
        raise ContextError(
            f"sample {sample.number} has {len(sample)} tokens ({frames} frames of films, "
            f"{sum(sample.encoded.assistant_mask)} tokens of answers), {len(sample) - context_tokens} more than the "
            f"context of {context_tokens}; give it fewer frames or the stage a longer context"
        )


def pack(
    samples: Iterable[PackingSample],
    *,
    context_tokens: int,
    pad_id: int,
    placeholder_id: int,
    num_rows: int = 1,
    lookahead: int = 32,
    state: PackingState = PackingState(),
) -> Iterator[Packed]:
    """Yield rows as soon as enough samples are read to fill them well; when the stream ends, what is left.

    Args:
        samples: Numbered, ready samples, read one by one when a place in the buffer is free.
        context_tokens: Length of a row.
        pad_id: What stands where no conversation is.
        placeholder_id: The token whose places feature rows take.
        num_rows: Rows in each result; the stream's end may give fewer.
        lookahead: Samples to choose from, or more where they are so short that two rows would hold them. A higher
            number fills rows better and holds more media in memory.
        state: Where the stream stands; `samples` then come in the order of `state.numbers()`.

    Raises:
        ContextError: A sample is longer than the context.
    """
    assert num_rows >= 1, f"{num_rows} rows"
    assert lookahead >= 1, f"a look ahead of {lookahead} samples"
    stream, buffer, next_number = iter(samples), list[PackingSample](), state.next_number
    while True:
        rows: list[list[PackingSample]] = []
        while len(rows) < num_rows:
            while _wants_more(buffer, lookahead, context_tokens) and (sample := next(stream, None)) is not None:
                check_fits(sample, context_tokens=context_tokens)
                buffer.append(sample)
                next_number = max(next_number, sample.number + state.stride)
            if not buffer:
                break
            chosen = choose([len(sample) for sample in buffer], context_tokens)
            rows.append([buffer[place] for place in chosen])
            buffer = [sample for place, sample in enumerate(buffer) if place not in set(chosen)]
        if not rows:
            return
        after = replace(state, pending=tuple(sample.number for sample in buffer), next_number=next_number)
        yield lay_out(rows, context_tokens=context_tokens, pad_id=pad_id, placeholder_id=placeholder_id, state=after)


def _wants_more(buffer: Sequence[PackingSample], lookahead: int, context_tokens: int) -> bool:
    return len(buffer) < lookahead or sum(map(len, buffer)) < 2 * context_tokens


def choose(lengths: Sequence[int], room: int) -> list[int]:
    """Return which samples fill a row best: the first, and of the others those that leave the least room.

    Exact: a bit for each sum that can be reached says whether it can (subset sum). Of equally full rows the one with
    the longest samples is taken, for short ones find room anywhere.
    """
    others = sorted(range(1, len(lengths)), key=lambda place: (lengths[place], place))
    within = (1 << (room - lengths[0] + 1)) - 1
    # sums that the first so many others reach; the shortest come first, so the way back begins with the longest
    reached = list(accumulate(others, lambda sums, place: (sums | sums << lengths[place]) & within, initial=1))
    rest, chosen = reached[-1].bit_length() - 1, [0]
    for before, place in zip(reversed(reached[:-1]), reversed(others), strict=True):
        if lengths[place] <= rest and before >> (rest - lengths[place]) & 1:
            chosen.append(place)
            rest -= lengths[place]
    assert rest == 0, f"{rest} tokens of a sum that can be reached are left over"
    return sorted(chosen)


def lay_out(
    rows: Sequence[Sequence[PackingSample]],
    *,
    context_tokens: int,
    pad_id: int,
    placeholder_id: int,
    state: PackingState = PackingState(),
) -> Packed:
    """Return the tensors of rows whose samples are chosen."""
    input_ids = np.full((len(rows), context_tokens), pad_id, dtype=np.int64)
    said = np.zeros((len(rows), context_tokens), dtype=bool)
    position_ids = np.zeros((len(rows), context_tokens), dtype=np.int64)
    lengths: list[int] = []
    for row, samples in enumerate(rows):
        start = 0
        for sample in samples:
            end = start + len(sample)
            input_ids[row, start:end] = sample.encoded.input_ids
            # nothing comes before a conversation, so its first token is nobody's target
            said[row, start + 1 : end] = sample.encoded.assistant_mask[1:]
            position_ids[row, start:end] = np.arange(len(sample))
            assert sum(sample.encoded.num_frames) == len(sample.times_s), f"times of sample {sample.number}"
            lengths.append(len(sample))
            start = end
        if start < context_tokens:
            position_ids[row, start:] = np.arange(context_tokens - start)
            lengths.append(context_tokens - start)
    in_order = [sample for samples in rows for sample in samples]
    targets = said.reshape(-1).nonzero()[0]
    return Packed(
        input_ids=torch.from_numpy(input_ids),
        position_ids=torch.from_numpy(position_ids),
        boundaries=torch.tensor([0, *accumulate(lengths)], dtype=torch.int32),
        longest=max(lengths),
        supervised=torch.from_numpy(targets - 1),
        targets=torch.from_numpy(input_ids.reshape(-1)[targets]),
        placeholders=torch.from_numpy((input_ids.reshape(-1) == placeholder_id).nonzero()[0]),
        num_frames=tuple(frames for sample in in_order for frames in sample.encoded.num_frames),
        times_s=torch.from_numpy(np.concatenate([sample.times_s for sample in in_order]).astype(np.float32)),
        num_tokens=sum(map(len, in_order)),
        media=tuple(sample.media for sample in in_order),
        numbers=tuple(sample.number for sample in in_order),
        state=state,
    )
