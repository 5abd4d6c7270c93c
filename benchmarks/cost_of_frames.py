"""How the cost of a question grows with its frames: seconds of each step, and memory; a table, a plot.

    python benchmarks/cost_of_frames.py [--model 8b] [--frames 16 40 80 160 320 640] [--plot docs/pictures/cost.png]

Each question goes the whole way, from a file on: decoded, seen, read and answered, by a model that is loaded and has
answered about as many frames of another film. `vision` is what seeing takes after decoding: a GPU sees while the CPU
decodes. `8b` is the published size with random weights in bfloat16, its context longer than the published one, so
that 640 frames fit; `joey` is the one that ships, `tiny` shows that this runs. On a GPU `memory` is the most that was
allocated at a time, on a CPU the most that this process ever held.
"""

import argparse
import resource
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from language_speed import at_random

import kangaroo
from kangaroo.chat.answerer import Sampling
from kangaroo.chat.local import LocalAnswerer
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.presets import TokenIds, kangaroo_8b, tiny
from kangaroo.training.start import shipped_tokenizer
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource
from kangaroo.video.write import write_video

TOKENS = 32
STEPS = ("decode", "vision", "prefill")


def babbling(config: KangarooConfig, device: torch.device) -> LocalAnswerer:
    """Return a model of random weights that speaks the shipped tokenizer's words and never ends by itself."""
    tokenizer, ids = shipped_tokenizer(), TokenIds()
    config.text_config.max_position_embeddings = 100_000
    for part, values in ((config, ids.visual), (config.text_config, ids.ends)):
        for name, value in values.items():
            setattr(part, name, value)
    model = at_random(config, device)
    with torch.no_grad():
        model.lm_head.weight[len(tokenizer) :] = 0
    return LocalAnswerer(model, KangarooProcessor.for_model(config, tokenizer), name="at random", ends=frozenset())


def peak_bytes(device: torch.device) -> int:
    """Return the most memory that was held."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(answerer: LocalAnswerer, film: Path, num_frames: int, device: torch.device) -> dict[str, float]:
    """Ask one question and return what it cost: seconds by step, seconds a token, GiB."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    session = answerer.chat(VideoSource(film), sampler=FrameSampler(num_frames=num_frames))
    answer = session.ask("What happens in the film?", sampling=Sampling(max_new_tokens=TOKENS)).read()
    cost = {step: answer.timings_s[step] for step in STEPS}
    cost["a token"] = answer.timings_s["generate"] / max(1, (answer.new_tokens or 1) - 1)
    return cost | {"tokens": float(answer.prompt_tokens or 0), "memory": peak_bytes(device) / 2**30}


def draw(costs: dict[int, dict[str, float]], path: Path) -> None:
    """Draw seconds and memory over frames."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    seconds, memory = figure.subplots(1, 2)
    for step in (*STEPS, "a token"):
        seconds.plot(list(costs), [cost[step] for cost in costs.values()], marker="o", label=step)
    memory.plot(list(costs), [cost["memory"] for cost in costs.values()], marker="o", color="tab:gray")
    seconds.set(xlabel="frames", ylabel="seconds", xscale="log", yscale="log")
    seconds.set_xticks(list(costs), labels=[str(count) for count in costs], minor=False)
    seconds.set_xticks([], minor=True)
    memory.set(xlabel="frames", ylabel="GiB", ylim=(0, None))
    seconds.legend()
    figure.savefig(path)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["8b", "joey", "tiny"], default="8b")
    parser.add_argument("--frames", type=int, nargs="+", default=[16, 40, 80, 160, 320, 640])
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    device = torch.device(options.device)
    if options.model == "joey":
        answerer = kangaroo.load("joey", device=options.device)
    else:
        config = kangaroo_8b() if options.model == "8b" else tiny(vocab_size=len(shipped_tokenizer()))
        answerer = babbling(config, device)
    costs = {}
    with TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        frames = rng.integers(0, 255, (max(options.frames), 64, 64, 3), dtype=np.uint8)
        film, warm = Path(folder) / "film.mp4", Path(folder) / "warm.mp4"
        write_video(film, frames, fps=1.0)
        write_video(warm, frames[::-1], fps=1.0)
        print(
            "| frames | tokens | decode | vision | prefill | a token | memory |\n|---:|---:|---:|---:|---:|---:|---:|"
        )
        for count in options.frames:
            measure(answerer, warm, count, device)
            cost = costs[count] = measure(answerer, film, count, device)
            told = " | ".join(f"{cost[step]:.3f} s" for step in STEPS)
            print(
                f"| {count} | {cost['tokens']:,.0f} | {told} | {cost['a token'] * 1e3:.1f} ms | "
                f"{cost['memory']:.2f} GiB |",
                flush=True,
            )
    if options.plot is not None:
        draw(costs, options.plot)


if __name__ == "__main__":
    main()
