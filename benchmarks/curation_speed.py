"""What steps 1 to 5 of curation cost (probe, cuts, copies, scores, decisions) beside a bare decode of the same films.

    OMP_NUM_THREADS=1 python benchmarks/curation_speed.py [--repeats 3] [--whole] [film.mp4 ...]

The work is done in this process, on one thread as a worker does it, hence OMP_NUM_THREADS: the film is probed and
watched with every measure. The bare decode decodes on one thread and throws away. Both are seconds of the processor,
the median of the repeats; reading in turn, so that a busy machine is busy for both. `--whole` runs `kangaroo curate`
over the films too, with two workers, and tells seconds on the clock. Without films three of ten seconds, 1280 x 720 px
at 30 a second and of two shots, are drawn: a camera that moves over painted ground, with the grain of a camera.
"""

import argparse
import cProfile
import pstats
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np

from kangaroo.curation.engine.probe import probe
from kangaroo.curation.engine.recipe import Recipe
from kangaroo.curation.engine.run import Run
from kangaroo.curation.engine.watch import Errand, watch
from kangaroo.curation.wiring import RULES, SETTINGS, pipeline
from kangaroo.video.write import write_video

HEIGHT, WIDTH, FPS, SHOT_S, SHOTS = 720, 1280, 30, 5, 2


def ground(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Paint patches from coarse to fine between three colours."""
    noise = np.zeros((height, width), np.float32)
    for cells in (2, 4, 8, 16, 32, 64):
        patches = rng.uniform(-1, 1, (cells, cells * 2)).astype(np.float32)
        noise += cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC) / cells**0.6
    share = (1 / (1 + np.exp(-4 * noise)))[..., None]
    first, second = rng.uniform(0, 255, (2, 3))
    picture = (first * (1 - share) + second * share).astype(np.float32)
    for _ in range(60):
        corners = rng.uniform(0, 1, 2) * (width, height) + rng.normal(0, height / 14, (int(rng.integers(3, 7)), 2))
        cv2.fillPoly(picture, [cv2.convexHull(corners.astype(np.int32))], rng.uniform(0, 255, 3).tolist(), cv2.LINE_AA)
    return picture


def draw(seed: int, path: Path) -> None:
    """Write a film."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 2, (8, HEIGHT, WIDTH, 3)).astype(np.float32)

    def pictures() -> Iterator[np.ndarray]:
        for _ in range(SHOTS):
            wide, way = ground(rng, HEIGHT + 260, WIDTH + 260), rng.uniform(-1.7, 1.7, 2)
            for index in range(SHOT_S * FPS):
                x, y = np.round(130 + way * (index - SHOT_S * FPS / 2)).astype(int)
                picture = wide[y : y + HEIGHT, x : x + WIDTH] + grain[index % 8]
                yield np.clip(picture, 0, 255).astype(np.uint8)

    write_video(path, pictures(), fps=float(FPS), crf=23)


def decode(path: Path) -> float:
    """Decode all frames on one thread and return the film's seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        return sum(1 for _ in container.decode(stream)) / float(stream.average_rate or FPS)


def work(path: Path, recipe: Recipe) -> None:
    """Probe and watch a film."""
    parts = pipeline(recipe)
    found = probe(path)
    shown_px = found.height_px, found.width_px
    errand = Errand(
        video=path,
        content=found.content,
        shown_px=shown_px,
        is_image=False,
        cut=parts.cut,
        finder_of=parts.finder_of,
        look=parts.look,
        steps=parts.measuring,
    )
    bad = [told for state, told in watch(errand).outcomes.values() if state != "done"]
    assert not bad, bad


def seconds_of(function: object, *arguments: object) -> float:
    """Return what a call takes of the processor."""
    began = time.process_time()
    function(*arguments)  # type: ignore[operator]
    return time.process_time() - began


def recipe_of(films: list[Path], out: Path) -> Recipe:
    """Return a recipe with all defaults."""
    steps = {name: kind() for name, kind in SETTINGS.items()}
    keep = {rule.name: rule.bounds for rule in RULES}
    return Recipe(videos=tuple(map(str, films)), out=out, steps=steps, keep=keep)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="*", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--whole", action="store_true", help="time a whole run too")
    parser.add_argument("--profile", action="store_true", help="show where the time goes")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        films = options.films or [Path(folder) / f"{seed}.mp4" for seed in range(3)]
        for seed, film in enumerate(films if not options.films else ()):
            draw(seed, film)
        recipe = recipe_of(films, Path(folder) / "out")
        length_s = sum(map(decode, films))
        work(films[0], recipe)  # the detectors are loaded
        pairs = [
            (sum(seconds_of(decode, film) for film in films), sum(seconds_of(work, film, recipe) for film in films))
            for _ in range(options.repeats)
        ]
        bare_s, work_s = (statistics.median(one) / length_s for one in zip(*pairs, strict=True))
        print(f"{len(films)} films, {length_s:.0f} s of video, median of {options.repeats}")
        print(f"bare decode       {bare_s * 1000:7.1f} ms for each second of video")
        print(f"steps 1 to 5      {work_s * 1000:7.1f} ms, {work_s / bare_s:.2f} times the bare decode")
        print(f"                  {1 / work_s:.1f} times real time on one core")
        if options.profile:
            with cProfile.Profile() as profile:
                work(films[0], recipe)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        if options.whole:
            parts = replace(pipeline(recipe), choose=None, records=None)
            measured = replace(parts, steps=parts.measuring)
            began = time.perf_counter()
            Run(recipe, measured).go()
            whole_s = time.perf_counter() - began
            print(
                f"whole run         {whole_s:.1f} s on the clock with 2 workers, {length_s / whole_s:.1f} x real time"
            )


if __name__ == "__main__":
    main()
