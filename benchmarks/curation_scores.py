"""What curation's measures cost beside a bare decode of the same films, on one thread each.

    python benchmarks/curation_scores.py --repeats 3 [film.mp4 ...]

A film is decoded once. Every frame is taken to 160 x 90 px (nearest pixels) for cuts, blackness and frozen stretches;
once a second a pair of frames to 320 x 180 for motion; every three seconds a frame to 640 x 360 for writing, faces,
bars and blur. The bare decode decodes and throws away. Each row is the median of the repeats, in seconds of one core
a second and as a multiple of the bare decode. Without films three of ten seconds, 1280 x 720 px at 30 a second,
are drawn.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from kangaroo.curation.measures.changes import measure_changes
from kangaroo.curation.measures.cuts import find_cuts
from kangaroo.curation.measures.faces import FaceDetector, measure_faces
from kangaroo.curation.measures.fingerprint import fingerprint
from kangaroo.curation.measures.models import FACES, TEXT, find_weights
from kangaroo.curation.measures.motion import measure_motion
from kangaroo.curation.measures.technical import find_picture, measure_technical
from kangaroo.curation.measures.text import TextDetector, measure_text, text_mask
from kangaroo.playground.render import Renderer
from kangaroo.playground.script import make_film
from kangaroo.video.frames import Frames
from kangaroo.video.write import write_video

SMALL, PAIR, STILL = (90, 160), (180, 320), (360, 640)
PAIRS_PER_S, PAIR_GAP, STILL_EVERY_S = 1, 2, 3.0


def draw(seed: int, path: Path) -> None:
    """Write a playground film of ten seconds with the grain of a camera, so that decoding costs what it does."""
    film, rng = make_film(seed, duration_s=10.0), np.random.default_rng(seed)
    grain = rng.normal(0, 2, (8, 720, 1280, 3))
    renderer, times_s = Renderer(), np.arange(300) / 30

    def pictures() -> Iterator[np.ndarray]:
        for index, second in enumerate(times_s):
            picture = renderer.draw(film, np.array([second]), height_px=720, width_px=1280).numpy()[0]
            yield np.clip(picture + grain[index % 8], 0, 255).astype(np.uint8)

    write_video(path, pictures(), fps=30, crf=23)


def decoded(path: Path) -> Iterator[VideoFrame]:
    """Decode all frames of a film on one thread."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        yield from container.decode(stream)


class Scaled:
    """Scales frames to one size and keeps them with their times."""

    def __init__(self, size: tuple[int, int], interpolation: Interpolation = Interpolation.AREA) -> None:
        self.size, self.interpolation, self.reformatter = size, interpolation, VideoReformatter()
        self.pixels: list[np.ndarray] = []
        self.times_s: list[float] = []

    def add(self, frame: VideoFrame) -> None:
        """Scale and keep one frame."""
        height, width = self.size
        small = self.reformatter.reformat(frame, width, height, "rgb24", interpolation=self.interpolation)
        self.pixels.append(small.to_ndarray())
        self.times_s.append(frame.time)

    def frames(self) -> Frames:
        """Return all that was kept."""
        return Frames(pixels=np.stack(self.pixels), times_s=np.array(self.times_s))


def measure(path: Path, text: TextDetector, faces: FaceDetector) -> tuple[dict[str, float], float]:
    """Return the seconds of each step, and the film's length."""
    spent: dict[str, float] = {}

    def timed(name: str, step: Callable[[], Any]) -> Any:
        began = process_time()
        result = step()
        spent[name] = spent.get(name, 0.0) + process_time() - began
        return result

    bare = timed("bare decode", lambda: sum(1 for _ in decoded(path)))
    small, pair, still = Scaled(SMALL, Interpolation.POINT), Scaled(PAIR), Scaled(STILL)

    def read() -> None:
        next_pair_s, next_still_s, second_at = 0.0, STILL_EVERY_S / 2, -1
        for index, frame in enumerate(decoded(path)):
            small.add(frame)
            if index == second_at:
                pair.add(frame)
            elif frame.time >= next_pair_s and index + PAIR_GAP < bare:
                pair.add(frame)
                next_pair_s, second_at = next_pair_s + 1 / PAIRS_PER_S, index + PAIR_GAP
            if frame.time >= next_still_s:
                still.add(frame)
                next_still_s += STILL_EVERY_S

    timed("decode and scale", read)
    changes = timed("changes", lambda: measure_changes([small.frames()]))
    timed("cuts", lambda: find_cuts(changes))
    picture = timed("bars, blur", lambda: find_picture(still.frames()))
    inside = picture.crop(still.frames())
    timed("bars, blur", lambda: measure_technical(still.frames(), changes, picture=picture))
    found = timed("text", lambda: text.find(inside))
    timed("text", lambda: measure_text(inside, found))
    timed("faces", lambda: measure_faces(faces.find(inside)))
    pairs = picture.crop(pair.frames())
    height_px, width_px = pairs.pixels.shape[1:3]
    timed("motion", lambda: measure_motion(pairs, masked=text_mask(found, height_px=height_px, width_px=width_px)))
    timed("fingerprints", lambda: fingerprint(Frames(pixels=pairs.pixels[::2], times_s=pairs.times_s[::2])))
    return spent, float(changes.times_s[-1] - changes.times_s[0])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="*", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    text, faces = TextDetector(find_weights(TEXT)), FaceDetector(find_weights(FACES))
    with tempfile.TemporaryDirectory() as folder:
        films = options.films or [Path(folder) / f"{seed}.mp4" for seed in range(3)]
        for seed, film in enumerate(films if not options.films else ()):
            draw(seed, film)
        rounds = [[measure(film, text, faces) for film in films] for _ in range(options.repeats)]
    length_s = sum(seconds for _, seconds in rounds[0])
    rows = {
        name: statistics.median(sum(spent[name] for spent, _ in one) for one in rounds) / length_s
        for name in rounds[0][0][0]
    }
    bare, steps = rows["bare decode"], sum(rows.values()) - rows["bare decode"]
    print(f"{len(films)} films, {length_s:.0f} s, median of {options.repeats}")
    for name, seconds in [*rows.items(), ("all steps", steps)]:
        print(f"{name:18s} {seconds * 1000:8.1f} ms/s {seconds / bare:6.2f} x")
    print(f"{1 / steps:.1f} x real time on one thread")


if __name__ == "__main__":
    main()
