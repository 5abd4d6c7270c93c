"""Build the sprite sheet that ships with the playground from two npm packages. Run by maintainers, once.

    npm pack @lobehub/fluent-emoji-3d@1.1.0 emojibase-data@17.0.0   # both MIT; unpack each
    python -m kangaroo.playground.pack fluent-emoji-3d/package emojibase-data/package

Writes `sprites.webp` (one sheet of square tiles, transparent background) and `sprites.json` (slug, English and
Chinese name of each tile, in reading order). Needs Pillow, which the package itself does not.
"""

import json
import sys
from pathlib import Path

TILE_PX = 96
COLUMNS = 32
OBJECT_GROUPS = {3, 4, 5, 6, 7}  # animals and nature, food, travel, activities, objects
OUT = Path(__file__).parent


def build(fluent: Path, emojibase: Path) -> int:
    """Write the sheet and its names; return the number of sprites."""
    from PIL import Image

    chinese = {entry["hexcode"]: entry["label"] for entry in _read(emojibase / "zh" / "data.json")}
    names, tiles = [], []
    for entry in _read(emojibase / "en" / "data.json"):
        if entry.get("group") not in OBJECT_GROUPS:
            continue
        stems = (entry["hexcode"].lower(), entry["hexcode"].replace("-FE0F", "").lower())
        file = next((path for stem in stems if (path := fluent / "assets" / f"{stem}.webp").exists()), None)
        if file is None:
            continue
        names.append({"slug": stems[1], "en": entry["label"], "zh": chinese[entry["hexcode"]]})
        tiles.append(Image.open(file).convert("RGBA").resize((TILE_PX - 4, TILE_PX - 4), Image.Resampling.LANCZOS))
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new("RGBA", (COLUMNS * TILE_PX, rows * TILE_PX))
    for index, tile in enumerate(tiles):
        # two clear pixels around each tile, so that neighbours never bleed into one another
        sheet.paste(tile, (index % COLUMNS * TILE_PX + 2, index // COLUMNS * TILE_PX + 2))
    sheet.save(OUT / "sprites.webp", quality=82, method=6, alpha_quality=90)
    (OUT / "sprites.json").write_text(json.dumps(names, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    return len(names)


def _read(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), Path(sys.argv[2])), "sprites")
