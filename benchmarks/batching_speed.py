"""How many tokens a second clients get who ask at the same time about films that were seen before.

    python benchmarks/batching_speed.py                         # joey, on this machine
    python benchmarks/batching_speed.py --device cuda
    python benchmarks/batching_speed.py --device cuda --size 8b

Each client is a thread with a session of its own. Its first question is answered before the clock starts, so prompts
and films have been read; then all ask on at once, and each answer runs to its last token. Tokens a second are those of
all clients together, from the question to the last answer's end. `alone` is one client with the same model and length.
The 8B has random weights in bfloat16, and a context of 22,000 tokens a client filled with random features.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

import kangaroo
from kangaroo.chat.answerer import Sampling
from kangaroo.chat.batch import Batch
from kangaroo.chat.features import FilmFeatures
from kangaroo.chat.memory import Memory, Prompt
from kangaroo.model.layout import VisualToken
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import kangaroo_8b

FILM = Path(__file__).parents[1] / "examples" / "kangaroo.mp4"
NUM_FRAMES = 64
Client = Callable[[], int]
"""Asks once more, reads the answer, and returns how many tokens it had."""


def long(num_tokens: int) -> Sampling:
    """Sample hotly, so that answers seldom end before their most tokens."""
    return Sampling(temperature=4.0, seed=0, max_new_tokens=num_tokens)


def joey_clients(device: str, num_clients: int, num_tokens: int) -> list[Client]:
    """Return sessions of joey about the sample film, each after its first question."""
    answerer = kangaroo.load(device=device)

    def client(number: int) -> Client:
        session = answerer.chat(FILM, num_frames=NUM_FRAMES, sampling=long(num_tokens))
        session.ask(f"Describe everything that happens in this video. ({number})").read()
        # told anew, so that every round begins as the one before
        return lambda: session.regenerate().read().new_tokens or 0

    return [client(number) for number in range(num_clients)]


def large_clients(device: str, num_clients: int, num_tokens: int, *, context_tokens: int) -> list[Client]:
    """Return conversations with a random 8B, each of which has read as many tokens."""
    config = kangaroo_8b()
    torch.manual_seed(0)
    with torch.device(device):
        torch.set_default_dtype(torch.bfloat16)
        model = KangarooForConditionalGeneration(config).eval()
        torch.set_default_dtype(torch.float32)
    batch = Batch(model, Letters(), max_rows=num_clients)
    start, end = (config.visual_token_ids[name] for name in (VisualToken.START, VisualToken.END))

    def client(number: int) -> Client:
        num_rows = context_tokens - num_tokens - 16
        rows = torch.randn(num_rows, config.text_config.hidden_size, device=device, dtype=torch.bfloat16) * 0.02
        film = FilmFeatures(key=number, rows=rows, times_s=(), notes=())
        ids = [10, start, *[config.video_token_id] * num_rows, end, *range(20, 30)]
        memory, prompt = Memory(), Prompt(ids=ids, films=[film])

        def ask() -> int:
            return sum(1 for _ in batch.answer(prompt, Sampling(max_new_tokens=num_tokens), memory=memory))

        sum(1 for _ in batch.answer(prompt, Sampling(max_new_tokens=2), memory=memory))
        return ask

    return [client(number) for number in range(num_clients)]


class Letters:
    """A vocabulary without a tokenizer: what random weights say is not worth reading."""

    def __init__(self) -> None:
        self.added_tokens_decoder: dict[int, str] = {}

    def convert_ids_to_tokens(self, id: int) -> str:
        """Return a letter."""
        return chr(ord("a") + id % 26)


def measure(clients: list[Client], device: str) -> tuple[float, int]:
    """Let all clients ask at once; return seconds until the last has its answer, and how many tokens came."""
    gate = threading.Barrier(len(clients) + 1)
    tokens = [0] * len(clients)

    def run(place: int) -> None:
        gate.wait()
        tokens[place] = clients[place]()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(clients))]
    for thread in threads:
        thread.start()
    gate.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began, sum(tokens)


def rounds(clients: list[Client], counts: list[int], device: str, repeats: int) -> Iterator[dict[str, float]]:
    """Yield a line for each number of clients, the best of the repeats."""
    alone = 0.0
    measure(clients[:1], device)  # warms up
    for count in counts:
        rate, tokens = max(
            (tokens / seconds, tokens) for seconds, tokens in (measure(clients[:count], device) for _ in range(repeats))
        )
        alone = alone or rate
        yield {
            "clients": count,
            "tokens": tokens,
            "tokens_per_s": round(rate, 1),
            "tokens_per_s_each": round(rate / count, 1),
            "times_alone": round(rate / alone, 2),
        }


def main() -> None:
    """Measure and print one line of JSON for each number of clients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", choices=["joey", "8b"], default="joey")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 4, 8, 16], help="the first must be 1")
    parser.add_argument("--tokens", type=int, default=128, help="of each answer")
    parser.add_argument("--context", type=int, default=22_000, help="tokens of each conversation with the 8B")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    most = max(asked.clients)
    if asked.size == "joey":
        clients = joey_clients(asked.device, most, asked.tokens)
    else:
        clients = large_clients(asked.device, most, asked.tokens, context_tokens=asked.context)
    where = torch.cuda.get_device_name() if asked.device != "cpu" else f"cpu, {torch.get_num_threads()} threads"
    print(f"{asked.size} on {where}: {most} conversations have been read", file=sys.stderr, flush=True)
    for line in rounds(clients, asked.clients, asked.device, asked.repeats):
        print(json.dumps(line), flush=True)
    if asked.device != "cpu":
        print(json.dumps({"peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 1)}))


if __name__ == "__main__":
    main()
