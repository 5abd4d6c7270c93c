"""Curation beside Data-Juicer on the same clips: its motion filter at its defaults, our motion alone, our steps 1 to 5.

    python benchmarks/beside_data_juicer.py [--repeats 3] [--films 4] [--environment FOLDER]

Data-Juicer gets an environment of its own, made where FOLDER holds none yet: py-data-juicer 1.6.1, the OpenCV that its
filter asks for and the module that its import misses. Each round runs the three in turn, on two processes each: its
`VideoMotionScoreFilter` over a data set of the clips; our motion alone, each film decoded in a worker and looked at
twice a second; and `kangaroo curate` without words: probe, cuts, every measure, copies, scores, decisions. Told are
seconds on the clock and seconds of the processors, per second of video, the median of the rounds: others that use the
machine change the first more than the second. Its import does not count; starting our workers does.

The clips last ten seconds, 1280 x 720 px at 30 a second, H.264: two shots of painted ground over which a camera moves,
with grain, things that cross and a line of writing.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import beside_data_juicer as own  # a worker imports the step from here, not from a main program
import cv2
import numpy as np

from kangaroo.curation.clip import Clip
from kangaroo.curation.engine.pool import each, hired
from kangaroo.curation.engine.probe import probe
from kangaroo.curation.engine.recipe import Machine, Recipe
from kangaroo.curation.engine.run import Run
from kangaroo.curation.engine.step import Runs, Seen, Step
from kangaroo.curation.engine.watch import Errand, watch
from kangaroo.curation.measures.motion import MotionRule, measure_motion
from kangaroo.curation.measuring import finder_of
from kangaroo.curation.wiring import RULES, SETTINGS, pipeline
from kangaroo.errors import KangarooError
from kangaroo.video.write import write_video

HEIGHT, WIDTH, FPS, LENGTH_S = 720, 1280, 30, 10
PACKAGES = ("py-data-juicer==1.6.1", "opencv-contrib-python<5", "aiohttp")
THEIRS = """
import json, resource, sys, time
from data_juicer.core.data import NestedDataset
from data_juicer.ops.filter.video_motion_score_filter import VideoMotionScoreFilter

def spent():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)

if __name__ == "__main__":
    films = NestedDataset.from_list([{"text": "", "videos": [path]} for path in sys.argv[1:]])
    began, before = time.monotonic(), spent()
    kept = VideoMotionScoreFilter(num_proc=2).run(films)
    print("\\n" + json.dumps([time.monotonic() - began, spent() - before, len(kept)]))
"""


def draw(seed: int, path: Path) -> None:
    """Write a clip."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 3, (8, HEIGHT, WIDTH, 3)).astype(np.float32)

    def pictures() -> Iterator[np.ndarray]:
        for _ in range(2):
            ground = np.zeros((HEIGHT + 400, WIDTH + 400, 3), np.float32)
            for cells in (3, 8, 20, 60, 160):
                patches = rng.uniform(0, 255, (cells, cells * 2, 3)).astype(np.float32)
                ground += cv2.resize(patches, (WIDTH + 400, HEIGHT + 400), interpolation=cv2.INTER_CUBIC) / 5
            way, things = rng.uniform(-2, 2, 2), rng.uniform(0, 1, (5, 6))
            for index in range(LENGTH_S * FPS // 2):
                x, y = np.round(200 + way * (index - LENGTH_S * FPS / 4)).astype(int)
                picture = ground[y : y + HEIGHT, x : x + WIDTH].copy()
                for left, top, size, pace, *colour in things:
                    centre = int((left * WIDTH + 8 * pace * index) % WIDTH), int(top * HEIGHT)
                    cv2.circle(picture, centre, int(30 + 60 * size), [255 * one for one in (*colour, size)], -1)
                shown = np.clip(picture + grain[index % 8], 0, 255).astype(np.uint8)
                cv2.putText(shown, "news at ten", (80, HEIGHT - 60), cv2.FONT_HERSHEY_SIMPLEX, 1.5, [255.0] * 3, 3)
                yield shown

    write_video(path, pictures(), fps=FPS, crf=23)


def motion(_: Clip, inputs: Mapping[str, Any], rule: MotionRule) -> object:
    """Measure motion over the whole picture."""
    return measure_motion(inputs[Seen.PAIRS], rule=rule)


def motion_alone(films: list[Path]) -> None:
    """Decode each film in a worker and measure its motion twice a second."""
    step = Step(
        name="motion", version=1, settings=MotionRule(), needs=(Seen.PAIRS,), function=own.motion, runs=Runs.WORKER
    )
    recipe = of_films(films, Path())

    def errand(film: Path) -> Errand:
        clip = Clip(id=film.stem, video=film, start_s=0.0, end_s=float(LENGTH_S))
        return Errand(
            video=film,
            content=film.stem,
            shown_px=(HEIGHT, WIDTH),
            is_image=False,
            cut=None,
            finder_of=finder_of,
            look=recipe.steps["look"],
            steps=(step,),
            clips=(clip,),
            wanted={clip.id: frozenset([step.name])},
        )

    with hired(Machine(workers=2), shared=[]) as errands:

        def do(film: Path) -> object:
            return errands.call(watch, errand(film), name=film.name, doing="decoding it", time_s=600.0)

        for _, found in each(films, do, threads=2, stop=errands.cancel):
            if isinstance(found, KangarooError):
                raise found


def of_films(films: list[Path], out: Path) -> Recipe:
    """Return a recipe with all settings as they are by default."""
    return Recipe(
        videos=tuple(map(str, films)),
        out=out,
        machine=Machine(workers=2),
        steps={name: kind() for name, kind in SETTINGS.items()},
        keep={rule.name: rule.bounds for rule in RULES},
    )


def steps_1_to_5(films: list[Path]) -> None:
    """Curate without words."""
    with tempfile.TemporaryDirectory() as out:
        recipe = of_films(films, Path(out))
        parts = pipeline(recipe)
        measuring = tuple(step for step in parts.steps if step.runs is Runs.WORKER)
        outcome = Run(recipe, replace(parts, steps=measuring, choose=None, records=None)).go()
        assert outcome.num_quarantined == 0, "each film is sound"


def timed(do: Callable[[list[Path]], None], films: list[Path]) -> tuple[float, float]:
    """Return the seconds that something takes on the clock and of the processors, its processes' included."""

    def spent() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)

    began, before = time.monotonic(), spent()
    do(films)
    return time.monotonic() - began, spent() - before


def theirs(python: Path, films: list[Path], folder: Path) -> tuple[float, float]:
    """Return the same of Data-Juicer's filter."""
    program = folder / "theirs.py"
    program.write_text(THEIRS, encoding="utf-8")
    cache = {"HF_DATASETS_CACHE": tempfile.mkdtemp(dir=folder), "HF_HUB_OFFLINE": "1"}  # nothing is found done
    command = [str(python), str(program), *map(str, films)]
    ran = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | cache,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise SystemExit(ran.stderr[-2000:])
    clock_s, spent_s, kept = json.loads(ran.stdout.splitlines()[-1])
    assert kept == len(films), "each film moves"
    return clock_s, spent_s


def environment(folder: Path) -> Path:
    """Return the Python of Data-Juicer's environment, made where it is missing."""
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        (folder / "done").touch()
    return python


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--films", type=int, default=4)
    parser.add_argument("--environment", type=Path, default=Path(tempfile.gettempdir()) / "kangaroo-beside-data-juicer")
    options = parser.parse_args()
    python = environment(options.environment)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = [folder / f"{seed}.mp4" for seed in range(options.films)]
        for seed, film in enumerate(films):
            draw(seed, film)
        length_s = sum(probe(film).duration_s for film in films)
        rows: dict[str, list[tuple[float, float]]] = {
            "Data-Juicer's motion filter": [],
            "our motion": [],
            "steps 1-5": [],
        }
        for _ in range(options.repeats):
            rows["Data-Juicer's motion filter"].append(theirs(python, films, folder))
            rows["our motion"].append(timed(motion_alone, films))
            rows["steps 1-5"].append(timed(steps_1_to_5, films))
    print(
        f"{len(films)} clips, {length_s:.0f} s, two processes each, median of {options.repeats}; per second of video:"
    )
    first: list[float] = []
    for name, found in rows.items():
        middle = [statistics.median(column) / length_s for column in zip(*found, strict=True)]
        first = first or middle
        times = [f"{one * 1000:8.0f} ms {base / one:6.1f} x" for one, base in zip(middle, first, strict=True)]
        print(f"{name:28s} clock {times[0]}   processors {times[1]}")


if __name__ == "__main__":
    main()
