"""The loss of what the assistant says, without ever holding the logits of all tokens.

Logits of a chunk of supervised tokens exist at a time, and are gone before the next chunk's: their gradients are
taken at once, in the forward pass, so nothing is computed twice.
Axes: token (supervised ones), width (of the states), word (of the vocabulary); see also `data.packing`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from kangaroo.data.packing import Packed
from kangaroo.errors import OptionError
from kangaroo.model.layout import VisualLayout
from kangaroo.model.long_packed import are_long
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.packed import ContextGroup, SharedKeys, cut, gather, packed_inputs
from kangaroo.model.transfer import sent

CHUNK_TOKENS = 1024


def chunked_cross_entropy(
    hidden: Float[Tensor, "token width"],
    readout: Float[Tensor, "word width"],
    targets: Int[Tensor, " token"],
    counting: Float[Tensor, " token"],
    *,
    chunk_tokens: int = CHUNK_TOKENS,
    z_loss: float = 0.0,
) -> Float[Tensor, ""]:
    """Return the sum of the tokens' losses; no tensor is larger than a chunk's logits or the readout's weights.

    It is still to be divided, by what the tokens of all ranks and all accumulated batches count together.

    Args:
        hidden: The states that foretell the targets.
        readout: Weights from states to logits.
        targets: The words that come next.
        counting: How many times each token counts.
        chunk_tokens: Logits of how many tokens exist at a time.
        z_loss: Weight of the squared log of the softmax's normaliser, which keeps logits from drifting
            (Chowdhery et al. 2022, PaLM, arXiv 2204.02311, section 5); it is part of the sum.
    """
    assert chunk_tokens >= 1, f"chunks of {chunk_tokens} tokens"
    kind = hidden.device.type
    # the matrix products follow autocast, as those of a layer would
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else readout.dtype
    if not torch.is_grad_enabled():
        hidden, readout = hidden.detach(), readout.detach()
    total: Tensor = _ChunkedCrossEntropy.apply(hidden, readout, targets, counting, dtype, chunk_tokens, z_loss)  # type: ignore[no-untyped-call]
    return total


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        readout: Tensor,
        targets: Tensor,
        counting: Tensor,
        dtype: torch.dtype,
        chunk_tokens: int,
        z_loss: float,
    ) -> Tensor:
        wants_hidden, wants_readout = ctx.needs_input_grad[:2]
        total = hidden.new_zeros((), dtype=torch.float32)
        grad_hidden = torch.zeros_like(hidden) if wants_hidden else None
        # a sum over chunks: half precision would lose the small ones
        grad_readout = torch.zeros_like(readout, dtype=torch.float32) if wants_readout else None
        weights = readout.to(dtype)
        with torch.autocast(hidden.device.type, enabled=False):
            for start in range(0, len(targets), chunk_tokens):
                chunk = slice(start, start + chunk_tokens)
                states, words = hidden[chunk].to(dtype), rearrange(targets[chunk], "token -> token 1")
                times = rearrange(counting[chunk], "token -> token 1")
                logits = (states @ weights.T).float()
                normaliser = logits.logsumexp(dim=1, keepdim=True)
                total += (times * (normaliser - logits.gather(1, words) + z_loss * normaliser.square())).sum()
                if not (wants_hidden or wants_readout):
                    continue
                # in the logits' own memory: softmax, weighted by the z-loss, less one at the target
                slopes = logits.sub_(normaliser).exp_()
                if z_loss:
                    slopes *= 1 + 2 * z_loss * normaliser
                slopes.scatter_add_(1, words, slopes.new_full(words.shape, -1.0))
                slopes = slopes.to(dtype)
                times = times.to(dtype)
                if grad_hidden is not None:
                    grad_hidden[chunk] = times * (slopes @ weights)
                states = times * states
                if grad_readout is not None and dtype == torch.float32:
                    grad_readout.addmm_(slopes.T, states)
                elif grad_readout is not None:
                    grad_readout += slopes.T @ states
        ctx.save_for_backward(grad_hidden, grad_readout)
        ctx.readout_dtype = readout.dtype
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_total: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_readout = ctx.saved_tensors
        if grad_hidden is not None:
            grad_hidden = grad_hidden * grad_total.to(grad_hidden.dtype)
        if grad_readout is not None:
            # saved for this one use, so its memory may be used again
            grad_readout = grad_readout.mul_(grad_total).to(ctx.readout_dtype)
        return grad_hidden, grad_readout, None, None, None, None, None


class Objective(nn.Module):
    """The summed loss of what the assistant says in packed rows, as a module: what ranks share goes through `forward`.

    >>> total = Objective(model)(pixels, packed)
    >>> (total / weights_of_all_ranks_targets).backward()

    Rows without a film pass a blank frame through the vision tower and give it no weight: ranks that share
    parameters make the same calls, and every part has a gradient. No step waits for the device.

    Ranks that share rows (`context`) are given the same rows. Each reads its slice of them and returns the loss of
    the targets that fall in it; films are shared group by group, and each rank's feature rows go to all.

    Args:
        model: The network; `allow_packed_rows` has seen it.
        chunk_tokens: Logits of how many tokens exist at a time.
        z_loss: See `chunked_cross_entropy`.
        context: The ranks that share rows.
    """

    def __init__(
        self,
        model: KangarooForConditionalGeneration,
        *,
        chunk_tokens: int = CHUNK_TOKENS,
        z_loss: float = 0.0,
        context: ContextGroup | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.chunk_tokens = chunk_tokens
        self.z_loss = z_loss
        self.context = context

    def forward(self, pixels: Float[Tensor, "frame 3 height width"], packed: Packed) -> Float[Tensor, ""]:
        """Return the sum of the losses of the rows' `packed.targets`, each as often as its weight says.

        Args:
            pixels: Normalised frames of all films on end, in the rows' order; none where the rows hold no film.
            packed: The rows.

        Raises:
            OptionError: The ranks that share rows do not divide the rows' length.
        """
        hidden, packed = self._supervised(pixels, packed, self.context)
        targets, weights = sent(packed.targets, pixels.device), sent(packed.weights, pixels.device)
        readout = self.model.lm_head.weight
        return chunked_cross_entropy(
            hidden, readout, targets, weights, chunk_tokens=self.chunk_tokens, z_loss=self.z_loss
        )

    # eager: it is too seldom asked to be worth a compilation of its own
    @torch.compiler.set_stance("force_eager")
    @torch.no_grad()
    def predict(self, pixels: Float[Tensor, "frame 3 height width"], packed: Packed) -> Int[Tensor, " target"]:
        """Return the likeliest word in the place of each of `packed.targets`; every rank reads its rows whole."""
        hidden, _ = self._supervised(pixels, packed, None)
        readout = self.model.lm_head.weight
        return torch.cat(
            [(states.to(readout.dtype) @ readout.T).argmax(dim=1) for states in hidden.split(self.chunk_tokens)]
        )

    def _supervised(
        self, pixels: Tensor, packed: Packed, context: ContextGroup | None
    ) -> tuple[Float[Tensor, "token width"], Packed]:
        """Return the states that foretell this rank's targets, and what it holds of the rows."""
        device = pixels.device
        features = self._features(pixels, packed, context)
        keys = None
        if context is not None:
            packed, keys = slice_rows(packed, context)
            keys = keys._replace(
                places=sent(keys.places, device),
                boundaries=sent(keys.boundaries, device),
            )
        positions = packed.input_ids.shape[1]
        embeds = self.model.get_input_embeddings()(sent(packed.input_ids, device))
        embeds = rearrange(embeds, "row position width -> (row position) width")
        if packed.num_frames:
            # selected, not indexed: the gradient of indexing sorts, for a row may be shown several times
            shown = features.index_select(0, sent(packed.feature_rows, device))
            embeds = embeds.index_copy(0, sent(packed.placeholders, device), shown.to(embeds.dtype))
        else:
            embeds = embeds + 0.0 * features.sum().to(embeds.dtype)
        embeds = rearrange(embeds, "(row position) width -> row position width", position=positions)
        language_model = self.model.model.language_model
        text = language_model.config
        is_dense = keys is None and are_long(packed.boundaries, width=text.num_attention_heads * text.head_dim)
        hidden = language_model(
            # cloned, as a compiled layer would be compiled again for one that is a view
            inputs_embeds=embeds.clone(),
            **packed_inputs(
                sent(packed.boundaries, device),
                sent(packed.position_ids, device),
                longest=packed.longest,
                here=packed.boundaries if is_dense else None,
                keys=keys,
            ),
        ).last_hidden_state
        hidden = rearrange(hidden, "row position width -> (row position) width")
        return hidden.index_select(0, sent(packed.supervised, device)), packed

    def _features(self, pixels: Tensor, packed: Packed, context: ContextGroup | None) -> Float[Tensor, "visual width"]:
        """Return the feature rows of all films, or those of a blank frame where there is none."""
        if not packed.num_frames:
            return self._encode_blank(pixels)
        times_s = sent(packed.times_s, pixels.device)
        if context is None:
            # with blank frames at the end, which no place takes: a GPU's kernels are planned anew for every new number
            blank = few_numbers(len(pixels)) - len(pixels)
            pixels, times_s = F.pad(pixels, (0, 0, 0, 0, 0, 0, 0, blank)), F.pad(times_s, (0, blank))
            return self._encode(pixels, times_s, (*packed.num_frames, blank) if blank else packed.num_frames)
        layout = self.model.config.layout(image_size_px=pixels.shape[-1])
        num_groups = sum(map(layout.num_groups, packed.num_frames))
        each = -(-num_groups // context.size)
        first = context.rank * each
        mine = frames_of_groups(packed.num_frames, range(first, min(first + each, num_groups)), layout)
        if mine:
            shown = torch.cat([pixels[piece.start : piece.stop] for piece in mine])
            when_s = torch.cat([times_s[piece.start : piece.stop] for piece in mine])
            features = self._encode(shown, when_s, [len(piece) for piece in mine])
        else:
            features = self._encode_blank(pixels)
        # only the last ranks have room left, so what fills it comes after all rows
        room = each * layout.tokens_per_group - len(features)
        return gather(F.pad(features, (0, 0, 0, room)), context)[: num_groups * layout.tokens_per_group]

    def _encode(self, pixels: Tensor, times_s: Tensor, num_frames: Sequence[int]) -> Tensor:
        # all at once: ranks that share parameters call the tower's blocks equally often
        at_once = len(pixels) + len(num_frames) * self.model.config.layout().kernel[0]
        return self.model.model.encode_films(pixels, times_s, num_frames, chunk_frames=at_once)

    def _encode_blank(self, pixels: Tensor) -> Tensor:
        blank = pixels.new_zeros(1, *pixels.shape[1:])
        return self._encode(blank, blank.new_zeros(1, dtype=torch.float32), [1])


def few_numbers(count: int) -> int:
    """Return the next number whose binary digits after the first five are 0: at most a sixteenth more.

    >>> few_numbers(31), few_numbers(33), few_numbers(1001)
    (31, 34, 1024)
    """
    step = 1 << max(0, count.bit_length() - 5)
    return -(-count // step) * step


def slice_rows(packed: Packed, context: ContextGroup) -> tuple[Packed, SharedKeys]:
    """Return the rows' positions that a rank of the group holds, with all films, and the keys that they attend to.

    Raises:
        OptionError: The ranks do not divide the rows' length.
    """
    num_rows, num_positions = packed.input_ids.shape
    if num_positions % context.size:
        raise OptionError(
            f"rows of {num_positions} tokens cannot be shared evenly by {context.size} ranks; give the stage a "
            "context that context_gpus divides"
        )
    length = num_positions // context.size
    start = context.rank * length
    cutting = cut(packed.boundaries, num_rows=num_rows, num_positions=num_positions, context=context)

    def is_here(places: Tensor) -> Tensor:
        return places % num_positions // length == context.rank

    def moved(places: Tensor) -> Tensor:
        return places // num_positions * length + places % num_positions - start

    said, shown = is_here(packed.supervised), is_here(packed.placeholders)
    mine = replace(
        packed,
        input_ids=packed.input_ids[:, start : start + length],
        position_ids=packed.position_ids[:, start : start + length],
        boundaries=cutting.boundaries,
        longest=cutting.longest,
        supervised=moved(packed.supervised[said]),
        targets=packed.targets[said],
        weights=packed.weights[said],
        placeholders=moved(packed.placeholders[shown]),
        feature_rows=packed.feature_rows[shown],
    )
    return mine, cutting.keys


def frames_of_groups(num_frames: Sequence[int], groups: range, layout: VisualLayout) -> list[range]:
    """Return, film by film, the frames that fill these groups: encoded alone they give the groups' feature rows.

    Args:
        num_frames: Of each film.
        groups: Numbered over all films on end.
        layout: Says which frames share a group.
    """
    folded = layout.kernel[0]
    pieces, films_groups, films_frames = [], 0, 0
    for count in num_frames:
        num_groups = layout.num_groups(count)
        first, last = max(groups.start - films_groups, 0), min(groups.stop - films_groups, num_groups)
        if first < last:
            pieces.append(range(films_frames + first * folded, films_frames + min(last * folded, count)))
        films_groups, films_frames = films_groups + num_groups, films_frames + count
    return pieces
