import numpy as np
import pytest
from drawn_scenes import as_film, landscape, shot
from drawn_writing import write

from kangaroo.curation.measures.models import TEXT, find_weights
from kangaroo.curation.measures.motion import measure_motion
from kangaroo.curation.measures.text import TextDetector, text_mask
from kangaroo.errors import OptionError
from kangaroo.playground.film import Verb
from kangaroo.playground.render import Renderer
from kangaroo.playground.script import make_film
from kangaroo.video.frames import Frames

HEIGHT, WIDTH, FPS = 180, 320, 25


def picture(seed, height=HEIGHT, width=WIDTH):
    return np.clip(landscape(np.random.default_rng(seed), height, width), 0, 255)


def pairs(pixels, *, gap=2, every=12):
    """Frames `gap` apart, a pair every so many."""
    starts = np.arange(0, len(pixels) - gap, every)
    chosen = np.stack([starts, starts + gap], axis=1).ravel()
    return Frames(pixels=np.asarray(pixels)[chosen].astype(np.uint8), times_s=chosen / FPS)


def is_static(motion):
    return motion.activity < 1


def noisy(pixels, strength, seed=0):
    rng = np.random.default_rng(seed)
    return np.clip(np.asarray(pixels) + rng.normal(0, strength, np.shape(pixels)), 0, 255)


@pytest.mark.parametrize("strength", [0, 2, 6, 15])
def test_noise_over_a_still_is_static(strength):
    assert is_static(measure_motion(pairs(noisy(np.stack([picture(1)] * 40), strength))))


def test_snow_is_static():
    assert is_static(measure_motion(pairs(noisy(np.full((40, HEIGHT, WIDTH, 3), 128.0), 60))))


@pytest.mark.parametrize("speed_px", [0.5, 1, 3, 6])
def test_a_pan_has_its_speed_and_is_the_cameras(speed_px):
    wide = picture(2, width=WIDTH + 300)
    import cv2

    frames = [
        cv2.warpAffine(wide, np.float32([[1, 0, -speed_px * step], [0, 1, 0]]), (WIDTH, HEIGHT)) for step in range(40)
    ]
    motion = measure_motion(pairs(noisy(frames, 1)))
    expected = speed_px * FPS / np.hypot(HEIGHT, WIDTH)
    assert not is_static(motion)
    assert motion.speed == pytest.approx(expected, rel=0.1)
    assert motion.camera == pytest.approx(expected, rel=0.1)
    assert motion.object < 0.2 * expected
    assert motion.moving_share > 0.95


def test_a_zoom_is_the_cameras():
    import cv2

    sharp = picture(3)
    frames = []
    for step in range(40):
        matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 0, 1 + 0.01 * step)
        frames.append(cv2.warpAffine(sharp, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT))
    motion = measure_motion(pairs(frames))
    assert motion.camera > 0.05
    assert motion.object < 0.3 * motion.camera


def test_a_thing_before_a_still_background_is_no_camera():
    frames = np.stack([picture(4)] * 40)
    for step in range(40):
        left = 40 + 4 * step
        frames[step, 60:120, left : left + 60] = picture(5, 60, 60)
    motion = measure_motion(pairs(noisy(frames, 1)))
    assert not is_static(motion)
    assert motion.camera < 0.1 * motion.speed
    assert motion.object > 0.8 * motion.speed
    assert motion.moving_share == pytest.approx(60 * 60 / (HEIGHT * WIDTH), rel=0.5)


def test_the_rate_of_the_film_does_not_matter():
    frames = shot(np.random.default_rng(6), 80, height=HEIGHT, width=WIDTH, speed_px=1)
    slow = measure_motion(pairs(frames, gap=2))
    double = pairs(frames[::2], gap=2)
    fast = measure_motion(Frames(pixels=double.pixels, times_s=double.times_s * 2))
    assert fast.speed == pytest.approx(slow.speed, rel=0.15)


def ticker(num_frames):
    """A still with writing that runs along its foot."""
    below = "kangaroos seen near the station ... more jam at ten ... weather stays dry "
    return np.stack(
        [write(picture(7, 360, 640), [(-6 * step, 325, below * 2)], size_px=22)[0] for step in range(0, num_frames)]
    )


def test_a_ticker_over_a_still_is_static():
    detector = TextDetector(find_weights(TEXT))
    frames = ticker(40)
    found = detector.find(as_film(frames[::12]))
    small = frames.reshape(40, HEIGHT, 2, WIDTH, 2, 3).mean(axis=(2, 4))
    seen = pairs(small)
    masked = measure_motion(seen, masked=text_mask(found, height_px=HEIGHT, width_px=WIDTH))
    assert is_static(masked)
    assert masked.moving_share < 0.1 * measure_motion(seen).moving_share


def test_what_moves_in_playground_films_moves():
    films = (make_film(seed, duration_s=12.0) for seed in range(50))
    film, event = next((film, event) for film in films for event in film.scenes[0].events if event.verb is Verb.MOVE)
    middle_s = (event.start_s + event.end_s) / 2
    times_s = np.array([middle_s - 0.1, middle_s, middle_s + 0.1, middle_s + 0.2])
    pixels = Renderer("cpu").draw(film, times_s, height_px=HEIGHT, width_px=WIDTH).numpy()
    assert not is_static(measure_motion(Frames(pixels=pixels, times_s=times_s)))


def test_a_picture_masked_whole_has_no_motion():
    seen = pairs(shot(np.random.default_rng(6), 30, height=HEIGHT, width=WIDTH, speed_px=2))
    assert measure_motion(seen, masked=np.ones((HEIGHT, WIDTH), bool)).speed == 0


def test_an_odd_number_of_frames_is_refused():
    with pytest.raises(OptionError, match="3 frames"):
        measure_motion(as_film(np.zeros((3, 20, 20, 3), np.uint8)))


def test_a_pair_without_time_between_is_refused():
    with pytest.raises(OptionError, match="same time"):
        measure_motion(Frames(pixels=np.zeros((2, 20, 20, 3), np.uint8), times_s=np.zeros(2)))
