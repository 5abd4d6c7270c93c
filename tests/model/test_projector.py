"""The projector has the published form, so that published weights fit by name."""

import torch

from kangaroo.model.projector import build_projector


def test_two_layers_keep_the_published_names() -> None:
    projector = build_projector(8, 16, kind="mlp2x_gelu")
    assert set(projector.state_dict()) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert projector(torch.zeros(5, 8)).shape == (5, 16)


def test_one_layer_is_linear() -> None:
    projector = build_projector(8, 16, kind="mlp1x_gelu")
    twice = projector(torch.full((1, 8), 2.0)) - projector(torch.zeros(1, 8))
    torch.testing.assert_close(twice, 2 * (projector(torch.ones(1, 8)) - projector(torch.zeros(1, 8))))
