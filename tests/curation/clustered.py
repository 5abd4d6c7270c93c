"""A run over films whose steps hang, fail or take their worker's parent along: run as a program, to be killed.

`python clustered.py FOLDER OUT ADDRESS` runs on a Ray cluster.
"""

import os
import signal
import sys
import time
from pathlib import Path

from reels import BRIGHTNESS, DOUBLED, TROUBLED, one_record, parts_of, recipe_over

from kangaroo.curation.engine.recipe import Engine, Machine
from kangaroo.curation.engine.run import Run
from kangaroo.curation.engine.step import Seen, Step

LOST = "lost"
PIDS = "pids"  # a folder beside the run's, where there is one: names the actors that are at work, to be killed


def telling(clip, inputs, settings):
    """Takes its time, and says whose worker does it; takes that one along where the film is called so."""
    pids = Path(settings)
    if pids.is_dir():
        (pids / str(os.getppid())).touch()
    if clip.video.stem == LOST:
        os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(0.4)
    return {"count": len(inputs[Seen.PAIRS])}


def start(folder, out, machine):
    told = Step(
        name="told", version=1, settings=str(out.with_name(PIDS)), needs=(Seen.PAIRS,), function=telling, depends_on=()
    )
    recipe = recipe_over(folder, out, machine=machine)
    return Run(recipe, parts_of(recipe, BRIGHTNESS, DOUBLED, TROUBLED, told, records=one_record)).go()


if __name__ == "__main__":
    from clustered import start  # a worker cannot import a main program

    machine = Machine(engine=Engine.RAY, address=sys.argv[3], limit_s=12.0, frame_limit_s=0.01)
    print(start(Path(sys.argv[1]), Path(sys.argv[2]), machine).num_records)
