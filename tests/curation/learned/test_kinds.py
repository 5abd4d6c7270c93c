"""Photographs of known content are of the kind that people would say; every class is of one kind."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from drawn_scenes import as_film
from PIL import Image
from skimage import data

from kangaroo.curation.learned.kinds import KINDS, NUM_CLASSES, KindFinder, by_kind
from kangaroo.curation.measures.models import OBJECTS, find_weights
from kangaroo.curation.words.categories import OTHER, PictureSettings
from kangaroo.errors import OptionError


@pytest.fixture(scope="module")
def finder():
    return KindFinder(find_weights(OBJECTS))


def hopper():
    """A photograph that matplotlib carries: Grace Hopper in uniform."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return np.asarray(Image.open(path).convert("RGB"))


def test_a_person_in_uniform_is_of_people(finder):
    found = finder.find(as_film([hopper(), hopper()[:, ::-1]]))
    assert found.kind == "people"
    assert found.certainty > 0.6


@pytest.mark.parametrize(
    ("photograph", "kind"), [("chelsea", "cats"), ("coffee", "food"), ("rocket", "aircraft"), ("camera", "screens")]
)
def test_photographs_are_of_their_kind(finder, photograph, kind):
    pixels = getattr(data, photograph)()
    pixels = pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1)
    assert finder.find(as_film([pixels])).kind == kind


@pytest.mark.parametrize("shape", [(40, 200), (300, 30), (1, 1)])
def test_pictures_without_anything_are_other(finder, shape):
    found = finder.find(as_film(np.full((2, *shape, 3), 90, np.uint8)))
    assert found.kind == OTHER
    assert 0 < found.certainty < 0.3


def test_with_no_certainty_asked_for_every_clip_has_a_kind():
    grey = as_film(np.full((1, 50, 50, 3), 90, np.uint8))
    assert KindFinder(find_weights(OBJECTS), PictureSettings(certainty=0.0)).find(grey).kind in KINDS


def test_every_class_is_of_one_kind_and_every_kind_has_classes():
    each = np.stack([by_kind(row) for row in np.eye(NUM_CLASSES)])
    assert (each.sum(axis=1) == 1).all()
    assert (each.sum(axis=0) > 0).all()
    assert len(KINDS) == len(set(KINDS)) == 22


@pytest.mark.parametrize(
    ("number", "kind"),
    [(1, "sea life"), (9, "birds"), (207, "dogs"), (281, "cats"), (340, "mammals"), (404, "aircraft"),
     (817, "vehicles"), (917, "pages"), (954, "food"), (970, "nature"), (985, "plants"), (681, "screens"),
     (850, "things")],
)  # fmt: skip
def test_well_known_classes_are_where_they_belong(number, kind):
    assert KINDS[int(by_kind(np.eye(NUM_CLASSES)[number]).argmax())] == kind


def test_impossible_settings_are_refused():
    with pytest.raises(OptionError, match="certainty"):
        PictureSettings(certainty=1.5)
