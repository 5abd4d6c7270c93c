"""Films whose content is known to the pixel: shots over painted landscapes, the ways from one to the next, writing."""

import cv2
import numpy as np

from kangaroo.video.frames import Frames

FPS = 25


def as_film(pixels, fps=FPS):
    return Frames(pixels=np.asarray(pixels), times_s=np.arange(len(pixels)) / fps)


def landscape(rng, height, width):
    """Coarse to fine patches between a few colours, with things of sharp outline on them; float, 0 to 255."""
    first, second, third = rng.uniform(0, 255, (3, 3))
    picture = _patches(rng, height, width, first, second)
    picture = _patches(rng, height, width, picture, third)
    for _ in range(40):
        middle = rng.uniform(0, 1, 2) * (width, height)
        corners = middle + rng.normal(0, height / 14, (int(rng.integers(3, 7)), 2))
        outline = cv2.convexHull(corners.astype(np.int32))
        cv2.fillPoly(picture, [outline], rng.uniform(0, 255, 3).tolist(), cv2.LINE_AA)
    return picture * rng.uniform(0.4, 1.0)


def _patches(rng, height, width, first, second):
    share = np.zeros((height, width), np.float32)
    for cells in (2, 4, 8, 16, 32, 64):
        patches = rng.uniform(-1, 1, (cells, cells * 2)).astype(np.float32)
        share += cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC) / cells**0.6
    share = (1 / (1 + np.exp(-4 * share)))[..., None]
    return (first * (1 - share) + second * share).astype(np.float32)


def shot(rng, num_frames, *, height=90, width=160, speed_px=None, noise=1.5):
    """A camera that moves steadily over a landscape with two things moving in it; uint8."""
    speed = rng.uniform(0, 2) if speed_px is None else speed_px
    way = np.array([speed, 0.0]) if speed_px is not None else speed * _direction(rng)
    room = int(np.ceil(abs(way) * num_frames).max()) + 2
    wide = landscape(rng, height + room, width + room)
    start = np.where(way < 0, room - 1, 0).astype(float)
    things = [(rng.uniform(0, 255, 3), rng.uniform(0, 1, 2), rng.uniform(-0.004, 0.004, 2)) for _ in range(2)]
    frames = []
    for index in range(num_frames):
        x, y = start + way * index
        shift = np.float32([[1, 0, -x], [0, 1, -y]])
        picture = cv2.warpAffine(wide, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
        for colour, place, step in things:
            middle = (place + step * index) * (width, height)
            cv2.circle(picture, tuple(int(one) for one in middle), height // 9, colour.tolist(), -1, cv2.LINE_AA)
        frames.append(picture + rng.normal(0, noise, picture.shape))
    return np.clip(np.stack(frames), 0, 255).astype(np.uint8)


def _direction(rng):
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def joined(rng, shots):
    """Shots cut hard; the frames at which new ones begin."""
    del rng
    starts = np.cumsum([len(one) for one in shots])[:-1]
    return np.concatenate(shots), starts.tolist()


def dissolved(one, other, length):
    """The end of one shot mixed into the start of another over so many frames; first and last mixed frame."""
    share = (np.arange(1, length + 1) / (length + 1))[:, None, None, None]
    mixed = one[-length:] * (1 - share) + other[:length] * share
    return np.concatenate([one[:-length], mixed.astype(np.uint8), other[length:]]), (len(one) - length, len(one) - 1)


def faded(one, other, length, *, through=0, empty_frames=3):
    """One shot fades to a grey, the other up from it; first and last frame that is not whole."""
    share = (np.arange(1, length + 1) / length)[:, None, None, None]
    away = one[-length:] * (1 - share) + through * share
    back = through * (1 - share) + other[:length] * share
    empty = np.full((empty_frames, *one.shape[1:]), through)
    whole = np.concatenate([one[:-length], away, empty, back, other[length:]])
    return whole.astype(np.uint8), (len(one) - length, len(one) + empty_frames + length - 1)


def barred(pixels, rows):
    """A film with black bars above and below."""
    bars = np.pad(pixels, [(0, 0), (rows, rows), (0, 0), (0, 0)], constant_values=16)
    noise = np.random.default_rng(0).integers(0, 4, bars.shape, dtype=np.uint8)
    return np.where(bars == 16, 14 + noise, bars).astype(np.uint8)
