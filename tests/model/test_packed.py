import copy

import pytest
import torch
from einops import rearrange
from hypothesis import given
from hypothesis import strategies as st
from tiny_films import build, pad_left

from kangaroo.model import packed
from kangaroo.model.packed import (
    ContextGroup,
    allow_packed_rows,
    cut,
    one_by_one,
    packed_attention,
    packed_inputs,
)
from kangaroo.model.presets import joey, tiny

LENGTHS = (7, 1, 20, 4)


def rows_of(lengths, *, num_rows=1):
    """Return the arguments that describe rows of the same conversations, and where each conversation is."""
    boundaries = torch.tensor([0, *(lengths * num_rows)]).cumsum(0).int()
    positions = torch.cat([torch.arange(length) for length in lengths]).expand(num_rows, -1)
    return boundaries, positions


def read(model, embeds, lengths):
    boundaries, positions = rows_of(lengths, num_rows=len(embeds))
    inputs = packed_inputs(boundaries, positions, longest=max(lengths))
    return model.model.language_model(inputs_embeds=embeds, **inputs).last_hidden_state


def packed_model(config=None):
    model = build(config)
    allow_packed_rows(model)
    return model


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("num_rows", [1, 2])
def test_rows_are_read_as_with_the_square_mask_of_transformers(num_rows):
    ours, theirs = packed_model(), build()
    assert theirs.config.text_config._attn_implementation == "sdpa"
    embeds = noise(num_rows, sum(LENGTHS), 32)
    # positions that begin anew are all that transformers asks for
    expected = theirs.model.language_model(
        inputs_embeds=embeds, position_ids=rows_of(LENGTHS, num_rows=num_rows)[1], use_cache=False
    ).last_hidden_state
    torch.testing.assert_close(read(ours, embeds, LENGTHS), expected, rtol=1e-5, atol=1e-5)


def test_each_conversation_is_read_as_if_it_were_alone():
    model = packed_model(joey())
    embeds = noise(1, sum(LENGTHS), 320)
    with torch.no_grad():
        together = read(model, embeds, LENGTHS).split(LENGTHS, dim=1)
        for ours, one in zip(together, embeds.split(LENGTHS, dim=1), strict=True):
            alone = build(joey()).model.language_model(inputs_embeds=one, use_cache=False).last_hidden_state
            torch.testing.assert_close(ours, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("changed", range(len(LENGTHS)))
def test_a_change_in_one_conversation_leaves_the_others_as_they_are(changed):
    model, embeds = packed_model(), noise(1, sum(LENGTHS), 32)
    other = [*embeds.split(LENGTHS, dim=1)]
    other[changed] = noise(1, LENGTHS[changed], 32, seed=1)
    before = read(model, embeds, LENGTHS).split(LENGTHS, dim=1)
    after = read(model, torch.cat(other, dim=1), LENGTHS).split(LENGTHS, dim=1)
    for place, (one, two) in enumerate(zip(before, after, strict=True)):
        if place == changed:
            assert (one - two).abs().max() > 1e-2
        else:
            torch.testing.assert_close(one, two, rtol=0, atol=1e-6)


def test_no_gradient_goes_from_one_conversation_to_another():
    model, embeds = packed_model(), noise(1, sum(LENGTHS), 32).requires_grad_()
    read(model, embeds, LENGTHS).split(LENGTHS, dim=1)[2].sum().backward()
    reached = [bool(one.any()) for one in embeds.grad.split(LENGTHS, dim=1)]
    assert reached == [False, False, True, False]


def test_recomputing_a_layer_in_the_backward_pass_reads_the_same_rows():
    plain = packed_model()
    saving = copy.deepcopy(plain).train()
    saving.gradient_checkpointing_enable()
    gradients = []
    for model in (plain, saving):
        embeds = noise(1, sum(LENGTHS), 32).requires_grad_()
        read(model, embeds, LENGTHS).square().sum().backward()
        gradients.append(embeds.grad)
    assert saving.model.language_model.is_gradient_checkpointing
    torch.testing.assert_close(*gradients)


def test_what_is_not_packed_is_read_as_before(tmp_path):
    plain, model = build(), packed_model()
    batch = pad_left([0, 11, 12, 13], [0, 14])
    with torch.no_grad():
        torch.testing.assert_close(model(**batch).logits, plain(**batch).logits, rtol=0, atol=0)
        said = [
            each.generate(**{name: batch[name] for name in ("input_ids", "attention_mask")}, max_new_tokens=4)
            for each in (model, plain)
        ]
    assert torch.equal(*said)
    model.save_pretrained(tmp_path)
    assert "packed" not in (tmp_path / "config.json").read_text()


def square_mask_attention(query, key, value, boundaries, scaling):
    """Attention in float64 by its formula, under a mask of [token, token]."""
    whose = torch.bucketize(torch.arange(len(query), device=query.device), boundaries, right=True)
    mask = (whose[:, None] == whose[None, :]).tril()
    query, key, value = (
        rearrange(each.double(), "token head width -> head token width") for each in (query, key, value)
    )
    key, value = (each.repeat_interleave(len(query) // len(key), dim=0) for each in (key, value))
    scores = (query @ key.mT * scaling).masked_fill(~mask, -torch.inf)
    return rearrange(scores.softmax(dim=-1) @ value, "head token width -> token head width")


def test_one_by_one_equals_the_formula_with_grouped_heads():
    boundaries = torch.tensor([0, 5, 6, 40, 64], dtype=torch.int32)
    query, key, value = noise(64, 4, 16), noise(64, 2, 16, seed=1), noise(64, 2, 16, seed=2)
    ours = one_by_one(query, key, value, boundaries, boundaries, scaling=0.3)
    expected = square_mask_attention(query, key, value, boundaries, 0.3)
    torch.testing.assert_close(ours.double(), expected, rtol=1e-5, atol=1e-5)


def in_slices(monkeypatch, tensors, boundaries, size, *, device="cpu"):
    """Return what `size` ranks find of rows `[row, head, position, width]`, put together; one process plays all."""
    num_rows, _, num_positions, width = tensors[0].shape
    per_rank = [tensor.chunk(size, dim=2) for tensor in tensors]
    flat = "row group position width -> (row position) group width"
    keys = torch.cat(
        [torch.cat([rearrange(each[rank], flat) for each in per_rank[1:]], dim=-1) for rank in range(size)]
    )
    monkeypatch.setattr(packed, "gather", lambda local, context: keys.to(local.dtype))
    module, found = torch.nn.Module(), []
    for rank in range(size):
        context = ContextGroup("", rank, size)
        ours = cut(boundaries, num_rows=num_rows, num_positions=num_positions, context=context)
        mask = rearrange(ours.boundaries.to(device), "boundary -> 1 1 1 boundary")
        shared = ours.keys._replace(places=ours.keys.places.to(device), boundaries=ours.keys.boundaries.to(device))
        slices = [each[rank] for each in per_rank]
        found.append(
            packed_attention(module, *slices, mask, scaling=width**-0.5, max_length_q=ours.longest, shared_keys=shared)[
                0
            ]
        )
    return torch.cat(found, dim=1)


@given(
    cuts=st.lists(st.integers(1, 23), min_size=0, max_size=6, unique=True),
    num_rows=st.integers(1, 2),
    size=st.sampled_from([1, 2, 3, 4]),
)
def test_slices_of_rows_find_what_whole_rows_find(cuts, num_rows, size):
    # the last row has one conversation, so that rows differ
    ends = [*sorted(cuts), 24, 48][: len(cuts) + num_rows]
    boundaries = torch.tensor([0, *ends], dtype=torch.int32)
    tensors = [noise(num_rows, heads, 24, 8, seed=heads) for heads in (4, 2, 2)]
    flat = [rearrange(each, "row head position width -> (row position) head width") for each in tensors]
    expected = one_by_one(*flat, boundaries, boundaries, scaling=8**-0.5)
    with pytest.MonkeyPatch.context() as monkeypatch:
        found = in_slices(monkeypatch, tensors, boundaries, size)
    found = rearrange(found, "row position head width -> (row position) head width")
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("size", [2, 4])
def test_on_a_gpu_slices_of_rows_find_what_the_formula_says(monkeypatch, size):
    lengths, device = (300, 1, 129, 594), torch.device("cuda")
    boundaries = torch.tensor([0, *lengths, *lengths]).cumsum(0).int()
    inputs = [noise(2, heads, 1024, 64, seed=heads).to(device, torch.bfloat16) for heads in (8, 2, 2)]
    weights = noise(2, 1024, 8, 64, seed=9).to(device)

    def gradients(attend):
        leaves = [each.detach().clone().requires_grad_() for each in inputs]
        output = attend(leaves)
        (output.float() * weights).sum().backward()
        return [output.float(), *(leaf.grad.float() for leaf in leaves)]

    def formula(given):
        flat = [rearrange(each, "row head position width -> (row position) head width") for each in given]
        gathered = square_mask_attention(*flat, boundaries.to(device), 64**-0.5)
        return rearrange(gathered, "(row position) head width -> row position head width", row=2)

    ours = gradients(lambda leaves: in_slices(monkeypatch, leaves, boundaries, size, device=device))
    for one, two in zip(ours, gradients(formula), strict=True):
        torch.testing.assert_close(one, two, rtol=3e-2, atol=3e-2 * float(two.abs().max()) / 2)


@pytest.mark.gpu
@pytest.mark.parametrize(("heads", "groups", "width"), [(10, 5, 32), (8, 2, 128), (4, 4, 64)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_on_a_gpu_outputs_and_gradients_equal_the_formula(heads, groups, width, dtype):
    lengths, device = (300, 1, 129, 594), torch.device("cuda")
    boundaries = torch.tensor([0, *lengths, *lengths], device=device).cumsum(0).int()
    module = build(tiny()).model.language_model.layers[0].self_attn.eval()
    inputs = [
        noise(2, count, 1024, width, seed=seed).to(device, dtype) for seed, count in enumerate((heads, groups, groups))
    ]
    weights = noise(2, 1024, heads, width, seed=9).to(device)

    def gradients(attend):
        leaves = [each.detach().clone().requires_grad_() for each in inputs]
        output = attend(*leaves)
        (output.float() * weights).sum().backward()
        return [output.float(), *(leaf.grad.float() for leaf in leaves)]

    def ours(query, key, value):
        mask = rearrange(boundaries, "boundary -> 1 1 1 boundary")
        # rotation widens queries and keys; values say what was asked for
        query, key = query.float(), key.float()
        return packed_attention(module, query, key, value, mask, scaling=width**-0.5, max_length_q=594)[0]

    def formula(*given):
        flat = [rearrange(each, "row head position width -> (row position) head width") for each in given]
        gathered = square_mask_attention(*flat, boundaries, width**-0.5)
        return rearrange(gathered, "(row position) head width -> row position head width", row=2)

    tolerance = {torch.bfloat16: 3e-2, torch.float16: 4e-3, torch.float32: 2e-3}[dtype]
    for one, two in zip(gradients(ours), gradients(formula), strict=True):
        torch.testing.assert_close(one, two, rtol=tolerance, atol=tolerance * float(two.abs().max()) / 2)


@pytest.mark.gpu
def test_on_a_gpu_a_row_is_read_as_with_the_square_mask_of_transformers():
    lengths = (200, 3, 309)
    device = torch.device("cuda")
    ours, theirs = packed_model(joey()).to(device), build(joey()).to(device)
    embeds = noise(2, sum(lengths), 320).to(device)
    boundaries, positions = (each.to(device) for each in rows_of(lengths, num_rows=2))
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
        expected = theirs.model.language_model(inputs_embeds=embeds, position_ids=positions, use_cache=False)
        inputs = packed_inputs(boundaries, positions, longest=max(lengths))
        found = ours.model.language_model(inputs_embeds=embeds, **inputs)
    torch.testing.assert_close(found.last_hidden_state, expected.last_hidden_state, rtol=5e-2, atol=5e-2)
