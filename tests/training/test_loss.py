from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from kangaroo.data.packing import PackingSample, join, pack
from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.errors import OptionError
from kangaroo.model.layout import OddFrames, VisualLayout
from kangaroo.model.packed import ContextGroup, allow_packed_rows
from kangaroo.training.loss import Objective, chunked_cross_entropy, frames_of_groups, slice_rows
from kangaroo.video.source import VideoSource

# the films of each sample: none, an image, one, several, an odd number of frames, so many that blank ones are added
FILMS = ((33,), (), (1,), (5, 2), (8,), (), (1, 3, 1))


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def samples_of(processor, films=FILMS):
    """Return samples of one or two conversations about films of noise, pixels as their media."""
    for number, counts in enumerate(films):
        videos = [Video(VideoSource(f"film-{film}")) for film in range(len(counts))]
        conversation = Conversation().ask(f"What is it, {number}?", *videos).reply("A red ball. " * (number + 1))
        conversation = conversation.ask("And then?").reply(f"It jumps {number} times.")
        another = Conversation().ask("Who?", *videos).reply(f"Number {number}.")
        yield PackingSample(
            number=number,
            conversations=tuple(
                processor.encoder.conversation(one, counts) for one in (conversation, another)[: 1 + number % 2]
            ),
            times_s=np.concatenate([np.zeros(0), *(np.arange(count) * 0.9 for count in counts)]).astype(np.float32),
            media=noise(sum(counts), 3, 56, 56, seed=number),
        )


def packed_of(processor, samples, *, num_rows=2, context_tokens=320):
    """Return the samples in rows, as many at a time as asked for."""
    placeholder = processor.video_token_id
    rows = list(pack(samples, context_tokens=context_tokens, pad_id=1, placeholder_id=placeholder))
    return [join(rows[start : start + num_rows]) for start in range(0, len(rows), num_rows)]


def one_at_a_time(model, samples):
    """Return the summed loss by the model's own forward, each conversation alone, and the number of its targets."""
    total, number = torch.zeros(()), 0
    for sample in samples:
        for encoded in sample.conversations:
            ids = torch.tensor([encoded.input_ids])
            labels = torch.where(torch.tensor([encoded.assistant_mask]), ids, -100)
            films = {
                "pixel_values_videos": list(sample.media.split(encoded.num_frames)),
                "video_times_s": list(torch.from_numpy(sample.times_s).split(encoded.num_frames)),
            }
            targets = int((labels[:, 1:] != -100).sum())
            loss = model(input_ids=ids, labels=labels, **(films if encoded.num_frames else {})).loss
            total, number = total + loss * targets, number + targets
    return total, number


def gradients(model):
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def pixels_of(packed):
    return torch.cat([torch.zeros(0, 3, 56, 56), *packed.media])


@pytest.mark.parametrize("num_rows", [1, 2])
def test_packed_and_unpacked_give_the_same_loss_and_the_same_gradients(tiny_processor, tiny_network, num_rows):
    samples = list(samples_of(tiny_processor))
    theirs, number = one_at_a_time(tiny_network, samples)
    (theirs / number).backward()
    expected = gradients(tiny_network)
    tiny_network.zero_grad()
    allow_packed_rows(tiny_network)
    results = packed_of(tiny_processor, samples, num_rows=num_rows)
    assert max(len(packed.media) for packed in results) >= 3
    # conversations about one film share its feature rows
    assert any(len(packed.feature_rows) > len(packed.feature_rows.unique()) for packed in results)
    assert sum(len(packed.targets) for packed in results) == number
    objective = Objective(tiny_network, chunk_tokens=17)
    total = sum(objective(pixels_of(packed), packed) for packed in results)
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
    samples = [
        replace(sample, conversations=sample.conversations[:1])
        for sample in samples_of(tiny_processor, ((16,), (5, 2), (1,)))
    ]
    (packed,) = packed_of(tiny_processor, samples, num_rows=1)
    assert len(packed.media) == 3
    pixels, ids = pixels_of(packed), packed.input_ids.clone()
    if changes == "film":
        pixels[16:23] += 1.0
    else:
        second = slice(*packed.boundaries[1:3].tolist())
        is_word = ids[0, second] > 9
        ids[0, second][is_word] = 11
    states = []
    for rows, frames in ((packed, pixels_of(packed)), (replace(packed, input_ids=ids), pixels)):
        # the last norm's states, on their way to the loss
        hook = tiny_network.model.language_model.norm.register_forward_hook(
            lambda module, inputs, output: states.append(output[0].detach())
        )
        Objective(tiny_network)(frames, rows)
        hook.remove()
    parts = [state.split(packed.boundaries.diff().tolist()) for state in states]
    differences = [float((one - two).abs().max()) for one, two in zip(*parts, strict=True)]
    assert differences[1] > 1e-2
    assert max(differences[:1] + differences[2:]) <= 1e-6


def test_rows_without_films_reach_every_part_and_read_no_blank_frame(tiny_processor, tiny_network):
    samples = list(samples_of(tiny_processor, ((), ())))
    theirs, number = one_at_a_time(tiny_network, samples)
    allow_packed_rows(tiny_network)
    objective = Objective(tiny_network)
    (packed,) = packed_of(tiny_processor, samples, num_rows=1)
    assert len(packed.targets) == number
    total = objective(pixels_of(packed), packed)
    torch.testing.assert_close(total, theirs)
    total.backward()
    found = gradients(tiny_network)
    tiny_network.zero_grad()
    (filmed,) = packed_of(tiny_processor, samples_of(tiny_processor, ((2,),)), num_rows=1)
    objective(pixels_of(filmed), filmed).backward()
    assert found.keys() == gradients(tiny_network).keys()
    of_films = {name for name in found if "vision_tower" in name or "patchify" in name or "projector" in name}
    assert of_films
    assert not any(found[name].any() for name in of_films)


@pytest.mark.parametrize("films", [((16,),), ((),)])
def test_the_vision_towers_blocks_are_called_once_whatever_the_films(tiny_processor, tiny_network, films):
    allow_packed_rows(tiny_network)
    (packed,) = packed_of(tiny_processor, samples_of(tiny_processor, films), num_rows=1)
    calls = []
    tiny_network.model.vision_tower.blocks[0].register_forward_hook(lambda *_: calls.append(1))
    Objective(tiny_network)(pixels_of(packed), packed)
    assert len(calls) == 1


@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    size=st.integers(1, 4),
    folded=st.sampled_from([1, 2, 3]),
    odd=st.sampled_from(OddFrames),
)
def test_films_shared_group_by_group_are_encoded_as_whole(counts, size, folded, odd):
    layout = VisualLayout(image_size_px=56, kernel=(folded, 2, 2), odd_frames=odd)

    def groups_of(films):
        """Return the frames that stand in each group, films on end."""
        slots = [film[slot] for film in films for slot in layout.slots(len(film))]
        return [slots[start : start + folded] for start in range(0, len(slots), folded)]

    starts = np.cumsum([0, *counts])
    whole = groups_of([range(start, start + count) for start, count in zip(starts, counts, strict=False)])
    each = -(-len(whole) // size)
    shares = [
        frames_of_groups(counts, range(first, min(first + each, len(whole))), layout)
        for first in range(0, each * size, each)
    ]
    assert [group for share in shares for group in groups_of(share)] == whole
    assert all(len(groups_of(share)) <= each for share in shares)


def test_slices_hold_every_target_and_every_placeholder_once(tiny_processor):
    for packed in packed_of(tiny_processor, samples_of(tiny_processor)):
        slices = [slice_rows(packed, ContextGroup("", rank, 4))[0] for rank in range(4)]
        assert torch.equal(torch.cat([one.input_ids for one in slices], dim=1), packed.input_ids)
        for places, values in (("supervised", "targets"), ("supervised", "weights"), ("placeholders", "feature_rows")):
            found = []
            for rank, one in enumerate(slices):
                row, position = getattr(one, places) // 80, getattr(one, places) % 80
                found += zip((row * 320 + rank * 80 + position).tolist(), getattr(one, values).tolist(), strict=True)
            wanted = zip(getattr(packed, places).tolist(), getattr(packed, values).tolist(), strict=True)
            assert sorted(found) == list(wanted)


def test_rows_that_the_ranks_do_not_divide_are_refused(tiny_processor):
    packed = packed_of(tiny_processor, samples_of(tiny_processor))[0]
    with pytest.raises(OptionError, match="rows of 320 tokens cannot be shared evenly by 3 ranks"):
        slice_rows(packed, ContextGroup("", 0, 3))


@pytest.mark.parametrize("chunk_tokens", [1, 7, 64, 1000])
@pytest.mark.parametrize("z_loss", [0.0, 1e-2])
def test_loss_in_chunks_equals_that_of_all_logits_at_once(chunk_tokens, z_loss):
    random = torch.Generator().manual_seed(0)
    targets, counting = torch.randint(50, (64,), generator=random), 0.5 + 2 * torch.rand(64, generator=random)
    results = []
    for in_chunks in (True, False):
        hidden, readout = noise(64, 8).requires_grad_(), (2 * noise(50, 8, seed=1)).requires_grad_()
        if in_chunks:
            options = {"chunk_tokens": chunk_tokens, "z_loss": z_loss}
            total = chunked_cross_entropy(hidden, readout, targets, counting, **options)
        else:
            logits = hidden @ readout.T
            losses = F.cross_entropy(logits, targets, reduction="none") + z_loss * logits.logsumexp(1).square()
            total = (counting * losses).sum()
        (total / 64).backward()
        results.append((total.detach(), hidden.grad, readout.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_prediction_is_the_likeliest_word_in_each_targets_place(tiny_processor, tiny_network):
    allow_packed_rows(tiny_network)
    for each in samples_of(tiny_processor, ((5, 2), ())):
        sample = replace(each, conversations=each.conversations[:1])
        (packed,) = packed_of(tiny_processor, [sample])
        found = Objective(tiny_network, chunk_tokens=7).predict(pixels_of(packed), packed)
        (encoded,) = sample.conversations
        films = {
            "pixel_values_videos": list(sample.media.split(encoded.num_frames)),
            "video_times_s": list(torch.from_numpy(sample.times_s).split(encoded.num_frames)),
        }
        ids = torch.tensor([encoded.input_ids])
        with torch.no_grad():
            logits = tiny_network(input_ids=ids, **(films if encoded.num_frames else {})).logits
        assert torch.equal(found, logits[0, packed.supervised].argmax(dim=1))


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
        chunked_cross_entropy(hidden, readout, targets, torch.ones(512), chunk_tokens=16).backward()
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
        loss = chunked_cross_entropy(hidden, readout, torch.arange(64), torch.ones(64), chunk_tokens=16)
        if is_trained:
            loss.backward()
    assert products.number == 4 * products_a_chunk
    assert loss.requires_grad == is_trained
    assert (readout.grad is not None) == (trains_readout and is_trained)


def test_no_target_gives_a_loss_of_zero_and_gradients_of_zero():
    hidden, readout = noise(0, 8).requires_grad_(), noise(300, 8, seed=1).requires_grad_()
    loss = chunked_cross_entropy(hidden, readout, torch.zeros(0, dtype=torch.long), torch.ones(0))
    loss.backward()
    assert not loss.detach()
    assert hidden.grad.shape == (0, 8)
    assert not readout.grad.any()


def test_half_precision_products_keep_a_float32_sum_and_float32_gradients():
    hidden, readout = noise(256, 16).requires_grad_(), noise(100, 16, seed=1).requires_grad_()
    targets = torch.arange(256) % 100
    with torch.autocast("cpu", torch.bfloat16):
        loss = chunked_cross_entropy(hidden, readout, targets, torch.ones(256), chunk_tokens=8)
    loss.backward()
    assert loss.dtype == hidden.grad.dtype == readout.grad.dtype == torch.float32
    ours = readout.grad.clone()
    readout.grad = None
    expected = F.cross_entropy(hidden.detach() @ readout.T, targets, reduction="sum")
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-3, atol=0)
    torch.testing.assert_close(ours, readout.grad, rtol=0, atol=1e-2 * float(readout.grad.abs().max()))
