import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from kangaroo.data.packing import PackingSample, pack
from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.model.packed import allow_packed_rows
from kangaroo.training.loss import chunked_cross_entropy, packed_loss
from kangaroo.video.source import VideoSource

# the films of each conversation: none, an image, one, several, an odd number of frames
FILMS = ((16,), (), (1,), (5, 2), (8,), (), (1, 3, 1))


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def samples_of(processor, films=FILMS):
    """Return conversations of two rounds about films of noise, pixels as their media."""
    for number, counts in enumerate(films):
        videos = [Video(VideoSource(f"film-{film}")) for film in range(len(counts))]
        conversation = Conversation().ask(f"What is it, {number}?", *videos).reply("A red ball. " * (number + 1))
        conversation = conversation.ask("And then?").reply(f"It jumps {number} times.")
        yield PackingSample(
            number=number,
            encoded=processor.encoder.conversation(conversation, counts),
            times_s=np.concatenate([np.zeros(0), *(np.arange(count) * 0.9 for count in counts)]).astype(np.float32),
            media=noise(sum(counts), 3, 56, 56, seed=number),
        )


def packed_of(processor, samples, *, num_rows=2, context_tokens=320):
    placeholder = processor.video_token_id
    return list(pack(samples, context_tokens=context_tokens, num_rows=num_rows, pad_id=1, placeholder_id=placeholder))


def one_at_a_time(model, processor, samples):
    """Return the summed loss by the model's own forward, each conversation alone, and the number of its targets."""
    total, number = torch.zeros(()), 0
    for sample in samples:
        ids = torch.tensor([sample.encoded.input_ids])
        labels = torch.where(torch.tensor([sample.encoded.assistant_mask]), ids, -100)
        counts = sample.encoded.num_frames
        films = {
            "pixel_values_videos": list(sample.media.split(counts)),
            "video_times_s": list(torch.from_numpy(sample.times_s).split(counts)),
        }
        targets = int((labels[:, 1:] != -100).sum())
        total = total + model(input_ids=ids, labels=labels, **(films if counts else {})).loss * targets
        number += targets
    return total, number


def gradients(model):
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("num_rows", [1, 2])
def test_packed_and_unpacked_give_the_same_loss_and_the_same_gradients(tiny_processor, tiny_network, num_rows):
    samples = list(samples_of(tiny_processor))
    theirs, number = one_at_a_time(tiny_network, tiny_processor, samples)
    (theirs / number).backward()
    expected = gradients(tiny_network)
    tiny_network.zero_grad()
    allow_packed_rows(tiny_network)
    results = packed_of(tiny_processor, samples, num_rows=num_rows)
    assert any(packed.num_tokens < packed.input_ids.numel() for packed in results)
    assert max(len(packed.numbers) for packed in results) >= 3
    losses = [packed_loss(tiny_network, torch.cat(packed.media), packed, chunk_tokens=17) for packed in results]
    assert sum(loss.num_tokens for loss in losses) == number
    total = sum(loss.total for loss in losses)
    torch.testing.assert_close(total, theirs, rtol=1e-6, atol=1e-5)
    (total / number).backward()
    found = gradients(tiny_network)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(
            gradient, expected[name], rtol=1e-5, atol=1e-6, msg=lambda text, of=name: f"{of}: {text}"
        )


@pytest.mark.parametrize("changes", ["text", "film"])
def test_a_change_in_one_conversation_leaves_the_losses_of_the_others(tiny_processor, tiny_network, changes):
    allow_packed_rows(tiny_network)
    samples = list(samples_of(tiny_processor, ((16,), (5, 2), (1,))))
    (packed,) = packed_of(tiny_processor, samples, num_rows=1)
    assert packed.numbers == (0, 1, 2)
    pixels, ids = torch.cat(packed.media), packed.input_ids.clone()
    if changes == "film":
        pixels[16:23] += 1.0
    else:
        second = slice(*packed.boundaries[1:3].tolist())
        is_word = ids[0, second] > 9
        ids[0, second][is_word] = 11
    other = type(packed)(**{**vars(packed), "input_ids": ids})
    states = []
    for rows, frames in ((packed, torch.cat(packed.media)), (other, pixels)):
        # the last norm's states, on their way to the loss
        hook = tiny_network.model.language_model.norm.register_forward_hook(
            lambda module, inputs, output: states.append(output[0].detach())
        )
        packed_loss(tiny_network, frames, rows)
        hook.remove()
    parts = [state.split(packed.boundaries.diff().tolist()) for state in states]
    differences = [float((one - two).abs().max()) for one, two in zip(*parts, strict=True)]
    assert differences[1] > 1e-2
    assert max(differences[:1] + differences[2:]) <= 1e-6


def test_rows_without_films_reach_every_part_and_read_no_blank_frame(tiny_processor, tiny_network):
    samples = list(samples_of(tiny_processor, ((), ())))
    theirs, number = one_at_a_time(tiny_network, tiny_processor, samples)
    allow_packed_rows(tiny_network)
    (packed,) = packed_of(tiny_processor, samples, num_rows=1)
    loss = packed_loss(tiny_network, torch.zeros(0, 3, 56, 56), packed)
    torch.testing.assert_close(loss.total, theirs)
    assert loss.num_tokens == number
    loss.total.backward()
    found = gradients(tiny_network)
    tiny_network.zero_grad()
    (filmed,) = packed_of(tiny_processor, samples_of(tiny_processor, ((2,),)), num_rows=1)
    packed_loss(tiny_network, torch.cat(filmed.media), filmed).total.backward()
    assert found.keys() == gradients(tiny_network).keys()
    of_films = {name for name in found if "vision_tower" in name or "patchify" in name or "projector" in name}
    assert of_films
    assert not any(found[name].any() for name in of_films)


@pytest.mark.parametrize("chunk_tokens", [1, 7, 64, 1000])
@pytest.mark.parametrize("z_loss", [0.0, 1e-2])
def test_loss_in_chunks_equals_that_of_all_logits_at_once(chunk_tokens, z_loss):
    targets = torch.randint(50, (64,), generator=torch.Generator().manual_seed(0))
    results = []
    for in_chunks in (True, False):
        hidden, readout = noise(64, 8).requires_grad_(), (2 * noise(50, 8, seed=1)).requires_grad_()
        if in_chunks:
            total, number = chunked_cross_entropy(hidden, readout, targets, chunk_tokens=chunk_tokens, z_loss=z_loss)
            assert number == 64
        else:
            logits = hidden @ readout.T
            total = F.cross_entropy(logits, targets, reduction="sum") + z_loss * logits.logsumexp(1).square().sum()
        (total / 64).backward()
        results.append((total.detach(), hidden.grad, readout.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation returned."""

    def __init__(self):
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, list | tuple) else (result,):
            if isinstance(each, torch.Tensor):
                self.numel = max(self.numel, each.numel())
        return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_tensor_is_larger_than_a_chunks_logits_forward_and_backward(dtype):
    hidden, readout = noise(512, 8).to(dtype).requires_grad_(), noise(300, 8, seed=1).to(dtype).requires_grad_()
    targets = torch.arange(512) % 300
    with Largest() as largest:
        chunked_cross_entropy(hidden, readout, targets, chunk_tokens=16).total.backward()
    assert largest.numel == 16 * 300
    with Largest() as largest:
        F.cross_entropy(hidden @ readout.T, targets).backward()
    assert largest.numel == 512 * 300


class Products(TorchDispatchMode):
    """Counts matrix products."""

    def __init__(self):
        super().__init__()
        self.number = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.number += func._schema.name in ("aten::mm", "aten::addmm_")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("trains_readout", "is_trained", "products_a_chunk"), [(True, True, 3), (False, True, 2), (True, False, 1)]
)
def test_only_the_gradients_that_somebody_wants_are_computed(trains_readout, is_trained, products_a_chunk):
    hidden, readout = noise(64, 8).requires_grad_(), noise(300, 8, seed=1).requires_grad_(trains_readout)
    with Products() as products, torch.set_grad_enabled(is_trained):
        loss = chunked_cross_entropy(hidden, readout, torch.arange(64), chunk_tokens=16)
        if is_trained:
            loss.total.backward()
    assert products.number == 4 * products_a_chunk
    assert loss.total.requires_grad == is_trained
    assert (readout.grad is not None) == (trains_readout and is_trained)


def test_no_target_gives_a_loss_of_zero_and_gradients_of_zero():
    hidden, readout = noise(0, 8).requires_grad_(), noise(300, 8, seed=1).requires_grad_()
    loss = chunked_cross_entropy(hidden, readout, torch.zeros(0, dtype=torch.long))
    assert loss.num_tokens == 0
    loss.total.backward()
    assert not loss.total.detach()
    assert hidden.grad.shape == (0, 8)
    assert not readout.grad.any()


def test_half_precision_products_keep_a_float32_sum_and_float32_gradients():
    hidden, readout = noise(256, 16).requires_grad_(), noise(100, 16, seed=1).requires_grad_()
    targets = torch.arange(256) % 100
    with torch.autocast("cpu", torch.bfloat16):
        loss = chunked_cross_entropy(hidden, readout, targets, chunk_tokens=8)
    loss.total.backward()
    assert loss.total.dtype == hidden.grad.dtype == readout.grad.dtype == torch.float32
    ours = readout.grad.clone()
    readout.grad = None
    expected = F.cross_entropy(hidden.detach() @ readout.T, targets, reduction="sum")
    expected.backward()
    torch.testing.assert_close(loss.total, expected, rtol=1e-3, atol=0)
    torch.testing.assert_close(ours, readout.grad, rtol=0, atol=1e-2 * float(readout.grad.abs().max()))
