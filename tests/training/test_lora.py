import pytest
import torch

from kangaroo.model.packed import allow_packed_rows
from kangaroo.training.lora import add_lora, merged, num_additions
from kangaroo.training.optimizers import freeze
from kangaroo.training.start import from_folder


@pytest.fixture
def adapted(stage, tiny_network):
    freeze(tiny_network, stage)
    before = {name: weight.clone() for name, weight in tiny_network.state_dict().items()}
    add_lora(tiny_network, rank=4)
    return tiny_network, before


def logits(model, ids):
    return model(input_ids=ids).logits


def test_only_additions_train_in_the_language_model_and_the_rest_as_the_stage_says(adapted, start_folder):
    model, _ = adapted
    language = dict(model.model.language_model.named_parameters())
    trained = {name for name, weight in language.items() if weight.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    # seven matrices in each of two layers, two additions each
    assert len(trained) == 2 * 7 * 2
    assert sum(language[name].numel() for name in trained) == num_additions(from_folder(start_folder)[0], rank=4)
    assert all(weight.requires_grad for weight in model.model.vision_tower.parameters())


def test_additions_begin_as_nothing_and_merge_under_the_old_names(adapted, start_folder):
    model, before = adapted
    ids = torch.tensor([[0, 11, 12, 13]])
    plain = from_folder(start_folder)[0]
    torch.testing.assert_close(logits(model, ids), logits(plain, ids))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    changed = logits(model, ids)
    assert not torch.allclose(changed, logits(plain, ids), atol=1e-3)
    weights = merged(model, model.state_dict())
    assert weights.keys() == before.keys()
    plain.load_state_dict(weights)
    torch.testing.assert_close(logits(plain, ids), changed, rtol=1e-4, atol=1e-5)


def test_packed_rows_are_read_with_additions_too(adapted):
    model, _ = adapted
    allow_packed_rows(model)
    assert model.model.language_model.config._attn_implementation == "kangaroo_packed"
