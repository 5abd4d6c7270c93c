"""The recipe that we ship says what the defaults are, and what cannot be done is refused before anything is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kangaroo.curation import wiring
from kangaroo.curation.clip import Clip
from kangaroo.curation.engine.step import Seen
from kangaroo.curation.measures.clips import CutSettings, FoundBy
from kangaroo.curation.measures.models import ALL, CUTS, FETCH_COMMAND, OBJECTS
from kangaroo.curation.wiring import RULES, SETTINGS, check, pipeline, read_recipe
from kangaroo.curation.words.asking import ModelSettings
from kangaroo.curation.words.captioning import CaptionerSettings, CaptionSettings
from kangaroo.curation.words.categories import CategorySettings, PictureSettings
from kangaroo.curation.words.leaks import LeakSettings
from kangaroo.curation.words.merging import MergeSettings
from kangaroo.curation.words.tasks import InstructSettings
from kangaroo.errors import EndpointError, ModelError, OptionError
from kangaroo.video.frames import Frames

RECIPE = Path(__file__).parents[2] / "recipes" / "curate.toml"


@pytest.fixture
def recipe():
    return read_recipe(RECIPE)


def test_the_recipe_that_we_ship_names_every_default(recipe):
    assert dict(recipe.steps) == {name: kind() for name, kind in SETTINGS.items()}
    assert dict(recipe.keep) == {rule.name: rule.bounds for rule in RULES}
    assert {name for name in SETTINGS if f"[{name}]" not in RECIPE.read_text(encoding="utf-8")} == {"captions"}


def with_captioners(recipe, *models):
    captioners = tuple(CaptionerSettings(model=model) for model in models)
    return replace(recipe, steps={**recipe.steps, "captions": CaptionSettings(captioners=captioners)})


def test_a_changed_prompt_reaches_its_captioner_and_what_depends_on_it(recipe):
    names = ("joey", "other")
    before = pipeline(with_captioners(recipe, *(ModelSettings(name=name) for name in names))).signatures
    captioners = tuple(CaptionerSettings(model=ModelSettings(name=name)) for name in names)
    changed = (captioners[0], replace(captioners[1], prompt_en="What is this?"))
    after = pipeline(
        replace(recipe, steps={**recipe.steps, "captions": CaptionSettings(captioners=changed)})
    ).signatures
    assert {name for name in before if before[name] != after[name]} == {
        *("caption.other.en", "refined.other.en", "merged.en", "category")
    }


def test_where_an_endpoint_is_and_how_patient_we_are_changes_no_result(recipe):
    near, far = (
        with_captioners(recipe, ModelSettings(name="q", model="qwen", endpoint=url, timeout_s=wait))
        for url, wait in (("http://localhost:1/v1", 1.0), ("http://localhost:2/v1", 9.0))
    )
    assert pipeline(near).signatures == pipeline(far).signatures


def test_missing_weights_are_told_with_the_command_that_fetches_them(recipe, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ModelError, match=FETCH_COMMAND):
        check(recipe)


def test_what_does_not_answer_or_is_not_there_is_told_at_the_start(recipe):
    with pytest.raises(EndpointError):
        check(with_captioners(recipe, ModelSettings(name="far", endpoint="http://127.0.0.1:9/v1")))
    with pytest.raises(ModelError, match="nobody"):
        check(with_captioners(recipe, ModelSettings(model="nobody")))
    leaks = LeakSettings(fingerprints=(Path("gone.json"),))
    with pytest.raises(OptionError, match=r"gone\.json"):
        check(replace(recipe, steps={**recipe.steps, "leaks": leaks}))


def test_what_smollm2_cannot_do_is_told_at_the_start(recipe, monkeypatch):
    monkeypatch.setattr(wiring, "find_weights", lambda _: None)
    smollm = ModelSettings(name="SmolLM2", model="smollm2")
    with pytest.raises(OptionError, match="sees no pictures"):
        check(with_captioners(recipe, smollm))
    merges = replace(recipe, steps={**recipe.steps, "merge": MergeSettings(model=smollm)})
    with pytest.raises(OptionError, match="English alone"):
        check(merges)
    english = {name: share for name, share in recipe.steps["instruct"].shares.items() if "zh" not in name}
    check(replace(merges, steps={**merges.steps, "instruct": InstructSettings(shares=english)}))


def test_weights_are_asked_for_where_a_recipe_chooses_them(recipe, monkeypatch):
    asked = []
    monkeypatch.setattr(wiring, "find_weights", asked.append)
    check(recipe)
    assert asked == [*ALL]
    asked.clear()
    chosen = {
        "cut": CutSettings(by=FoundBy.NETWORK),
        "categories": CategorySettings(pictures=PictureSettings()),
    }
    check(replace(recipe, steps={**recipe.steps, **chosen}))
    assert asked == [*ALL, CUTS, OBJECTS]


def test_kinds_of_pictures_need_no_caption_and_are_no_words(recipe):
    pictured = replace(recipe, steps={**recipe.steps, "categories": CategorySettings(pictures=PictureSettings())})
    (step,) = [step for step in pipeline(pictured).steps if step.name == "category"]
    assert step.needs == (Seen.KEY_FRAMES,)
    picture = Frames(pixels=np.full((1, 240, 320, 3), 90, np.uint8), times_s=np.zeros(1))
    clip = Clip(id="a", video=Path("a.mp4"), start_s=0.0, end_s=1.0)
    assert step.function(clip, {Seen.KEY_FRAMES: picture}, step.settings).name == "other"
    with pytest.raises(OptionError, match="kinds of their own"):
        CategorySettings(pictures=PictureSettings(), model=ModelSettings())


@pytest.mark.parametrize("names", [(), ("a", "a")])
def test_captioners_have_names_of_their_own(names):
    with pytest.raises(OptionError):
        CaptionSettings(captioners=tuple(CaptionerSettings(model=ModelSettings(name=name)) for name in names))
