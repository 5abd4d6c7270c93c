"""Several conversations fill one row of the context, whole, while the samples after them are still being decoded.

Conversations about the same films stand in one sample: each shows the films to the language model anew, while the
vision tower sees them once. A short buffer looks ahead in the stream; each row begins with the sample that has waited
longest and takes of the others those that fill it best. Nothing but sample numbers is needed to go on after a stop:
see `PackingState`.
Axes: row, position (in a row), target (a supervised token), visual (a placeholder), frame (of all films on end),
boundary (between conversations).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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
    """Conversations about the same films (or about none), ready to be packed.

    Attributes:
        number: Its place in the stream. Numbers grow; those of samples that could not be read are left out.
        conversations: Ids, what the assistant says of them, and each film's number of frames, the same in all.
        times_s: When each frame of its films was shown, in seconds of its film.
        media: What the films' pixels are made of. Packing only carries it.
        weight: What its targets count in the loss beside those of other samples.
    """

    number: int
    conversations: tuple[Encoded, ...]
    times_s: NDArray[np.float32]
    media: Any = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        assert self.conversations, f"sample {self.number} holds no conversation"
        shown = {tuple(one.num_frames) for one in self.conversations}
        assert len(shown) == 1, f"the conversations of sample {self.number} are not about the same films: {shown}"
        assert sum(self.num_frames) == len(self.times_s), f"times of sample {self.number}"

    def __len__(self) -> int:
        return sum(map(len, self.conversations))

    @property
    def num_frames(self) -> list[int]:
        """Frames of each film."""
        return self.conversations[0].num_frames


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
class Row:
    """A row full of conversations, as arrays: what a worker process hands over.

    Attributes:
        input_ids: Conversations on end; what is left is padding, a conversation of its own.
        position_ids: Begin anew with each conversation.
        lengths: Tokens of each conversation and of the padding.
        supervised: Where a state must foretell what the assistant says next.
        weights: What each of these counts in the loss.
        placeholders: Where feature rows of films belong.
        feature_rows: Which of all the row's films' feature rows each of these places takes.
        num_frames: Of each film, in order.
        times_s: Seconds of each frame of all films in order.
        num_tokens: Places that are not padding.
        media: What each sample carried.
        numbers: Each sample's number.
        state: Where the stream goes on after this row.
    """

    input_ids: Int[np.ndarray, " position"]
    position_ids: Int[np.ndarray, " position"]
    lengths: tuple[int, ...]
    supervised: Int[np.ndarray, " target"]
    weights: Float[np.ndarray, " target"]
    placeholders: Int[np.ndarray, " visual"]
    feature_rows: Int[np.ndarray, " visual"]
    num_frames: tuple[int, ...]
    times_s: Float[np.ndarray, " frame"]
    num_tokens: int
    media: tuple[Any, ...]
    numbers: tuple[int, ...]
    state: PackingState

    @property
    def fill(self) -> float:
        """The share of places that is not padding."""
        return self.num_tokens / len(self.input_ids)

    @property
    def squares(self) -> int:
        """The sum of the conversations' squared lengths, which attention's work grows with."""
        return sum(length**2 for length in self.lengths) - (len(self.input_ids) - self.num_tokens) ** 2


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Rows that pass the network together, as tensors.

    Attributes:
        input_ids: Of each row.
        position_ids: Begin anew with each conversation.
        boundaries: Where conversations begin in the rows laid end to end, and where the last ends.
        longest: Tokens of the longest conversation or padding.
        supervised: Where in the rows laid end to end a state must foretell what the assistant says next.
        targets: What it says there.
        weights: What each target counts in the loss.
        placeholders: Where in the rows laid end to end feature rows of films belong.
        feature_rows: Which of all films' feature rows each of these places takes.
        num_frames: Of each film, in order.
        times_s: Seconds of each frame of all films in order.
        media: What each sample carried.
    """

    input_ids: Int[Tensor, "row position"]
    position_ids: Int[Tensor, "row position"]
    boundaries: Int[Tensor, " boundary"]
    longest: int
    supervised: Int[Tensor, " target"]
    targets: Int[Tensor, " target"]
    weights: Float[Tensor, " target"]
    placeholders: Int[Tensor, " visual"]
    feature_rows: Int[Tensor, " visual"]
    num_frames: tuple[int, ...]
    times_s: Float[Tensor, " frame"]
    media: tuple[Any, ...]


def check_fits(sample: PackingSample, *, context_tokens: int) -> None:
    """Refuse a sample that no row can hold whole; a loader asks, and puts it aside.

    Raises:
        ContextError: It is longer than the context.
    """
    if len(sample) > context_tokens:
        frames = " + ".join(map(str, sample.num_frames)) or "no"
        answers = sum(sum(one.assistant_mask) for one in sample.conversations)
        raise ContextError(
            f"sample {sample.number} has {len(sample)} tokens ({frames} frames of films, "
            f"{answers} tokens of answers), {len(sample) - context_tokens} more than the "
            f"context of {context_tokens}; give it fewer frames or the stage a longer context"
        )


def pack(
    samples: Iterable[PackingSample],
    *,
    context_tokens: int,
    pad_id: int,
    placeholder_id: int,
    lookahead: int = 32,
    state: PackingState = PackingState(),
) -> Iterator[Row]:
    """Yield rows as soon as enough samples are read to fill them well; when the stream ends, what is left.

    Args:
        samples: Numbered, ready samples, read one by one when a place in the buffer is free.
        context_tokens: Length of a row.
        pad_id: What stands where no conversation is.
        placeholder_id: The token whose places feature rows take.
        lookahead: Samples to choose from, or more where they are so short that two rows would hold them. A higher
            number fills rows better and holds more media in memory.
        state: Where the stream stands; `samples` then come in the order of `state.numbers()`.

    Raises:
        ContextError: A sample is longer than the context.
    """
    assert lookahead >= 1, f"a look ahead of {lookahead} samples"
    stream, buffer, next_number = iter(samples), list[PackingSample](), state.next_number
    while True:
        while _wants_more(buffer, lookahead, context_tokens) and (sample := next(stream, None)) is not None:
            check_fits(sample, context_tokens=context_tokens)
            buffer.append(sample)
            next_number = max(next_number, sample.number + state.stride)
        if not buffer:
            return
        chosen = choose([len(sample) for sample in buffer], context_tokens)
        taken = [buffer[place] for place in chosen]
        buffer = [sample for place, sample in enumerate(buffer) if place not in set(chosen)]
        after = replace(state, pending=tuple(sample.number for sample in buffer), next_number=next_number)
        yield lay_out(taken, context_tokens=context_tokens, pad_id=pad_id, placeholder_id=placeholder_id, state=after)


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
    samples: Sequence[PackingSample],
    *,
    context_tokens: int,
    pad_id: int,
    placeholder_id: int,
    state: PackingState = PackingState(),
) -> Row:
    """Return the row that holds these samples."""
    input_ids = np.full(context_tokens, pad_id, dtype=np.int32)
    said = np.zeros(context_tokens, dtype=np.float32)
    position_ids = np.zeros(context_tokens, dtype=np.int32)
    lengths: list[int] = []
    shown: list[np.ndarray] = []
    start = films_end = 0
    for sample in samples:
        films_start = films_end
        for one in sample.conversations:
            end = start + len(one)
            input_ids[start:end] = one.input_ids
            # nothing comes before a conversation, so its first token is nobody's target
            said[start + 1 : end] = np.multiply(one.assistant_mask[1:], sample.weight)
            position_ids[start:end] = np.arange(len(one))
            films_end = films_start + int((input_ids[start:end] == placeholder_id).sum())
            shown.append(np.arange(films_start, films_end))
            lengths.append(len(one))
            start = end
    if start < context_tokens:
        position_ids[start:] = np.arange(context_tokens - start)
        lengths.append(context_tokens - start)
    return Row(
        input_ids=input_ids,
        position_ids=position_ids,
        lengths=tuple(lengths),
        supervised=_short(said.nonzero()[0] - 1),
        weights=said[said.nonzero()],
        placeholders=_short((input_ids == placeholder_id).nonzero()[0]),
        feature_rows=_short(np.concatenate(shown)),
        num_frames=tuple(frames for sample in samples for frames in sample.num_frames),
        times_s=np.concatenate([sample.times_s for sample in samples]).astype(np.float32),
        num_tokens=start,
        media=tuple(sample.media for sample in samples),
        numbers=tuple(sample.number for sample in samples),
        state=state,
    )


def _short(places: Int[np.ndarray, " place"]) -> Int[np.ndarray, " place"]:
    """Halve what a worker process hands over."""
    return places.astype(np.int32)


def join(rows: Sequence[Row]) -> Packed:
    """Return rows of equal length as tensors, laid end to end where one index counts over all of them."""
    input_ids = np.stack([row.input_ids for row in rows]).astype(np.int64)
    length = input_ids.shape[1]
    # a film's feature rows fill a sample's every conversation, so the highest index tells how many a row has
    features = [int(row.feature_rows.max(initial=-1)) + 1 for row in rows]
    features_before = [0, *accumulate(features)]
    supervised = _on_end([row.supervised + place * length for place, row in enumerate(rows)])
    lengths = [length for row in rows for length in row.lengths]
    return Packed(
        input_ids=torch.from_numpy(input_ids),
        position_ids=torch.from_numpy(np.stack([row.position_ids for row in rows]).astype(np.int64)),
        boundaries=torch.tensor([0, *accumulate(lengths)], dtype=torch.int32),
        longest=max(lengths),
        supervised=torch.from_numpy(supervised),
        targets=torch.from_numpy(input_ids.reshape(-1)[supervised + 1]),
        weights=torch.from_numpy(np.concatenate([row.weights for row in rows])),
        placeholders=torch.from_numpy(_on_end([row.placeholders + place * length for place, row in enumerate(rows)])),
        feature_rows=torch.from_numpy(
            _on_end([row.feature_rows + before for row, before in zip(rows, features_before, strict=False)])
        ),
        num_frames=tuple(frames for row in rows for frames in row.num_frames),
        times_s=torch.from_numpy(np.concatenate([row.times_s for row in rows])),
        media=tuple(medium for row in rows for medium in row.media),
    )


def _on_end(places: Sequence[Int[np.ndarray, "..."]]) -> Int[np.ndarray, " place"]:
    return np.concatenate(places).astype(np.int64)
