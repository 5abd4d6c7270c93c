from pathlib import Path

import matplotlib
import numpy as np
import pytest
from drawn_scenes import as_film, landscape
from PIL import Image
from skimage import data

from kangaroo.curation.measures.faces import Face, FaceDetector, measure_faces
from kangaroo.curation.measures.models import FACES, find_weights
from kangaroo.playground.render import Renderer
from kangaroo.playground.script import make_film


@pytest.fixture(scope="module")
def detector():
    return FaceDetector(find_weights(FACES))


def hopper():
    """A photograph that matplotlib carries: Grace Hopper, 512 x 600 px, her face about a third of its width."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return np.asarray(Image.open(path).convert("RGB"))


def test_a_face_on_a_photograph_is_found(detector):
    (faces,) = detector.find(as_film([hopper()]))
    (face,) = faces
    assert face.score > 0.8
    assert 0.25 < (face.left + face.right) / 2 < 0.75
    assert 0.06 < face.share < 0.2


def test_the_astronaut_is_found(detector):
    (faces,) = detector.find(as_film([data.astronaut()]))
    assert len(faces) == 1
    assert 0.02 < measure_faces([faces]).cover < 0.06


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_cover_follows_the_faces_size(detector, share):
    photograph = Image.fromarray(hopper())
    (whole,) = detector.find(as_film([hopper()]))
    background = np.clip(landscape(np.random.default_rng(1), 600, 1000), 0, 255).astype(np.uint8)
    small = photograph.resize((round(512 * share), round(600 * share)))
    background[: small.height, 200 : 200 + small.width] = np.asarray(small)
    (faces,) = detector.find(as_film([background]))
    expected = whole[0].share * small.width * small.height / (1000 * 600)
    assert measure_faces([faces]).cover == pytest.approx(expected, rel=0.3)


def test_two_faces_are_two(detector):
    (faces,) = detector.find(as_film([np.concatenate([hopper(), hopper()], axis=1)]))
    assert len(faces) == 2
    assert faces[0].left != faces[1].left


def test_playground_films_hold_no_face(detector):
    renderer = Renderer("cpu")
    for seed in range(4):
        film = make_film(seed, duration_s=20.0)
        times_s = np.arange(1.0, 20, 4.0)
        pixels = renderer.draw(film, times_s, height_px=360, width_px=640).numpy()
        assert measure_faces(detector.find(as_film(pixels))).most_faces == 0


@pytest.mark.parametrize("shape", [(32, 32), (1, 640), (720, 90)])
def test_pictures_of_any_shape_are_looked_at(detector, shape):
    assert detector.find(as_film(np.zeros((1, *shape, 3), np.uint8))) == ((),)


def test_overlapping_faces_count_once():
    face = Face(left=0.2, top=0.2, right=0.6, bottom=0.7, score=0.9)
    cover = measure_faces([(face, face), (face,), ()])
    assert cover.most_cover == pytest.approx(0.2, rel=0.02)
    assert cover.cover == pytest.approx(0.2, rel=0.02)
    assert cover.largest == pytest.approx(0.2)
    assert cover.most_faces == 2
