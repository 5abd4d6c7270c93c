"""The loss of what the assistant says, without ever holding the logits of all tokens.

Logits of a chunk of supervised tokens exist at a time, and are gone before the next chunk's: their gradients are
taken at once, in the forward pass, so nothing is computed twice.
Axes: token (supervised ones), width (of the states), word (of the vocabulary).
"""

from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from kangaroo.data.packing import Packed
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.packed import packed_inputs

CHUNK_TOKENS = 1024


class SummedLoss(NamedTuple):
    """A loss still to be divided, by the tokens of all ranks and all accumulated batches together."""

    total: Float[Tensor, ""]
    num_tokens: int


def chunked_cross_entropy(
    hidden: Float[Tensor, "token width"],
    readout: Float[Tensor, "word width"],
    targets: Int[Tensor, " token"],
    *,
    chunk_tokens: int = CHUNK_TOKENS,
    z_loss: float = 0.0,
) -> SummedLoss:
    """Return the sum of the tokens' losses; no tensor is larger than a chunk's logits or the readout's weights.

    Args:
        hidden: The states that foretell the targets.
        readout: Weights from states to logits.
        targets: The words that come next.
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
    total: Tensor = _ChunkedCrossEntropy.apply(hidden, readout, targets, dtype, chunk_tokens, z_loss)  # type: ignore[no-untyped-call]
    return SummedLoss(total, len(targets))


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        readout: Tensor,
        targets: Tensor,
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
                logits = (states @ weights.T).float()
                normaliser = logits.logsumexp(dim=1, keepdim=True)
                total += (normaliser - logits.gather(1, words) + z_loss * normaliser.square()).sum()
                if not (wants_hidden or wants_readout):
                    continue
                # in the logits' own memory: softmax, weighted by the z-loss, less one at the target
                slopes = logits.sub_(normaliser).exp_()
                if z_loss:
                    slopes *= 1 + 2 * z_loss * normaliser
                slopes.scatter_add_(1, words, slopes.new_full(words.shape, -1.0))
                slopes = slopes.to(dtype)
                if grad_hidden is not None:
                    grad_hidden[chunk] = slopes @ weights
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
        return grad_hidden, grad_readout, None, None, None, None


def packed_loss(
    model: KangarooForConditionalGeneration,
    pixels: Float[Tensor, "frame 3 height width"],
    packed: Packed,
    *,
    chunk_tokens: int = CHUNK_TOKENS,
    z_loss: float = 0.0,
    chunk_frames: int | None = None,
) -> SummedLoss:
    """Return the loss of packed rows; `allow_packed_rows` has seen the model, and no step waits for the device.

    Rows without a film pass a blank frame through the vision tower and give it no weight: ranks that share
    parameters make the same calls, and every part has a gradient.

    Args:
        model: The network.
        pixels: Normalised frames of all films on end, in the rows' order; none where the rows hold no film.
        packed: The rows.
        chunk_tokens: Logits of how many tokens exist at a time.
        z_loss: See `chunked_cross_entropy`.
        chunk_frames: Frames given to the vision tower at a time; None for the config's.
    """
    device = pixels.device
    positions = packed.input_ids.shape[1]
    if packed.num_frames:
        times_s = packed.times_s.to(device, non_blocking=True)
        features = model.model.encode_films(pixels, times_s, packed.num_frames, chunk_frames=chunk_frames)
    else:
        blank = pixels.new_zeros(1, *pixels.shape[1:])
        features = model.model.encode_films(blank, blank.new_zeros(1, dtype=torch.float32), [1])
    embeds = model.get_input_embeddings()(packed.input_ids.to(device, non_blocking=True))
    embeds = rearrange(embeds, "row position width -> (row position) width")
    if packed.num_frames:
        places = packed.placeholders.to(device, non_blocking=True)
        assert len(places) == len(features), f"{len(places)} placeholders, {len(features)} feature rows"
        embeds = embeds.index_copy(0, places, features.to(embeds.dtype))
    else:
        embeds = embeds + 0.0 * features.sum().to(embeds.dtype)
    hidden = model.model.language_model(
        inputs_embeds=rearrange(embeds, "(row position) width -> row position width", position=positions),
        **packed_inputs(
            packed.boundaries.to(device, non_blocking=True),
            packed.position_ids.to(device, non_blocking=True),
            longest=packed.longest,
        ),
    ).last_hidden_state
    hidden = rearrange(hidden, "row position width -> (row position) width")
    return chunked_cross_entropy(
        hidden[packed.supervised.to(device, non_blocking=True)],
        model.lm_head.weight,
        packed.targets.to(device, non_blocking=True),
        chunk_tokens=chunk_tokens,
        z_loss=z_loss,
    )
