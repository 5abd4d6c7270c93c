"""Writing of known area on pictures."""

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from kangaroo.curation.measures.areas import rectangle

FONT = font_manager.findfont("DejaVu Sans")
WORDS = ("quick", "brown", "kangaroo", "jumps", "over", "lazy", "seven", "wizards", "pack", "dozen", "boxes", "jam")


def words(rng, number):
    return " ".join(rng.choice(WORDS, number))


def write(pixels, lines, *, size_px=24, colour=(255, 255, 255), outline=(0, 0, 0)):
    """Draw lines [(x, y, words)] onto a picture; the picture and the ink's rectangles in shares of its sides."""
    picture = Image.fromarray(np.asarray(pixels, dtype=np.uint8))
    pen, font = ImageDraw.Draw(picture), ImageFont.truetype(FONT, size_px)
    height, width = pixels.shape[:2]
    boxes = []
    for x, y, text in lines:
        pen.text((x, y), text, font=font, fill=colour, stroke_width=1, stroke_fill=outline)
        left, top, right, bottom = pen.textbbox((x, y), text, font=font, stroke_width=1)
        boxes.append(rectangle(max(0, left) / width, top / height, min(width, right) / width, bottom / height))
    return np.asarray(picture), boxes
