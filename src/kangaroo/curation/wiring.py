"""The one place where the parts of curation are joined: which steps there are, their settings, the rules over them.

Whoever adds a step adds its settings to `SETTINGS`, the step to `pipeline`, and its thresholds to `RULES`.
"""

from pathlib import Path

from kangaroo.curation.cut import CutSettings
from kangaroo.curation.duplicates import DuplicateSettings
from kangaroo.curation.export import MediaSettings
from kangaroo.curation.fingerprint import VERSION as FINGERPRINT
from kangaroo.curation.fingerprint import FingerprintSettings, fingerprint
from kangaroo.curation.pipeline import Pipeline
from kangaroo.curation.recipe import Bounds, Recipe, Rule
from kangaroo.curation.step import FRAMES, Step
from kangaroo.curation.watch import Look

SETTINGS: dict[str, type] = {
    "cut": CutSettings,
    "look": Look,
    "fingerprint": FingerprintSettings,
    "duplicates": DuplicateSettings,
    "media": MediaSettings,
}

RULES = (
    Rule(name="duration", score="clip.duration_s", bounds=Bounds()),
    Rule(name="size", score="probe.short_side_px", bounds=Bounds(min=224.0)),
    Rule(name="duplicates", score="duplicates.rank", bounds=Bounds(max=0.0)),
)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe with the settings and rules of all parts.

    Raises:
        OptionError: It is missing, or something in it is unknown or impossible.
    """
    return Recipe.read(path, steps=SETTINGS, rules=RULES)


def pipeline(recipe: Recipe) -> Pipeline:
    """Return what a recipe asks for."""
    steps = (
        Step(
            name="fingerprint",
            version=FINGERPRINT,
            settings=recipe.steps["fingerprint"],
            needs=(FRAMES,),
            function=fingerprint,
        ),
    )
    return Pipeline(
        cut=recipe.steps["cut"],
        look=recipe.steps["look"],
        duplicates=recipe.steps["duplicates"],
        media=recipe.steps["media"],
        steps=steps,
        rules=RULES,
        key_times=None,
        select=None,
        records=None,
        absent=("text, faces and motion are not measured", "no captions: no records are written"),
    )
