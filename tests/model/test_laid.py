"""Parameters that lie end to end stay their modules' own: trained in place, saved and loaded as before."""

import pytest
import torch
from tiny_films import make_film
from torch import nn

from kangaroo.model.fast_llama import FastLlama
from kangaroo.model.fast_tower import FastTower
from kangaroo.model.laid import end_to_end
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import tiny


@pytest.mark.parametrize("shape", [(3,), (3, 5), (2, 5, 4)])
@pytest.mark.parametrize("room", [0, 2])
def test_parameters_become_views_of_one_tensor(shape, room):
    parts = [nn.Parameter(torch.randn(shape)) for _ in range(3)]
    before = [part.detach().clone() for part in parts]
    whole = end_to_end(parts, room=room)
    assert whole.shape == (3 * (shape[0] + room), *shape[1:])
    for own, part, old in zip(whole.split(shape[0] + room), parts, before, strict=True):
        assert torch.equal(own[: shape[0]], old)
        assert torch.equal(part, old)
        assert not own[shape[0] :].any()
    with torch.no_grad():
        parts[2].fill_(7.0)
    assert (whole[2 * (shape[0] + room) :][: shape[0]] == 7.0).all()


@pytest.mark.parametrize("room", [0, 3])
def test_those_that_lie_so_stay_where_they_are(room):
    parts = [nn.Parameter(torch.randn(4, 6)) for _ in range(2)]
    whole = end_to_end(parts, room=room)
    assert end_to_end(parts, room=room).data_ptr() == whole.data_ptr()
    assert torch.equal(end_to_end(parts, room=room), whole)
    assert end_to_end(parts[::-1], room=room).data_ptr() != whole.data_ptr()


def test_a_network_is_laid_once_however_often_it_is_taken():
    model = KangarooForConditionalGeneration(tiny()).eval()
    first, second = (FastTower(model.model.vision_tower) for _ in range(2))
    for one, other in zip(first._blocks, second._blocks, strict=True):
        places = [[part.data_ptr() for part in block if isinstance(part, torch.Tensor)] for block in (one, other)]
        assert places[0] == places[1]
    block, inner = model.model.vision_tower.blocks[0], model.config.vision_config.intermediate_size
    with torch.no_grad():
        for part in (block.mlp.w3.weight, block.attn.q_bias, block.attn.v_bias):
            part.fill_(3.0)
    assert (first._blocks[0].narrowing[:, :inner] == 3.0).all()
    assert first._blocks[0].entering_bias.reshape(3, -1).mean(dim=1).tolist() == [3.0, 0.0, 3.0]


def test_neighbours_in_a_larger_memory_are_not_taken_for_all_of_it():
    memory = torch.randn(10, 4)
    parts = [nn.Parameter(memory[2:5]), nn.Parameter(memory[5:8])]
    assert torch.equal(end_to_end(parts, room=1)[3:4], torch.zeros(1, 4))
    assert torch.equal(parts[1], memory[5:8])


def test_a_network_whose_parameters_lie_so_trains_saves_and_loads_as_before(tmp_path):
    torch.manual_seed(0)
    model = KangarooForConditionalGeneration(tiny()).eval()
    film = make_film(2)
    given = {
        "input_ids": torch.tensor([[5, 6, 7]]),
        "labels": torch.tensor([[5, 6, 7]]),
    }

    def said(network):
        return network(**given).logits, network.model.vision_tower(film.pixels)

    FastLlama(model.model.language_model)
    tower = FastTower(model.model.vision_tower)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    (model(**given).loss + model.model.vision_tower(film.pixels).square().mean()).backward()
    optimizer.step()
    block, joined = model.model.vision_tower.blocks[0], tower._blocks[0]
    inner = block.mlp.w1.out_features
    assert torch.equal(joined.norm[:inner], block.mlp.ffn_ln.weight)
    assert torch.equal(joined.entering_bias[-len(block.attn.v_bias) :], block.attn.v_bias)
    assert torch.equal(joined.narrowing[:, :inner], block.mlp.w3.weight)
    model.save_pretrained(tmp_path)
    again = KangarooForConditionalGeneration.from_pretrained(tmp_path).eval()
    for found, expected in zip(said(again), said(model), strict=True):
        assert torch.equal(found, expected)
