"""What each idea of joey's training is worth: small runs that differ in one thing, at equal operations.

    python benchmarks/ablations.py train curriculum --seeds 0 1 2 --budget 3e16 --out out/ablations
    python benchmarks/ablations.py report --out benchmarks/measured/ablations --plots docs/pictures

Questions: `curriculum` (five stages, or straight to the last), `times` (the temporal embedding, or every frame at
second 0), `fold` (patchify, average, or nothing folded), `frames` (trained on films of at most 16, 64 or 160 frames,
tested on 16 to 160). All at 112 px. Each arm of a question gets the same operations, counted as `kangaroo train` counts
them, so an arm whose steps are dearer takes fewer; small budgets want many steps, so they are of fewer rows than joey's
(`--rows`). Lettered questions about test films are asked ten times along the way: a line of JSON each. Several arms and
seeds share a GPU well: start the command once for each. `--tiny` runs on a CPU in minutes.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from math import nan
from pathlib import Path
from statistics import mean, stdev
from typing import Literal, get_args

import torch

from kangaroo.data.packing import Packed
from kangaroo.data.quarantine import Quarantine
from kangaroo.dialogue.encoding import Encoder
from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.packed import allow_packed_rows
from kangaroo.model.presets import joey, tiny
from kangaroo.playground.script import FilmKind
from kangaroo.training.curriculum import JOEY, Drawn, Patchify, Stage
from kangaroo.training.estimate import Load, Operations
from kangaroo.training.feed import Feed, feed_rows, fresh_states
from kangaroo.training.loop import Progress, train_stage
from kangaroo.training.loss import Objective
from kangaroo.training.optimizers import freeze, make_optimizers
from kangaroo.training.painter import Painter
from kangaroo.training.parallel import World, compile_blocks, gather_weights, shard, start_world
from kangaroo.training.probe import probe
from kangaroo.training.start import shipped_tokenizer
from kangaroo.video.sampler import FrameSampler

LOOKS = 10
SHARES = (0.05, 0.15, 0.15, 0.45, 0.2)  # of the budget, for the five stages
FRAMES = (16, 32, 64, 96, 160)


class Timeless(Objective):
    """Shows every frame at second 0."""

    def forward(self, pixels: torch.Tensor, packed: Packed) -> torch.Tensor:
        """Return the loss, as `Objective.forward`."""
        return super().forward(pixels, replace(packed, times_s=torch.zeros_like(packed.times_s)))

    def predict(self, pixels: torch.Tensor, packed: Packed) -> torch.Tensor:
        """Return words, as `Objective.predict`."""
        return super().predict(pixels, replace(packed, times_s=torch.zeros_like(packed.times_s)))


Fold = Literal["depthwise", "average", "none"]
ASKED = [one for one in JOEY[3].data if isinstance(one, Drawn) and one.films.kind is not FilmKind.STILL]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train: stages with their shares of the budget, how patches fold, and how frames are shown."""

    stages: tuple[tuple[Stage, float], ...]
    fold: Fold = "depthwise"
    objective: Callable[..., Objective] = Objective
    tested: tuple[int, ...] = (32,)


def asked(frames: int) -> Stage:
    """Return the stage of instructions about films of at most so many frames."""
    short, long = ASKED
    data = [replace(short, most_s=float(min(frames, 16)))]
    if frames > 16:
        data.append(replace(long, most_s=float(frames), conversations=3 if frames <= 64 else 1))
    return replace(JOEY[3], image_size_px=112, sampler=FrameSampler(max_frames=frames), data=tuple(data))


def arms(question: str) -> dict[str, Arm]:
    """Return the ways to train that a question compares."""
    last = asked(32)
    small = tuple(
        replace(stage, image_size_px=112, sampler=replace(stage.sampler, max_frames=32), data=_shortened(stage))
        for stage in JOEY[:3]
    )
    match question:
        case "curriculum":
            stages = (*small, last, replace(last, rates=JOEY[4].rates))
            return {
                "five stages": Arm(stages=tuple(zip(stages, SHARES, strict=True))),
                "straight": Arm(stages=((last, 1.0),)),
            }
        case "times":
            return {
                "with times": Arm(stages=((last, 1.0),)),
                "without": Arm(stages=((last, 1.0),), objective=Timeless),
            }
        case "fold":
            short = asked(16)  # unfolded, these take a thousand tokens
            return {
                name: Arm(
                    stages=((replace(short, patchify=Patchify.OFF if name == "none" else Patchify.ON), 1.0),),
                    fold=name,
                    tested=(16,),
                )
                for name in get_args(Fold)
            }
        case _:
            return {f"to {most} frames": Arm(stages=((asked(most), 1.0),), tested=FRAMES) for most in (16, 64, 160)}


def _shortened(stage: Stage) -> tuple[Drawn, ...]:
    return tuple(replace(one, most_s=min(one.most_s, 32.0)) for one in stage.data if isinstance(one, Drawn))


def _sized(arm: Arm, *, rows: int, tiny: bool) -> Arm:
    stages = tuple(
        (replace(stage, rows=rows, context_tokens=2048 if tiny else stage.context_tokens), share)
        for stage, share in arm.stages
    )
    return replace(arm, stages=stages, tested=arm.tested[:1] if tiny else arm.tested)


def train(arm: Arm, config: KangarooConfig, world: World, *, budget: float, seed: int, out: Path, workers: int) -> None:
    """Train one arm, writing what it can do as it goes."""
    torch.manual_seed(seed)
    tokenizer = shipped_tokenizer()
    model: KangarooForConditionalGeneration | None = None
    spent = dict.fromkeys(("flop", "tokens"), 0.0)
    for stage, share in arm.stages:
        fold: Fold = "none" if stage.patchify is Patchify.OFF else arm.fold
        if model is None:
            config.vision_config.image_size, config.patchify = stage.image_size_px, fold
            model = KangarooForConditionalGeneration(config)
            allow_packed_rows(model)
        elif model.config.patchify != fold:
            model.model.set_patchify(fold)
        model = model.train()
        _train_stage(
            arm,
            model,
            stage,
            world,
            tokenizer,
            budget=share * budget,
            every=budget / LOOKS,
            spent=spent,
            seed=seed,
            out=out,
            workers=workers,
        )
        # sharding is for one stage: the next begins with plain weights
        weights = gather_weights(model, world)
        fresh = KangarooForConditionalGeneration(model.config)
        fresh.load_state_dict(weights)
        allow_packed_rows(fresh)
        model = fresh


def _train_stage(
    arm: Arm,
    model: KangarooForConditionalGeneration,
    stage: Stage,
    world: World,
    tokenizer: object,
    *,
    budget: float,
    every: float,
    spent: dict[str, float],
    seed: int,
    out: Path,
    workers: int,
) -> None:
    encoder = Encoder(tokenizer, model.config.layout())
    with torch.device("meta"):
        operations = Operations(KangarooForConditionalGeneration(model.config), stage)
    feed = Feed(stage, {}, encoder, seed=seed)
    rows = feed_rows(feed, fresh_states(stage), Quarantine(out.with_suffix(".bad")), workers=workers)
    some = list(islice(rows, 2 * stage.rows))
    load = Load.of(some)
    samples = round(budget / (operations.of(load) / sum(len(row.numbers) for row in some)))
    is_last = stage == arm.stages[-1][0]
    stage = replace(stage, samples=max(1, samples))
    freeze(model, stage)
    objective = arm.objective(model)
    on_gpu = world.device.type == "cuda"
    if on_gpu:
        compile_blocks(model)
    shard(objective, world, compute_dtype=torch.bfloat16 if on_gpu else torch.float32)
    painter = Painter(world.device, image_size_px=stage.image_size_px)
    steps = train_stage(
        objective,
        make_optimizers(model, stage),
        rows,
        painter,
        stage,
        Progress(streams=fresh_states(stage)),
        world,
        rows_per_pass=stage.rows,
        seed=seed,
    )
    for step in steps:
        before = spent["flop"]
        spent["flop"] += operations.of(step.load)
        spent["tokens"] += step.load.tokens
        if spent["flop"] // every > before // every or (is_last and step.samples >= stage.samples):
            for frames in arm.tested:
                tested = replace(
                    stage,
                    sampler=FrameSampler(max_frames=frames),
                    data=(Drawn(least_s=float(frames), most_s=float(frames), rounds=ASKED[0].rounds),),
                    context_tokens=1 << 16,
                )
                shares = probe(objective, encoder, tested, painter, num_films=96 if on_gpu else 2)
                line = {"stage": stage.name, **spent, "samples": step.samples, "loss": float(step.loss)}
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({**line, "frames": frames, "right": shares}) + "\n")


def report(out: Path, plots: Path) -> None:
    """Print a table of what each arm can do where all of its question have arrived, and draw it.

    Curves are over operations; where films of several lengths were tested, over those.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    runs: dict[str, dict[str, list[list[dict]]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(out.glob("*.jsonl")):
        question, arm, _ = path.stem.split("--")
        runs[question][arm].append([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])
    if "times" in runs and "curriculum" in runs:  # one arm under two names, trained once
        runs["times"].setdefault("with times", runs["curriculum"]["straight"])
    for question, by_arm in runs.items():
        reached = 1.05 * min(lines[-1]["flop"] for seeds in by_arm.values() for lines in seeds)
        figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
        print(f"\n## {question}\n\n| arm | frames | seeds | operations | lettered | when | order |")
        print("|---|---:|---:|---:|---|---|---|")
        for color, arm in enumerate(name for name in arms(question) if name in by_arm):
            ends = [{line["frames"]: line for line in lines if line["flop"] <= reached} for lines in by_arm[arm]]
            for frames in ends[0]:
                last = [end[frames] for end in ends]
                cells = [_cell([line["right"].get(name, nan) for line in last]) for name in ("mean", "when", "order")]
                flop = mean(line["flop"] for line in last)
                print(f"| {arm} | {frames} | {len(last)} | {flop:.1e} | " + " | ".join(cells) + " |")
            over = "flop" if len(ends[0]) == 1 else "frames"
            for seed, lines in enumerate(by_arm[arm]):
                shown = lines if over == "flop" else list(ends[seed].values())
                axes.plot(
                    [line[over] for line in shown],
                    [line["right"]["mean"] for line in shown],
                    color=f"C{color}",
                    label=None if seed else arm,
                )
            axes.set_xlabel("operations" if over == "flop" else f"frames tested, after {reached / 1.05:.1e} operations")
        axes.set(ylabel="lettered questions right", title=question)
        axes.axhline(0.25, color="grey", linewidth=0.8, linestyle=":")
        axes.legend(frameon=False)
        figure.savefig(plots / f"{question}.png", dpi=130)
        pyplot.close(figure)


def _cell(shares: list[float]) -> str:
    spread = f" ± {stdev(shares):.3f}" if len(shares) > 1 else ""
    return f"{mean(shares):.3f}{spread}"


def main() -> None:
    """Read what is asked, and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "report"])
    parser.add_argument("question", nargs="?", choices=["curriculum", "times", "fold", "frames"], default="curriculum")
    parser.add_argument("--arms", nargs="+", help="of the question; all of them by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--budget", type=float, default=3e16, help="operations of each run")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plots", type=Path, help="where curves are drawn; beside the lines by default")
    parser.add_argument("--workers", type=int, default=5)
    parser.add_argument("--rows", type=int, default=4, help="of one step, all of which pass at once")
    parser.add_argument("--tiny", action="store_true", help="two layers, on the CPU")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    if chosen.what == "report":
        report(chosen.out, chosen.plots or chosen.out)
        return
    preset = tiny if chosen.tiny else joey
    with start_world("cpu" if chosen.tiny else "cuda") as world:
        for seed in chosen.seeds:
            for name, arm in arms(chosen.question).items():
                if chosen.arms is None or name in chosen.arms:
                    train(
                        _sized(arm, rows=chosen.rows, tiny=chosen.tiny),
                        preset(vocab_size=len(shipped_tokenizer())),
                        world,
                        budget=chosen.budget,
                        seed=seed,
                        out=chosen.out / f"{chosen.question}--{name}--{seed}.jsonl",
                        workers=chosen.workers,
                    )


if __name__ == "__main__":
    main()
