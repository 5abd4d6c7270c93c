"""The one place where the parts of curation are joined: which steps there are, their settings, the rules over them.

Whoever adds a step adds its settings to `SETTINGS`, the step to `measuring` or `wording`, its thresholds to `RULES`.
"""

from pathlib import Path

from kangaroo.curation.engine.export import MediaSettings
from kangaroo.curation.engine.layout import Layout
from kangaroo.curation.engine.look import Look
from kangaroo.curation.engine.pipeline import Pipeline, Results
from kangaroo.curation.engine.recipe import Bounds, Of, Recipe, Rule
from kangaroo.curation.learned.writer import SMOLLM, is_smollm
from kangaroo.curation.measures.clips import CutSettings, FoundBy
from kangaroo.curation.measures.duplicates import DuplicateSettings
from kangaroo.curation.measures.faces import FaceSettings
from kangaroo.curation.measures.key_frames import KeyFrameSettings
from kangaroo.curation.measures.models import ALL, CUTS, OBJECTS, WRITER, find_weights
from kangaroo.curation.measures.motion import MotionRule
from kangaroo.curation.measures.technical import TechnicalRule
from kangaroo.curation.measures.text import TextSettings
from kangaroo.curation.measuring import finder_of, measuring_steps
from kangaroo.curation.wording import Askers, Words
from kangaroo.curation.words.balance import BalanceSettings
from kangaroo.curation.words.captioning import CaptionSettings
from kangaroo.curation.words.categories import CategorySettings
from kangaroo.curation.words.leaks import LeakSettings
from kangaroo.curation.words.merging import MergeSettings
from kangaroo.curation.words.refining import RefineSettings
from kangaroo.curation.words.tasks import InstructSettings
from kangaroo.errors import OptionError
from kangaroo.playground.vocabulary import Language

SETTINGS: dict[str, type] = {
    "cut": CutSettings,
    "look": Look,
    "technical": TechnicalRule,
    "text": TextSettings,
    "faces": FaceSettings,
    "motion": MotionRule,
    "duplicates": DuplicateSettings,
    "key_frames": KeyFrameSettings,
    "captions": CaptionSettings,
    "refine": RefineSettings,
    "merge": MergeSettings,
    "categories": CategorySettings,
    "balance": BalanceSettings,
    "instruct": InstructSettings,
    "leaks": LeakSettings,
    "media": MediaSettings,
}

# no threshold of the original is published: these are where we start
RULES = (
    Rule(name="duration", score="clip.duration_s", bounds=Bounds()),
    Rule(name="size", score="probe.short_side_px", bounds=Bounds(min=224.0)),
    Rule(name="duplicates", score="duplicates.rank", bounds=Bounds(max=0.0)),
    Rule(name="text", score="text.cover", bounds=Bounds(max=0.05)),
    Rule(name="overlay", score="text.overlay", bounds=Bounds(max=0.02)),
    Rule(name="faces", score="faces.cover", bounds=Bounds(max=0.2)),
    Rule(name="motion", score="motion.activity", bounds=Bounds(min=1.0), of=Of.FILMS),
    Rule(name="speed", score="motion.speed", bounds=Bounds(max=1.0), of=Of.FILMS),
    Rule(name="bars", score="technical.picture_share", bounds=Bounds(min=0.5)),
    Rule(name="black", score="technical.black_share", bounds=Bounds(max=0.5)),
    Rule(name="frozen", score="technical.frozen_share", bounds=Bounds(max=0.9), of=Of.FILMS),
    Rule(name="blur", score="technical.blur", bounds=Bounds(max=0.75)),
)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe with the settings and rules of all parts.

    Raises:
        OptionError: It is missing, or something in it is unknown or impossible.
    """
    return Recipe.read(path, steps=SETTINGS, rules=RULES)


def words(recipe: Recipe) -> Words:
    """Return what a recipe does with words."""
    names = ("captions", "refine", "merge", "categories", "balance", "instruct", "leaks")
    return Words(**{name: recipe.steps[name] for name in names}, askers=Askers(Layout(out=recipe.out).ledger))


def pipeline(recipe: Recipe) -> Pipeline:
    """Return what a recipe asks for. Nothing is opened yet."""
    names = ("cut", "look", "key_frames", "duplicates", "media")
    measures = {name: recipe.steps[name] for name in ("text", "faces", "motion", "technical")}
    said = words(recipe)
    return Pipeline(
        **{name: recipe.steps[name] for name in names},
        finder_of=finder_of,
        steps=(*measuring_steps(**measures), *said.steps),
        rules=RULES,
        writing_on=_writing_on,
        choose=said.choose,
        records=said.records,
    )


def check(recipe: Recipe) -> None:
    """Refuse what could not be done later, before anything is done.

    Raises:
        ModelError: A detector's weights are missing, or there is no model of a name.
        OptionError: A key or a benchmark's fingerprints are missing.
        EndpointError: An endpoint does not answer.
    """
    said = words(recipe)
    chosen = {
        CUTS: recipe.steps["cut"].by is FoundBy.NETWORK,
        OBJECTS: said.categories.pictures is not None,
        WRITER: any(is_smollm(model) for model in said.models),
    }
    for weights in (*ALL, *(one for one, is_chosen in chosen.items() if is_chosen)):
        find_weights(weights)
    assert said.benchmarks is not None, "they were read"
    for model in said.models:
        if is_smollm(model):
            _check_smollm(said)
        elif model.endpoint is None:
            from kangaroo.chat.load import JOEY, find_folder

            find_folder(model.model or JOEY)
        else:
            said.askers.of(model)


def _check_smollm(said: Words) -> None:
    if any(is_smollm(one.model) for one in said.captions.captioners):
        raise OptionError(f"[captions]: {SMOLLM} sees no pictures; let joey or an endpoint caption")
    if Language.ZH in said.languages:
        raise OptionError(f"{SMOLLM} writes English alone; set the Chinese [instruct.shares] to 0, or leave it out")


def _writing_on(results: Results) -> dict[float, float]:
    return dict(results["text"]["stills"])
