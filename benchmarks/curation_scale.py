"""How curation grows: with hours of video, with the number of files, and with the rows of its ledger.

    python benchmarks/curation_scale.py [hours] [files] [rows] [--most-files 10000] [--rows 1000000]

`hours`: seconds of the processors that steps 1 to 5 take over 2, 4 and 8 clips of ten seconds; an even growth is 2 from
row to row. `files`: the largest memory of the process that runs over 100, 1,000, ... tiny images, each step's workers
aside. `rows`: a ledger of so many clips, three steps each, as a run leaves it: how long its decisions take and how much
memory, then `status` and `what-if`, the median of five.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from beside_data_juicer import draw, of_films, steps_1_to_5, timed

from kangaroo.curation.engine.ledger import Ledger, State, Unit
from kangaroo.curation.engine.pipeline import Pipeline
from kangaroo.curation.engine.recipe import Bounds, Recipe
from kangaroo.curation.engine.run import Run
from kangaroo.curation.engine.status import status
from kangaroo.curation.engine.step import dumps
from kangaroo.curation.engine.table import what_if
from kangaroo.curation.wiring import pipeline

CLIPS_A_FILM = 10
STEPS = ("technical", "text", "fingerprint")


def hours() -> None:
    """Tell what twice the video costs."""
    with tempfile.TemporaryDirectory() as name:
        films = [Path(name) / f"{seed}.mp4" for seed in range(8)]
        for seed, film in enumerate(films):
            draw(seed, film)
        before = 0.0
        for count in (2, 4, 8):
            _, spent_s = timed(steps_1_to_5, films[:count])
            print(f"{count:3} clips {spent_s:8.1f} s" + (f" {spent_s / before:6.2f} x" if before else ""))
            before = spent_s


def engine_alone(recipe: Recipe, *names: str) -> Pipeline:
    """Return a pipeline of a few steps and no words."""
    parts = pipeline(recipe)
    steps = tuple(replace(step, needs=step.needs[:1]) for step in parts.steps if step.name in names)
    rules = tuple(rule for rule in parts.rules if rule.name in ("duration", "size", "duplicates"))
    return replace(parts, steps=steps, rules=rules, choose=None, records=None)


def files(most: int) -> None:
    """Tell how memory grows with the number of files."""
    count = 100
    while count <= most:
        with tempfile.TemporaryDirectory() as name:
            for number in range(count):
                colour = [number % 256, number // 256 % 256, number // 65536]
                cv2.imwrite(f"{name}/{number:09}.png", np.full((256, 256, 3), colour, np.uint8))
            command = [sys.executable, __file__, "run", "--folder", name]
            began = time.monotonic()
            ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            print(f"{count:8,} files {time.monotonic() - began:8.1f} s {float(ran.stdout):8.0f} MiB")
        count *= 10


def run_once(folder: Path) -> None:
    """Run over a folder and print the largest memory of this process, in MiB."""
    with tempfile.TemporaryDirectory() as out:
        recipe = of_films([folder], Path(out))
        outcome = Run(recipe, engine_alone(recipe, "fingerprint")).go()
        assert outcome.verdicts is not None, "every image is a clip"
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def rows(count: int) -> None:
    """Tell how long questions take over a ledger of many clips."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        recipe = of_films([Path("films")], out)
        parts = engine_alone(recipe, *STEPS)
        with Ledger(out / "ledger.sqlite") as ledger:
            fill(ledger, parts, count)
            kind = f"{count:,} clips, {(out / 'ledger.sqlite').stat().st_size / 2**20:,.0f} MiB of ledger"
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            began = time.monotonic()
            todo = ledger.contents_to_do(
                cut=parts.signatures["cut"], signatures=[parts.signatures[step] for step in STEPS]
            )
            print(f"{kind}; nothing to do is seen in {time.monotonic() - began:.1f} s ({len(todo)})", flush=True)
            began = time.monotonic()
            Run(recipe, parts)._decide(ledger)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"decisions {time.monotonic() - began:.1f} s, memory {before:.0f} -> {peak:.0f} MiB", flush=True)
        keep = {**recipe.keep, "duration": Bounds(min=4.0)}
        for title, ask in {
            "status": lambda: status(recipe, parts),
            "what-if": lambda: what_if(out / "scores.parquet", parts.rules, keep),
        }.items():
            times = []
            for _ in range(5):
                began = time.monotonic()
                ask()
                times.append(time.monotonic() - began)
            print(f"{title:8} {statistics.median(times):6.2f} s")


def fill(ledger: Ledger, parts: Pipeline, count: int) -> None:
    """Write what a run over so many clips leaves."""
    films = [f"{number:032x}" for number in range(count // CLIPS_A_FILM)]
    ledger.list_videos((Path(f"films/{film}.mp4"), film) for film in films)
    probed: dict[str, Any] = {
        "duration_s": 60.0,
        "width_px": 1280,
        "height_px": 720,
        "size_bytes": 9_000_000,
        "fps": 30.0,
    }
    ledger.record([
        Unit(signature=parts.signatures[step], subject=film, state=State.DONE, told=dumps({**told, "content": film}))
        for step, told in {"probe": probed, "cut": {"clips": CLIPS_A_FILM, "short": 0}}.items() for film in films
    ])  # fmt: skip
    ledger.identify(parts.signatures["probe"])
    hashes = " || '\",\"' || ".join(["lower(hex(randomblob(8)))"] * 12)
    share = "abs(random() % 1000) / 1000.0"
    measured = {
        "technical": f"json_object('blur', {share}, 'black_share', {share}, 'picture_share', 1.0)",
        "text": f"json_object('cover', {share}, 'overlay', {share}, 'band', {share})",
        "fingerprint": f"""'{{"hashes":["' || {hashes} || '"],"times_s":{[at / 2 for at in range(12)]}}}'""",
    }
    with ledger._base as base:
        base.execute(
            """WITH RECURSIVE place(at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM place WHERE at + 1 < ?2)
            INSERT INTO clips SELECT ?1, video, lower(hex(randomblob(12))), 6.0 * at, 6.0 * at + 5.5
            FROM videos, place""",
            (parts.signatures["cut"], CLIPS_A_FILM),
        )
        for step, told in measured.items():
            query = f"INSERT INTO units SELECT ?, id, 'done', {told} FROM clips ORDER BY id"
            base.execute(query, (parts.signatures[step],))


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["hours", "files", "rows"])
    parser.add_argument("--most-files", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if "run" in options.what:
        run_once(options.folder)
    if "hours" in options.what:
        hours()
    if "files" in options.what:
        files(options.most_files)
    if "rows" in options.what:
        rows(options.rows)


if __name__ == "__main__":
    main()
