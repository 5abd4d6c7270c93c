import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from einops import rearrange, reduce
from staged import END_S, START_S, bare, event, film, scene, staged, thing

from kangaroo.playground.film import PATTERNS, Background, Verb
from kangaroo.playground.render import backgrounds
from kangaroo.playground.script import MAX_THINGS, make_film
from kangaroo.playground.vocabulary import COLOURS, SHAPES, Look, Way, sprites

SIDE_PX = 96
TIPPED = ("arrow", "triangle")
DOG = Look(next(slug for slug, sprite in sprites().items() if sprite.name.en == "dog"))


def drawn(renderer, shown, *times_s, height_px=SIDE_PX, width_px=SIDE_PX):
    """Pixels, 0 to 1, `[moment, row, column, rgb]`."""
    return renderer.draw(shown, np.array(times_s), height_px=height_px, width_px=width_px).numpy() / 255


def changed(renderer, shown, *times_s, **size):
    """Where the things are: what differs from the bare background, `[moment, row, column]`."""
    difference = abs(drawn(renderer, shown, *times_s, **size) - drawn(renderer, bare(shown), *times_s, **size))
    return difference.max(axis=-1) > 0.06


def centre(mask):
    """Column and row of a mask's centre of gravity, as shares of the picture."""
    rows, columns = np.nonzero(mask)
    return (columns.mean() + 0.5) / mask.shape[1], (rows.mean() + 0.5) / mask.shape[0]


def extent(mask):
    """Width and height of a mask in pixels."""
    rows, columns = np.nonzero(mask)
    return np.ptp(columns) + 1, np.ptp(rows) + 1


@pytest.mark.parametrize("kind", SHAPES)
def test_every_shape_lies_at_its_cell_and_fills_its_size(renderer, kind):
    mask = changed(renderer, film(scene([thing(Look(kind, "red"), cell=5, size=0.3)])), 0.0)[0]
    rows, columns = np.nonzero(mask)
    box = (columns.min() + columns.max() + 1) / 2 / SIDE_PX, (rows.min() + rows.max() + 1) / 2 / SIDE_PX
    assert box == pytest.approx((0.82, 0.5), abs=0.05)
    assert 0.65 * 0.3 < max(extent(mask)) / SIDE_PX <= 0.3


@pytest.mark.parametrize("colour", COLOURS)
def test_a_shape_has_its_colour(renderer, colour):
    picture = drawn(renderer, film(scene([thing(Look("hexagon", colour))])), 0.0)[0]
    assert picture[SIDE_PX // 2, SIDE_PX // 2] == pytest.approx(COLOURS[colour].rgb, abs=0.003)
    assert picture[0, 0] == pytest.approx([0.8] * 3, abs=0.003)


def test_twelve_shapes_look_different(renderer):
    masks = [changed(renderer, film(scene([thing(Look(kind, "red"))])), 0.0)[0] for kind in SHAPES]
    for index, mask in enumerate(masks):
        for other in masks[:index]:
            assert np.sum(mask ^ other) > 0.1 * np.sum(mask)


def test_a_sprite_lets_the_background_through_where_it_is_clear(renderer):
    shown = film(scene([thing(DOG, size=0.5)]))
    mask = changed(renderer, shown, 0.0)[0]
    assert 0.02 < mask.mean() < 0.25
    picture, edge = drawn(renderer, shown, 0.0)[0], int(SIDE_PX * 0.26)
    assert picture[edge, edge] == pytest.approx([0.8] * 3, abs=0.003)  # a corner of its tile
    assert np.ptp(picture[mask], axis=0).max() > 0.3  # many colours, not one tint


def test_half_appeared_is_half_thing_and_half_background(renderer):
    half, whole = drawn(renderer, staged(Verb.APPEAR), (START_S + END_S) / 2, END_S)
    nothing = drawn(renderer, staged(Verb.APPEAR), 0.0)[0]
    np.testing.assert_allclose(half, (whole + nothing) / 2, atol=0.005)


def test_a_turn_turns_the_picture_clockwise(renderer):
    # a dog has no symmetry that could hide a mirrored turn
    turning = film(scene([thing(DOG)], [event(Verb.TURN)]))
    upright, quarter, half = drawn(renderer, turning, START_S, START_S + (END_S - START_S) / 4, (START_S + END_S) / 2)
    np.testing.assert_allclose(quarter, np.rot90(upright, k=-1), atol=0.02)
    np.testing.assert_allclose(half, np.rot90(upright, k=2), atol=0.02)
    assert abs(upright - quarter).max() > 0.3


def test_an_arrow_points_right_and_a_triangle_up(renderer):
    arrow, triangle = (changed(renderer, film(scene([thing(Look(kind, "red"))])), 0.0)[0] for kind in TIPPED)
    _, columns = np.nonzero(arrow)
    assert arrow[:, columns.max() - 1].sum() < arrow[:, columns.max() - 12].sum()
    rows, _ = np.nonzero(triangle)
    assert triangle[rows.min() + 1].sum() < triangle[rows.max() - 1].sum() / 3


@pytest.mark.parametrize(("width_px", "height_px"), [(640, 360), (360, 640), (480, 480)])
def test_a_square_is_square_at_the_films_own_size_and_squeezed_with_the_film(renderer, width_px, height_px):
    shown = film(scene(), width_px=width_px, height_px=height_px)
    width, height = extent(changed(renderer, shown, 0.0, height_px=height_px // 2, width_px=width_px // 2)[0])
    assert width == pytest.approx(height, abs=1)
    squeezed = extent(changed(renderer, shown, 0.0, height_px=240, width_px=240)[0])
    assert squeezed[0] / squeezed[1] == pytest.approx(height_px / width_px, rel=0.03)


@pytest.mark.parametrize("seed", range(4))
def test_a_film_looks_the_same_at_any_size(renderer, seed):
    shown = make_film(seed, duration_s=16.0)
    large = drawn(renderer, shown, 3.0, 11.0, height_px=224, width_px=224)
    small = drawn(renderer, shown, 3.0, 11.0, height_px=112, width_px=112)
    halved = reduce(large, "moment (row a) (column b) rgb -> moment row column rgb", "mean", a=2, b=2)
    assert abs(halved - small).mean() < 0.006


def test_frames_drawn_together_equal_frames_drawn_alone(renderer):
    films = [make_film(seed, duration_s=16.0) for seed in range(3)]
    moments = np.array([1.0, 7.5, 15.0])
    parts = [
        (
            torch.from_numpy(each.states(moments, num_slots=MAX_THINGS)),
            torch.from_numpy(backgrounds(each, moments)),
            torch.full((3,), each.aspect),
        )
        for each in films
    ]
    together = [torch.cat(column) for column in zip(*parts, strict=True)]
    batch = renderer.render(*together, height_px=SIDE_PX, width_px=SIDE_PX)
    for row in range(9):
        alone = renderer.render(*(column[row : row + 1] for column in together), height_px=SIDE_PX, width_px=SIDE_PX)
        torch.testing.assert_close(batch[row : row + 1], alone, rtol=0, atol=1e-6)
    chunked = renderer.render(*together, height_px=SIDE_PX, width_px=SIDE_PX, chunk_frames=2)
    torch.testing.assert_close(batch, chunked, rtol=0, atol=1e-6)


_COMPILED = """
import numpy as np, torch
from torch._dynamo.utils import counters
from kangaroo.playground.render import Renderer
from kangaroo.playground.script import make_film

graphs = []
for frames in (9, 12, 30, 41):
    film, moments = make_film(frames, duration_s=float(frames)), np.arange(float(frames))
    fast, plain = (
        Renderer("cpu", is_compiled=compiled).draw(film, moments, height_px=96, width_px=96).int()
        for compiled in (True, False)
    )
    assert (fast - plain).abs().max() <= 1
    graphs.append(counters["stats"]["unique_graphs"])
assert 0 < graphs[1] == graphs[-1], graphs
"""


@pytest.mark.long
def test_compiled_drawing_gives_the_same_pixels_and_is_not_compiled_anew_for_other_numbers_of_frames():
    # in a process of its own: checks of types cannot be compiled
    subprocess.run([sys.executable, "-c", _COMPILED], check=True)


def test_draw_gives_the_bytes_of_render(renderer):
    shown, moments = make_film(5, duration_s=16.0), np.array([2.0, 9.0])
    pixels = renderer.render(
        torch.from_numpy(shown.states(moments, num_slots=MAX_THINGS)),
        torch.from_numpy(backgrounds(shown, moments)),
        torch.full((2,), shown.aspect),
        height_px=40,
        width_px=60,
    )
    assert pixels.min() >= 0
    assert pixels.max() <= 1.001
    drawn_bytes = renderer.draw(shown, moments, height_px=40, width_px=60)
    expected = rearrange(pixels, "frame rgb row column -> frame row column rgb") * 255
    assert (drawn_bytes.float() - expected).abs().max() <= 0.51


def test_the_later_thing_lies_over_the_earlier(renderer):
    both = film(scene([thing(Look("square", "red"), size=0.5), thing(Look("circle", "blue"))]))
    picture = drawn(renderer, both, 0.0)[0]
    assert picture[SIDE_PX // 2, SIDE_PX // 2] == pytest.approx(COLOURS["blue"].rgb, abs=0.003)


def test_every_pattern_shows_its_two_colours_and_plain_only_the_first(renderer):
    first, second = (0.8, 0.75, 0.72), (0.9, 0.85, 0.82)
    for pattern in PATTERNS:
        back = Background(pattern=pattern, first=first, second=second, angle=0.4, frequency=3.0)
        picture = drawn(renderer, film(scene((), background=back)), 0.0)[0]
        low, high = picture.min(axis=(0, 1)), picture.max(axis=(0, 1))
        assert (low >= np.array(first) - 0.004).all()
        assert (high <= np.array(second) + 0.004).all()
        assert np.ptp(picture[..., 0]) == (0 if pattern == "plain" else pytest.approx(0.1, abs=0.03))


@pytest.mark.parametrize(("cell", "other"), [(3, 5), (5, 3), (1, 7), (7, 1)])
def test_a_bump_touches_but_does_not_overlap(renderer, cell, other):
    two = [thing(Look("circle", "red"), cell=cell), thing(Look("circle", "blue"), cell=other)]
    shown = film(scene(two, [event(Verb.BUMP, other=1)]))
    apart, touching, after = changed(renderer, shown, 0.0, (START_S + END_S) / 2, END_S)
    assert touching.sum() == pytest.approx(apart.sum(), rel=0.02)  # no pixel of one hides the other
    assert (apart == after).all()
    profile = np.nonzero(touching.any(axis=0 if cell in (3, 5) else 1))[0]
    gap_px = np.diff(profile).max() - 1
    assert gap_px <= 0.05 * SIDE_PX


@pytest.mark.parametrize("verb", [Verb.VANISH, Verb.LEAVE])
def test_what_is_gone_leaves_no_trace(renderer, verb):
    gone = staged(verb, way=Way.DOWN)
    assert changed(renderer, gone, START_S - 0.1).any()
    assert not changed(renderer, gone, END_S, 15.0).any()


def test_a_film_switches_to_the_second_scenes_background_at_its_first_frame(renderer):
    dark = Background(pattern="plain", first=(0.2, 0.3, 0.2), second=(0.2, 0.3, 0.2), angle=0.0, frequency=2.0)
    shown = film(scene(end_s=6.0), scene((), start_s=6.0, end_s=16.0, background=dark))
    before, after = drawn(renderer, shown, 5.9, 6.0)[:, 0, 0]
    assert before == pytest.approx([0.8] * 3, abs=0.003)
    assert after == pytest.approx(dark.first, abs=0.003)


def test_a_mirrored_state_is_a_mirrored_picture(renderer):
    left = film(scene([thing(Look("star", "green"), cell=3, jitter=(0.02, 0.01))]))
    star = left.scenes[0].things[0]
    right = film(replace(left.scenes[0], things=(replace(star, cell=5, jitter=(-0.02, 0.01)),)))
    np.testing.assert_allclose(drawn(renderer, left, 0.0)[0], drawn(renderer, right, 0.0)[0, :, ::-1], atol=0.01)
    x, y = centre(changed(renderer, left, 0.0)[0])
    assert (x, y) == pytest.approx((0.2, 0.51), abs=0.015)
