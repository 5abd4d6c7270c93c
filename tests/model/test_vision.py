"""The tower sees any square size, and its switches choose which features go on."""

import math
import subprocess
import sys

import pytest
import torch
from tiny_films import make_film

from kangaroo.errors import PromptError
from kangaroo.model.configuration import KangarooVisionConfig
from kangaroo.model.presets import tiny
from kangaroo.model.vision import KangarooVisionTower, resize_positions, rotary_angles, rotate


def build(**fields: object) -> KangarooVisionTower:
    torch.manual_seed(0)
    tower = KangarooVisionTower(KangarooVisionConfig(**{**tiny().vision_config.to_dict(), **fields})).eval()
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return tower


@pytest.mark.parametrize("size_px", [14, 28, 56, 70, 112])
def test_any_multiple_of_the_patch_is_seen(size_px: int) -> None:
    features = build()(make_film(3, size_px=size_px).pixels)
    assert features.shape == (3, 1 + (size_px // 14) ** 2, 32)


@pytest.mark.parametrize("shape", [(56, 70), (60, 60)])
def test_other_sizes_are_refused_with_the_numbers(shape: tuple[int, int]) -> None:
    with pytest.raises(PromptError, match=f"{shape[0]}x{shape[1]} px.*multiple of 14"):
        build()(torch.zeros(1, 3, *shape))


def test_frames_do_not_see_each_other() -> None:
    tower, film = build(), make_film(5)
    one_by_one = torch.cat([tower(frame[None]) for frame in film.pixels])
    torch.testing.assert_close(tower(film.pixels), one_by_one, atol=1e-5, rtol=1e-5)


def test_feature_layer_stops_early() -> None:
    deep, shallow = build(), build(feature_layer=0)
    shallow.load_state_dict(deep.state_dict())
    last = build(feature_layer=-1)
    last.load_state_dict(deep.state_dict())
    frames = make_film(1).pixels
    assert torch.equal(deep(frames), last(frames))
    assert not torch.allclose(deep(frames), shallow(frames), atol=1e-2)
    assert torch.equal(build(feature_layer=-2)(frames), build(feature_layer=0)(frames))


def test_final_norm_is_a_switch() -> None:
    plain, normed = build(), build(final_norm=True)
    frames = make_film(2).pixels
    torch.testing.assert_close(normed(frames), plain.norm(plain(frames)))


def test_eager_attention_equals_sdpa() -> None:
    tower, frames = build(), make_film(2).pixels
    assert tower.config._attn_implementation == "sdpa"
    expected = tower(frames)
    tower.set_attn_implementation("eager")
    torch.testing.assert_close(tower(frames), expected, atol=1e-5, rtol=1e-5)


def test_rotary_positions_follow_eva() -> None:
    side, head_width, grid = 6, 16, 4
    angles = rotary_angles(side, head_width=head_width, theta=1e4, pretrained_grid=grid, device=torch.device("cpu"))
    assert angles.shape == (1 + side * side, head_width // 2)
    assert not angles[0].any(), "the class token is not turned"
    for row, column, j in [(0, 0, 0), (1, 2, 0), (5, 3, 1), (4, 5, 3)]:
        frequency = 10000 ** (-2 * j / (head_width // 2))
        token = 1 + row * side + column
        assert math.isclose(angles[token, j], row / side * grid * frequency, rel_tol=1e-5, abs_tol=1e-7)
        assert math.isclose(angles[token, head_width // 4 + j], column / side * grid * frequency, rel_tol=1e-5)


def test_turning_pairs_is_multiplying_complex_numbers() -> None:
    heads, angles = torch.randn(2, 3, 5, 8), torch.randn(5, 4)
    turned = torch.view_as_complex(heads.unflatten(-1, (4, 2))) * torch.polar(torch.ones(5, 4), angles)
    torch.testing.assert_close(rotate(heads, angles.cos(), angles.sin()), torch.view_as_real(turned).flatten(-2))


def test_positions_keep_the_class_entry_and_come_back_from_a_larger_grid() -> None:
    # a smooth table, as learned ones are: a rough one cannot survive resizing
    ramp = torch.linspace(-1, 1, 8)
    table = torch.cat([torch.full((1, 1, 1), 9.0), torch.outer(ramp, ramp).reshape(1, 64, 1)], dim=1)
    larger = resize_positions(table, side=16)
    assert larger.shape == (1, 257, 1)
    assert larger[0, 0] == 9.0
    torch.testing.assert_close(resize_positions(larger, side=8), table, atol=0.02, rtol=0)
    assert resize_positions(table, side=8) is table


def test_resizing_for_good_equals_resizing_on_the_way() -> None:
    tower, frames = build(), make_film(2, size_px=112).pixels
    expected = tower(frames)
    tower.set_image_size(112)
    assert tower.config.image_size == 112
    assert tower.pos_embed.shape[1] == 65
    assert torch.equal(tower(frames), expected)


def test_positions_learn_at_sizes_other_than_their_own() -> None:
    tower = build()
    tower(make_film(1, size_px=28).pixels).sum().backward()
    assert tower.pos_embed.grad is not None
    assert tower.pos_embed.grad[0, 1:].any()


def test_tower_is_one_graph_for_the_compiler() -> None:
    # in a process of its own: here every function is wrapped to check shapes, which the compiler cannot read
    code = """
import torch
from kangaroo.model.presets import tiny
from kangaroo.model.vision import KangarooVisionTower
tower, frames = KangarooVisionTower(tiny().vision_config), torch.randn(2, 3, 56, 56)
compiled = torch.compile(tower, fullgraph=True, dynamic=False, backend="eager")
torch.testing.assert_close(compiled(frames), tower(frames))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_half_precision_stays_near_full() -> None:
    tower, frames = build(), make_film(2).pixels
    expected = tower(frames).detach()
    found = tower.to(torch.bfloat16)(frames).detach()
    assert found.dtype == torch.bfloat16
    assert float((found - expected).square().mean().sqrt() / expected.square().mean().sqrt()) < 0.02
