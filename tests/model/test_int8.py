"""Matrices of the language model in eight bits: half the memory, nearly the same numbers, everything else untouched."""

import pytest
import torch
from torch import nn

import kangaroo
from kangaroo.errors import OptionError
from kangaroo.model.int8 import Int8Linear, hold_in_int8
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import joey, tiny


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_each_weight_is_off_by_at_most_half_a_step_of_its_output(dtype):
    torch.manual_seed(0)
    linear = nn.Linear(64, 48).to(dtype)
    held = Int8Linear(linear)
    assert held.weight.dtype == torch.int8
    widened = held.weight.double() * held.scale.double()[:, None]
    step = linear.weight.double().abs().amax(dim=1, keepdim=True) / 127
    # bfloat16 rounds the scale, so the largest number may be a little further off
    slack = 0.5 if dtype is torch.float32 else 0.8
    assert ((widened - linear.weight.double()).abs() <= slack * step * (1 + 1e-6)).all()


def test_the_product_is_that_of_the_widened_weights_and_keeps_its_precision():
    torch.manual_seed(0)
    linear = nn.Linear(64, 48)
    held = Int8Linear(linear)
    values = torch.randn(3, 5, 64)
    widened = held.weight.float() * held.scale[:, None]
    torch.testing.assert_close(held(values), nn.functional.linear(values, widened, linear.bias))
    assert Int8Linear(linear.bfloat16())(values.bfloat16()).dtype == torch.bfloat16


def test_an_output_of_zeros_stays_zero():
    linear = nn.Linear(8, 4, bias=False)
    nn.init.zeros_(linear.weight)
    assert not Int8Linear(linear)(torch.randn(2, 8)).any()


def test_only_the_language_models_layers_change():
    torch.manual_seed(0)
    network = KangarooForConditionalGeneration(tiny()).eval()
    before = dict(network.named_parameters())
    ids = torch.arange(10, 40)[None]
    with torch.inference_mode():
        expected = network(input_ids=ids).logits
    hold_in_int8(network, torch.device("cpu"))
    after = dict(network.named_parameters())
    assert all(after[name] is weight for name, weight in before.items() if name in after)
    gone = set(before) - set(after)
    assert len(gone) == 2 * 7
    assert all(".layers." in name and name.endswith("_proj.weight") for name in gone)
    with torch.inference_mode():
        found = network(input_ids=ids).logits
    assert 0 < float((found - expected).norm() / expected.norm()) < 0.02


def test_a_model_loads_in_int8_and_answers():
    answerer = kangaroo.load("joey", device="cpu", quantize="int8")
    assert isinstance(answerer.model.model.language_model.layers[0].mlp.up_proj, Int8Linear)
    whole = kangaroo.load("joey", device="cpu")
    assert (answerer.name, whole.name) == ("joey-int8", "joey")
    conversation = kangaroo.Conversation().ask("What happens in the film?")
    texts = ["The red circle enters.", "No."]
    for ours, theirs in zip(answerer.score(conversation, texts), whole.score(conversation, texts), strict=True):
        assert ours.nats == pytest.approx(theirs.nats, rel=0.05)
    with pytest.raises(OptionError, match="--quantize is 'int3'"):
        kangaroo.load("joey", quantize="int3")


def test_bytes_are_what_the_arithmetic_says():
    from kangaroo.release.memory import Fit, Precision

    network = KangarooForConditionalGeneration(joey())
    hold_in_int8(network, torch.device("cpu"))
    saved = {id(one): one.nbytes for one in network.state_dict(keep_vars=True).values()}
    fit = Fit(joey(), Precision(name="int8", bytes_each=4, int8=True))
    assert sum(saved.values()) == fit.need(16).weights
