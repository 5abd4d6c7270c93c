from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import kangaroo.playground
from kangaroo.playground.atlas import atlas
from kangaroo.playground.pack import COLUMNS, TILE_PX
from kangaroo.playground.vocabulary import COLOURS, SHAPES, common_sprites, sprites

SHEET = Path(kangaroo.playground.__file__).parent / "sprites.webp"


@pytest.fixture(scope="module")
def sheet():
    """The shipped sheet as Pillow reads it, `[row, column, rgba]`, 0 to 1."""
    return np.asarray(Image.open(SHEET).convert("RGBA")) / 255


def test_732_sprites_have_names_in_both_languages_and_a_tile_each(sheet):
    assert len(sprites()) == 732
    assert sheet.shape == (-(-732 // COLUMNS) * TILE_PX, COLUMNS * TILE_PX, 4)
    for tile, sprite in enumerate(sprites().values()):
        assert sprite.tile == tile
        assert sprite.name.en
        assert sprite.name.zh
        assert _tile(sheet, tile)[..., 3].mean() > 0.03, f"{sprite.name.en} shows nothing"


def test_no_tile_touches_its_edge_so_that_neighbours_never_bleed(sheet):
    for tile in range(732):
        alpha = _tile(sheet, tile)[..., 3]
        assert max(alpha[0].max(), alpha[-1].max(), alpha[:, 0].max(), alpha[:, -1].max()) == 0


def test_tiles_are_the_sheets_pixels_premultiplied(sheet):
    for tile in (0, 17, 333, 731):
        pixels = _tile(sheet, tile)
        layers = atlas()[len(SHAPES) + tile].numpy()
        np.testing.assert_allclose(layers[4], pixels[..., 3], atol=0.02)
        solid = pixels[..., 3] == 1
        # the two libraries scale WebP's halved colour planes up by different filters
        assert abs(layers[:3, solid] - pixels[solid, :3].T).mean() < 0.03
        assert (layers[:3] <= layers[4] + 1e-6).all()
        assert not layers[3].any()


def test_the_dog_is_brown_and_the_frog_is_green(sheet):
    by_name = {sprite.name.en: sprite.tile for sprite in sprites().values()}
    for name, stronger, weaker in (("frog", 1, 2), ("dog", 0, 2), ("fire", 0, 2), ("droplet", 2, 0)):
        layers = atlas()[len(SHAPES) + by_name[name]]
        assert layers[stronger].sum() > 1.2 * layers[weaker].sum(), name


def test_smaller_tiles_are_averages_of_the_largest():
    halved = torch.nn.functional.avg_pool2d(atlas(), 2)
    torch.testing.assert_close(atlas(TILE_PX // 2), halved)


def test_shapes_take_tint_inside_and_have_a_dark_rim():
    for shape, layers in zip(SHAPES, atlas(), strict=False):
        tint, alpha = layers[3], layers[4]
        assert (tint <= alpha).all()
        assert tint.sum() > 0.7 * alpha.sum(), shape
        assert (alpha - tint).max() == 1, shape


def test_common_sprites_have_one_plain_word_and_no_name_that_says_something_else():
    names = [sprites()[slug].name for slug in common_sprites()]
    assert len(names) > 250
    assert len({name.en for name in names}) == len({name.zh for name in names}) == len(names)
    shapes = {word for name in SHAPES.values() for word in name}
    assert not shapes & {word for name in names for word in name}
    assert not {colour.name.en for colour in COLOURS.values()} & {name.en for name in names}


def _tile(sheet, tile):
    row, column = divmod(tile, COLUMNS)
    return sheet[row * TILE_PX : (row + 1) * TILE_PX, column * TILE_PX : (column + 1) * TILE_PX]
