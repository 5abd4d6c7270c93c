"""A second drawing of the sprites, never trained on: Google's Noto Color Emoji, as Debian packages it.

The font stays where the system keeps it; nothing of it ships with the package.
Axes: tile, row, column, channel (red, green, blue, alpha).
"""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from kangaroo.errors import OptionError
from kangaroo.playground.pack import TILE_PX
from kangaroo.playground.vocabulary import common_sprites, sprites

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
_STRIKE = 109  # the one size at which the font holds pictures


def noto_tiles() -> UInt8[np.ndarray, "tile row column rgba"]:
    """Return every sprite as Noto draws it, in the order of the sheet; those never drawn in films stay empty.

    Raises:
        OptionError: The font or Pillow is not installed, or the font is too old to have every sprite.
    """
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise OptionError("the style noto needs Pillow: pip install 'kangaroo-video[evaluate]'") from None
    if not FONT.exists():
        raise OptionError(f"the style noto needs {FONT}; install Debian's package fonts-noto-color-emoji")
    font = ImageFont.truetype(str(FONT), _STRIKE)
    tiles = np.zeros((len(sprites()), TILE_PX, TILE_PX, 4), dtype=np.uint8)
    for slug in common_sprites():
        text = "".join(chr(int(code, 16)) for code in slug.split("-"))
        left, top, right, bottom = map(round, font.getbbox(text))
        if right <= left or bottom <= top:
            raise OptionError(f"{FONT} has no picture of {slug} ({sprites()[slug].name.en}); install a newer one")
        side = max(right - left, bottom - top)
        glyph = Image.new("RGBA", (side, side))
        corner = ((side - (right - left)) // 2 - left, (side - (bottom - top)) // 2 - top)
        ImageDraw.Draw(glyph).text(corner, text, font=font, embedded_color=True)
        picture = glyph.resize((TILE_PX - 4, TILE_PX - 4), Image.Resampling.LANCZOS)
        # two clear pixels around each tile, as around those of the sheet
        tiles[sprites()[slug].tile, 2:-2, 2:-2] = np.asarray(picture)
    return tiles
