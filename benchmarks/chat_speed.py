"""How fast joey answers here: a probe of the machine, the first word about a 64-frame film, words a second after it.

    python benchmarks/chat_speed.py --repeats 5

Each row is the median of the repeats. Every repeat opens a new session of a loaded model that has never seen that
film (a new one is drawn and written for each), so decoding and seeing are counted in full. The first word is timed from
the question to the first piece of text; words a second, in tokens, from there to the end of the answer.
"""

import argparse
import statistics
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


def draw(seed: int, path: Path) -> None:
    """Write a playground film of as many seconds as frames are looked at."""
    film = make_film(seed, split=Split.TEST, duration_s=float(NUM_FRAMES))
    times_s = np.arange(NUM_FRAMES * FPS) / FPS
    pixels = Renderer().draw(film, times_s, height_px=film.height_px, width_px=film.width_px)
    write_video(path, pixels.numpy(), fps=FPS)


def ask(answerer: LocalAnswerer, film: Path) -> tuple[float, float]:
    """Return seconds to the first piece of text, and tokens a second after it."""
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
    return first - began, (tokens - tokens_at_first) / (perf_counter() - first)


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
    first_s, tokens_per_s = (statistics.median(column) for column in zip(*rows[1:], strict=True))  # the first warms up
    print(f"| float32 matmul of this machine, {torch.get_num_threads()} threads | {matmul_gflops():.0f} GFLOP/s |")
    print("|---|---|")
    print(f"| first word, {NUM_FRAMES} frames, model loaded | {first_s:.2f} s |")
    print(f"| after it | {tokens_per_s:.0f} tokens/s |")


if __name__ == "__main__":
    main()
