"""Sprites in a style that training never shows. Skipped, and said so, where Debian's font is not installed."""

import numpy as np
import pytest
import torch

from kangaroo.errors import OptionError
from kangaroo.playground import noto
from kangaroo.playground.atlas import atlas
from kangaroo.playground.noto import FONT, noto_tiles
from kangaroo.playground.render import Renderer
from kangaroo.playground.script import FilmKind, FilmSettings, make_film
from kangaroo.playground.vocabulary import SHAPES, Style, common_sprites, sprites

with_font = pytest.mark.skipif(not FONT.exists(), reason="install Debian's fonts-noto-color-emoji to run this")


@with_font
def test_every_sprite_of_films_has_another_picture_of_its_own():
    ours, theirs = atlas(), atlas(style=Style.NOTO)
    assert torch.equal(ours[: len(SHAPES)], theirs[: len(SHAPES)])
    seen = set()
    for slug in common_sprites():
        tile = len(SHAPES) + sprites()[slug].tile
        assert 0.05 < theirs[tile, 4].mean() < 0.95, slug
        assert (ours[tile] - theirs[tile]).abs().mean() > 0.01, slug
        seen.add(theirs[tile].numpy().tobytes())
    assert len(seen) == len(common_sprites())


@with_font
def test_tiles_keep_clear_edges():
    tiles = noto_tiles()
    assert tiles[:, [0, 1, -2, -1]].max() == tiles[:, :, [0, 1, -2, -1]].max() == 0


@with_font
def test_a_film_in_another_style_differs_where_sprites_stand_alone():
    for share, differs in ((1.0, True), (0.0, False)):
        film = make_film(3, settings=FilmSettings(kind=FilmKind.STILL, sprite_share=share))
        one, other = (
            Renderer("cpu", style=style).draw(film, np.zeros(1), height_px=96, width_px=96) for style in Style
        )
        assert torch.equal(one, other) is not differs


def test_a_missing_font_names_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(noto, "FONT", tmp_path / "missing.ttf")
    with pytest.raises(OptionError, match="fonts-noto-color-emoji"):
        noto_tiles()
