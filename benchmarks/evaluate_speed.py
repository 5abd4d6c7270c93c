"""What the harness itself costs: the share of a benchmark's run that is neither decoding nor the model.

    python benchmarks/evaluate_speed.py                  # joey, 200 questions about 40 films, on this machine

The films are copies of the sample film, each opened, decoded and seen for itself. The clock runs from reading the data
set to the last report; what the answers say of their own seconds (open, decode, vision, prefill, generate) is taken
off, and the rest is the harness: prompts and bookkeeping with every question; tables, scoring, the bootstrap, frames
for the page and the machine's own speed once a run.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from time import perf_counter

import kangaroo
from kangaroo.evaluation.benchmarks.mlvu import MLVU
from kangaroo.evaluation.measure import evaluate_benchmark

FILM = Path(__file__).parents[1] / "examples" / "kangaroo.mp4"
TASKS = ("1_plotQA", "2_needle", "3_ego", "4_count", "5_order", "6_anomaly_reco", "7_topic_reasoning")


def write_data(root: Path, *, films: int, questions: int) -> None:
    """Write films and questions about them, in MLVU's layout."""
    (root / "json").mkdir(parents=True)
    folder = root / "video" / TASKS[0]
    folder.mkdir(parents=True)
    for number in range(films):
        shutil.copyfile(FILM, folder / f"{number}.mp4")
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


def main() -> None:
    """Measure once and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--films", type=int, default=40)
    parser.add_argument("--questions", type=int, default=400)
    wanted = parser.parse_args()
    answerer = kangaroo.load("joey", device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "data", Path(folder) / "out"
        write_data(root, films=wanted.films, questions=wanted.questions)
        began = perf_counter()
        evaluate_benchmark(answerer, MLVU, root, out)
        whole_s = perf_counter() - began
        lines = map(json.loads, (out / "answers.jsonl").read_text().splitlines())
        model_s = sum(sum(line["timings_s"].values()) for line in lines)
        asking_s = json.loads((out / "report.json").read_text())["sessions"][0]["seconds"]
    rest_s, each_s = whole_s - model_s, asking_s - model_s
    print(
        f"{wanted.questions} questions in {whole_s:.1f} s, the harness {rest_s:.2f} s of it ({rest_s / whole_s:.1%}): "
        f"{each_s:.2f} s with the questions ({each_s / asking_s:.1%} of asking), {rest_s - each_s:.2f} s once a run"
    )


if __name__ == "__main__":
    main()
