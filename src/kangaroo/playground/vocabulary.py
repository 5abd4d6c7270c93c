"""What the playground can draw and how it is called in English and Chinese.

Twelve drawn shapes in ten named colours, always; and the sprites of `sprites.json`.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Phrase(NamedTuple):
    """The same words in both languages."""

    en: str
    zh: str


class Language(StrEnum):
    """A language of the playground; its value is the field of `Phrase` that holds it."""

    EN = "en"
    ZH = "zh"


class Colour(NamedTuple):
    """A named colour and its RGB value, 0 to 1."""

    name: Phrase
    rgb: tuple[float, float, float]


COLOURS = {
    "red": Colour(Phrase("red", "红色"), (0.88, 0.12, 0.12)),
    "orange": Colour(Phrase("orange", "橙色"), (1.0, 0.55, 0.05)),
    "yellow": Colour(Phrase("yellow", "黄色"), (1.0, 0.9, 0.1)),
    "green": Colour(Phrase("green", "绿色"), (0.1, 0.65, 0.2)),
    "blue": Colour(Phrase("blue", "蓝色"), (0.12, 0.3, 0.9)),
    "purple": Colour(Phrase("purple", "紫色"), (0.55, 0.15, 0.75)),
    "pink": Colour(Phrase("pink", "粉色"), (1.0, 0.55, 0.75)),
    "brown": Colour(Phrase("brown", "棕色"), (0.48, 0.28, 0.1)),
    "white": Colour(Phrase("white", "白色"), (1.0, 1.0, 1.0)),
    "black": Colour(Phrase("black", "黑色"), (0.05, 0.05, 0.05)),
}

SHAPES = {
    "circle": Phrase("circle", "圆形"),
    "square": Phrase("square", "方形"),
    "triangle": Phrase("triangle", "三角形"),
    "star": Phrase("star", "五角星"),
    "heart": Phrase("heart", "爱心"),
    "diamond": Phrase("diamond", "菱形"),
    "cross": Phrase("cross", "十字"),
    "ring": Phrase("ring", "圆环"),
    "moon": Phrase("moon", "月牙"),
    "hexagon": Phrase("hexagon", "六边形"),
    "arrow": Phrase("arrow", "箭头"),
    "bowl": Phrase("half circle", "半圆"),
}

# turning one of these about its centre can hardly be seen
ROUND = {"circle", "ring", "hexagon"}

# names that do not tell what the picture shows, or that a shape already has
_UNCLEAR = frozenset(
    """
    amphora bank bikini blossom boar briefs butter construction cooking custard cyclone dango dna dodo dvd ewe foggy
    headstone herb hook hospital hotel ice joker kaaba knot lacrosse ledger link mate metro microbe moai mosque oden
    ox pager placard poodle ram rat ring rock sake salt sari sauropod school seat softball star station sunrise
    sunset watch wedding wood
    """.split()  # noqa: SIM905
)


class Style(StrEnum):
    """Who drew the sprites: Fluent's ship with the package and are trained on, Noto's are for testing alone."""

    FLUENT = "fluent"
    NOTO = "noto"


class Sprite(NamedTuple):
    """A picture of the sprite sheet: its tile (reading order) and what it is called."""

    tile: int
    name: Phrase


@cache
def sprites() -> dict[str, Sprite]:
    """Return every sprite by slug, in the order of the sheet."""
    entries = json.loads((Path(__file__).parent / "sprites.json").read_text(encoding="utf-8"))
    return {entry["slug"]: Sprite(tile, Phrase(entry["en"], entry["zh"])) for tile, entry in enumerate(entries)}


@cache
def common_sprites() -> tuple[str, ...]:
    """Return the slugs of things with one plain word in English and at most three characters in Chinese."""
    return tuple(
        slug
        for slug, sprite in sprites().items()
        if sprite.name.en.isascii()
        and sprite.name.en.isalpha()
        and sprite.name.en.islower()
        and len(sprite.name.zh) <= 3
        and not sprite.name.zh.isascii()
        and sprite.name.en not in _UNCLEAR
    )


@dataclass(frozen=True)
class Look:
    """What a thing looks like: a shape in a colour, or a sprite (no colour)."""

    kind: str
    colour: str | None = None

    @property
    def is_shape(self) -> bool:
        """Whether this is a drawn shape."""
        return self.colour is not None

    @property
    def kind_name(self) -> Phrase:
        """The name without the colour."""
        return SHAPES[self.kind] if self.is_shape else sprites()[self.kind].name

    @property
    def name(self) -> Phrase:
        """The whole name: `red circle`, `dog`."""
        if self.colour is None:
            return self.kind_name
        colour, kind = COLOURS[self.colour].name, self.kind_name
        return Phrase(f"{colour.en} {kind.en}", f"{colour.zh}{kind.zh}")


class Way(StrEnum):
    """A direction, or the side of the picture that lies there."""

    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"

    @property
    def step(self) -> tuple[int, int]:
        """Columns and rows of one step; rows grow downward."""
        return {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}[self.value]

    @property
    def motion(self) -> Phrase:
        """The direction of a motion."""
        return Phrase(self.value, {"left": "向左", "right": "向右", "up": "向上", "down": "向下"}[self.value])

    @property
    def side(self) -> Phrase:
        """The side of the picture."""
        return {
            "left": Phrase("the left", "左边"),
            "right": Phrase("the right", "右边"),
            "up": Phrase("the top", "上边"),
            "down": Phrase("the bottom", "下边"),
        }[self.value]


# the nine places of a picture, row by row
PLACES = (
    Phrase("at the top left", "左上角"),
    Phrase("at the top", "正上方"),
    Phrase("at the top right", "右上角"),
    Phrase("on the left", "左侧"),
    Phrase("in the centre", "正中间"),
    Phrase("on the right", "右侧"),
    Phrase("at the bottom left", "左下角"),
    Phrase("at the bottom", "正下方"),
    Phrase("at the bottom right", "右下角"),
)
