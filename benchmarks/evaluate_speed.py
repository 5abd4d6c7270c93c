"""What the harness itself costs: the share of a run that is neither decoding nor the model; how busy it keeps a GPU.

    python benchmarks/evaluate_speed.py                  # joey, 400 questions about 40 films, on this machine
    python benchmarks/evaluate_speed.py --device cuda --model 8b --films 60 --questions 180 --batch 16 --workers 8

The films are copies of one, each opened, decoded and seen for itself: the sample film, or on a GPU one of 64 s and as
many frames. The clock runs from reading the data set to the last report. Where questions are asked one by one,
what the answers say of their own seconds (open, decode, vision, prefill, generate) is taken off, and the rest is the
harness: prompts and bookkeeping with every question; tables, scoring, the bootstrap, frames for the page and the
machine's own speed once a run. On a GPU the driver tells five times a second how much of the time the GPU worked, from
the first question to the last. `8b` is the published size with random weights in bfloat16.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter

import torch
from cost_of_frames import babbling

import kangaroo
from kangaroo.chat.local import LocalAnswerer
from kangaroo.evaluation.asking import Pace
from kangaroo.evaluation.benchmarks.mlvu import MLVU
from kangaroo.evaluation.measure import evaluate_benchmark
from kangaroo.model.presets import kangaroo_8b
from kangaroo.playground.draw import write_film
from kangaroo.playground.script import make_film

FILM = Path(__file__).parents[1] / "examples" / "kangaroo.mp4"
TASKS = ("1_plotQA", "2_needle", "3_ego", "4_count", "5_order", "6_anomaly_reco", "7_topic_reasoning")


def write_data(root: Path, film: Path, *, films: int, questions: int) -> None:
    """Write films and questions about them, in MLVU's layout."""
    (root / "json").mkdir(parents=True)
    folder = root / "video" / TASKS[0]
    folder.mkdir(parents=True)
    for number in range(films):
        shutil.copyfile(film, folder / f"{number}.mp4")
    rows = [
        {
            "video": f"{number * films // questions}.mp4",
            "question": f"Which colour has thing {number}?",
            "candidates": ["red", "blue", "green", "white"],
            "answer": ("red", "blue", "green", "white")[number % 4],
        }
        for number in range(questions)
    ]
    for task in TASKS:
        (root / "json" / f"{task}.json").write_text(json.dumps(rows if task == TASKS[0] else []))


class Driver:
    """What a GPU's driver says of how busy it is, while an evaluation asks."""

    def __init__(self) -> None:
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
        self._process = subprocess.Popen(query, stdout=subprocess.PIPE, text=True)

    def busy(self) -> list[float]:
        """Return the shares told so far, and end."""
        self._process.terminate()
        assert self._process.stdout is not None, "it is a pipe"
        return [float(line) / 100 for line in self._process.stdout]


def main() -> None:
    """Measure once and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=40)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--model", choices=["joey", "8b"], default="joey")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    wanted = parser.parse_args()
    on_gpu = wanted.device != "cpu"
    answerer: LocalAnswerer = (
        kangaroo.load("joey", device=wanted.device)
        if wanted.model == "joey"
        else babbling(kangaroo_8b(), torch.device(wanted.device))
    )
    with tempfile.TemporaryDirectory() as folder:
        root, out, film = Path(folder) / "data", Path(folder) / "out", FILM
        if on_gpu:
            film = Path(folder) / "film.mp4"
            write_film(make_film(0, duration_s=64.0), film)
        write_data(root, film, films=wanted.films, questions=wanted.questions)
        told: list[Driver] = []

        def watch(*_progress: object) -> None:
            if on_gpu and not told:
                told.append(Driver())

        began = perf_counter()
        evaluate_benchmark(
            answerer, MLVU, root, out, pace=Pace(batch=wanted.batch, workers=wanted.workers), watch=watch
        )
        whole_s = perf_counter() - began
        lines = map(json.loads, (out / "answers.jsonl").read_text().splitlines())
        model_s = sum(sum(line["timings_s"].values()) for line in lines)
        asking_s = json.loads((out / "report.json").read_text())["sessions"][0]["seconds"]
    print(f"{wanted.questions} questions in {whole_s:.1f} s, {wanted.questions / asking_s:.1f} a second")
    if on_gpu:
        busy = told[0].busy()[: round(5 * asking_s)]
        print(f"the GPU worked {statistics.mean(busy):.1%} of the time ({len(busy)} looks)")
    if wanted.batch == 1 and not wanted.workers:
        rest_s, each_s = whole_s - model_s, asking_s - model_s
        print(
            f"the harness {rest_s:.2f} s of it ({rest_s / whole_s:.1%}): {each_s:.2f} s with the questions "
            f"({each_s / asking_s:.1%} of asking), {rest_s - each_s:.2f} s once a run"
        )


if __name__ == "__main__":
    main()
