"""How fast joey's stages train, and whether its loader keeps the GPU busy.

    python benchmarks/joey_training_speed.py --stages 2 4 5

Each stage is timed twice in one run: with rows that lie ready in memory, and with rows that worker processes draw and
pack meanwhile. `waited` is the share of the time for which the loop waited for rows; how much slower the second is than
the first is what the loader costs. `--tiny` runs on a CPU, to see that it runs; `--profile` tells where the time goes.
"""

import argparse
import time
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from train_speed import device_name, our_objective, profiled, say, tell

from kangaroo.data.quarantine import Quarantine
from kangaroo.dialogue.encoding import Encoder
from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import joey, tiny
from kangaroo.training.curriculum import JOEY, TINY, Stage
from kangaroo.training.estimate import Operations
from kangaroo.training.feed import Feed, feed_rows, fresh_states
from kangaroo.training.journal import matmul_rate
from kangaroo.training.loop import Progress, train_stage
from kangaroo.training.optimizers import make_optimizers
from kangaroo.training.painter import Painter
from kangaroo.training.parallel import World, start_world
from kangaroo.training.recipe import Recompute
from kangaroo.training.start import shipped_tokenizer


def run(
    config: KangarooConfig, stage: Stage, world: World, *, times: int, workers: int, per_pass: int, look: bool
) -> None:
    """Time a stage's steps with rows that lie ready, then with the loader's."""
    config.vision_config.image_size, config.patchify = stage.image_size_px, stage.patchify.value
    feed = Feed(stage, {}, Encoder(shipped_tokenizer(), config.layout()), seed=0)
    objective = our_objective(config, stage, world, dtype=torch.float32, mode=Recompute.NONE)
    with torch.device("meta"):
        operations = Operations(KangarooForConditionalGeneration(config), stage)
    optimizers = make_optimizers(objective.model, stage)
    painter = Painter(world.device, image_size_px=stage.image_size_px)
    rate = matmul_rate(world.device)
    with TemporaryDirectory() as folder:
        drawn = feed_rows(feed, fresh_states(stage), Quarantine(Path(folder) / "bad.jsonl"), workers=workers)
        ready = list(islice(drawn, 4 * stage.rows))
        for source, rows in (("ready", cycle(ready)), ("loader", drawn)):
            progress = Progress(streams=fresh_states(stage))
            endless = train_stage(
                objective, optimizers, rows, painter, stage, progress, world, rows_per_pass=per_pass, seed=0
            )
            for step in islice(endless, 4):  # all that lie ready, so that what compiles is compiled
                tell(f"{source} {step.number}")
            float(step.loss)
            started = time.perf_counter()
            steps = list(islice(endless, times))
            float(steps[-1].loss)
            seconds = time.perf_counter() - started
            say(
                rows=source,
                stage=stage.name,
                seconds=seconds / times,
                tokens_per_s=sum(step.load.tokens for step in steps) / seconds,
                frames_per_s=sum(step.load.frames for step in steps) / seconds,
                utilisation=sum(operations.of(step.load) for step in steps) / seconds / rate,
                filled=sum(step.filled for step in steps) / times,
                waited=sum(step.waited_s for step in steps) / seconds,
                device=device_name(world.device),
            )
        with profiled(look):
            float(next(endless).loss)


def main() -> None:
    """Read what is asked, and time it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--rows-per-pass", type=int, default=8)
    parser.add_argument("--times", type=int, default=20, help="timed steps")
    parser.add_argument("--tiny", action="store_true", help="a network of two layers, on the CPU")
    parser.add_argument("--profile", action="store_true", help="tell where the time goes, kernel by kernel")
    asked = parser.parse_args()
    preset, curriculum = (tiny, TINY) if asked.tiny else (joey, JOEY)
    with start_world("cpu" if asked.tiny else "cuda") as world:
        for number in asked.stages:
            run(
                preset(vocab_size=len(shipped_tokenizer())),
                replace(curriculum[number - 1], samples=1_000_000),  # never done
                world,
                times=asked.times,
                workers=asked.workers,
                per_pass=asked.rows_per_pass,
                look=asked.profile,
            )


if __name__ == "__main__":
    main()
