"""How fast joey answers here: the first word about a 64-frame film, words a second after it, a second question.

    python benchmarks/chat_speed.py --repeats 5

Each row is the median of the repeats. Every repeat opens a new session of a loaded model that has never seen that
film (a new one is drawn and written for each), so decoding and seeing are counted in full. The first word is timed from
the question to the first piece of text; words a second, in tokens, from there to the end of the answer. From the shell
`kangaroo chat` is timed from its start to its first letter about the sample film, of which nothing is kept.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

import kangaroo
from kangaroo.chat.local import LocalAnswerer
from kangaroo.evaluation.machine import matmul_gflops
from kangaroo.playground.render import Renderer
from kangaroo.playground.script import Split, make_film
from kangaroo.video.write import write_video

NUM_FRAMES = 64
FPS = 8
QUESTION = "Describe everything that happens in this video."
ANOTHER = "How many objects are there?"
FILM = Path(__file__).parents[1] / "examples" / "kangaroo.mp4"


def draw(seed: int, path: Path) -> None:
    """Write a playground film of as many seconds as frames are looked at."""
    film = make_film(seed, split=Split.TEST, duration_s=float(NUM_FRAMES))
    times_s = np.arange(NUM_FRAMES * FPS) / FPS
    pixels = Renderer().draw(film, times_s, height_px=film.height_px, width_px=film.width_px)
    write_video(path, pixels.numpy(), fps=FPS)


def ask(answerer: LocalAnswerer, film: Path) -> tuple[float, float, float]:
    """Return seconds to the first piece of text, tokens a second after it, and a second question's seconds."""
    session = answerer.chat(film, num_frames=NUM_FRAMES)
    began = perf_counter()
    answer = session.ask(QUESTION)
    pieces = iter(answer)
    next(pieces)
    first = perf_counter()
    tokens_at_first = answer.new_tokens
    for _ in pieces:
        pass
    tokens = answer.new_tokens
    assert tokens_at_first is not None, "a model here counts its tokens"
    assert tokens is not None, "from first to last"
    rate = (tokens - tokens_at_first) / (perf_counter() - first)
    asked = perf_counter()
    next(iter(session.ask(ANOTHER)))
    return first - began, rate, perf_counter() - asked


def from_shell(model: str) -> float:
    """Return seconds from the command's start to its first letter."""
    command = [sys.executable, "-m", "kangaroo.cli", "chat", str(FILM), QUESTION, "--model", model, "--device", "cpu"]
    began = perf_counter()
    with subprocess.Popen([*command, "--no-cache"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None, "it is a pipe"
        process.stdout.read(1)
        seconds = perf_counter() - began
        process.stdout.read()
    return seconds


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="joey", help="joey or a model's folder")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    answerer = kangaroo.load(options.model, device="cpu")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.repeats + 1):
            film = Path(folder) / f"{seed}.mp4"
            draw(seed, film)
            rows.append(ask(answerer, film))
    first_s, tokens_per_s, second_s = (
        statistics.median(column) for column in zip(*rows[1:], strict=True)
    )  # the first warms up
    print(f"| float32 matmul of this machine, {torch.get_num_threads()} threads | {matmul_gflops():.0f} GFLOP/s |")
    print("|---|---|")
    print(f"| first word, {NUM_FRAMES} frames, model loaded | {first_s:.2f} s |")
    print(f"| after it | {tokens_per_s:.0f} tokens/s |")
    print(f"| a second question's first word | {second_s:.3f} s |")
    shell_s = statistics.median(from_shell(options.model) for _ in range(options.repeats))
    print(f"| `kangaroo chat` from the shell to its first letter | {shell_s:.1f} s |")


if __name__ == "__main__":
    main()
