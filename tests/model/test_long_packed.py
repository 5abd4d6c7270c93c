import pytest
import torch
from test_packed import noise, square_mask_attention

from kangaroo.model.long_packed import LONG_TOKENS, are_long, attend_long

BOUNDARIES = torch.tensor([0, 5, 600, 601, 1625], dtype=torch.int32)


def gradients(attend, inputs, weights):
    leaves = [each.detach().clone().requires_grad_() for each in inputs]
    output = attend(*leaves)
    (output.float() * weights).sum().backward()
    return [output.float(), *(leaf.grad.float() for leaf in leaves)]


def drawn(num_tokens, heads, groups, width, *, dtype=torch.float32, device="cpu"):
    inputs = [noise(num_tokens, count, width, seed=seed) for seed, count in enumerate((heads, groups, groups))]
    return [each.to(device, dtype) for each in inputs], noise(num_tokens, heads, width, seed=9).to(device)


def ours(*given):
    return attend_long(*given, BOUNDARIES, 0.3)[0]


@pytest.mark.parametrize(("heads", "groups"), [(4, 2), (3, 3)])
def test_outputs_and_gradients_equal_the_formula(heads, groups):
    inputs, weights = drawn(1625, heads, groups, 16)
    expected = gradients(lambda *given: square_mask_attention(*given, BOUNDARIES, 0.3), inputs, weights)
    for one, two in zip(gradients(ours, inputs, weights), expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


def test_it_is_an_operator_that_compiles_whole():
    inputs, weights = drawn(1625, 2, 1, 8)
    torch.library.opcheck(attend_long, (*(each.requires_grad_() for each in inputs), BOUNDARIES, 0.3))
    compiled = torch.compile(ours, backend="aot_eager", fullgraph=True, dynamic=True)
    for one, two in zip(gradients(compiled, inputs, weights), gradients(ours, inputs, weights), strict=True):
        assert torch.equal(one, two)


def test_the_mean_length_and_the_width_say_whether_conversations_are_long():
    long, short = torch.tensor([0, 10, 2 * LONG_TOKENS]).int(), torch.tensor([0, 10, 2 * LONG_TOKENS - 1]).int()
    assert are_long(long, width=4096)
    assert not are_long(short, width=4096)
    assert not are_long(4 * short, width=256)  # joey's are narrow
    assert are_long(4 * long, width=256)


@pytest.mark.gpu
@pytest.mark.parametrize(("heads", "groups", "width"), [(8, 2, 128), (10, 5, 32)])
def test_on_a_gpu_outputs_and_gradients_equal_the_formula(heads, groups, width):
    inputs, weights = drawn(1625, heads, groups, width, dtype=torch.bfloat16, device="cuda")
    there = BOUNDARIES.to("cuda")
    expected = gradients(lambda *given: square_mask_attention(*given, there, 0.3), inputs, weights)
    for one, two in zip(gradients(ours, inputs, weights), expected, strict=True):
        torch.testing.assert_close(one, two, rtol=3e-2, atol=3e-2 * float(two.abs().max()) / 2)
