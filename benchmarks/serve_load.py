"""What a server of joey gives to many clients at a time, and what it costs over asking the model directly.

    python benchmarks/serve_load.py --clients 32 --seconds 60

Starts `kangaroo serve` on a free port and uploads the sample film, which all clients ask about: its features are known
after the first. Each client asks a question, streams the answer and asks the next, in conversations of three rounds. A
refusal with 429 is counted and tried again after the time that the server names. Then, alone with the server, the same
questions go to it and to a `Session` in this process, in turns: overhead is the ratio of the medians less one.
"""

import argparse
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import httpx2
import openai

import kangaroo
from kangaroo.chat.local import LocalAnswerer
from kangaroo.evaluation.machine import matmul_gflops

FILM = Path(__file__).parents[1] / "examples" / "kangaroo.mp4"
QUESTIONS = ("What happens in the film?", "When does the crab appear?", "Describe everything that happens.")


@dataclass
class Tally:
    """What all clients saw."""

    first_s: list[float] = field(default_factory=list)
    tokens: int = 0
    refused: int = 0
    errors: Counter = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


def ask(client: openai.OpenAI, messages: list) -> tuple[str, float, int]:
    """Return an answer's text, the seconds to its first piece, and its tokens."""
    began_s = perf_counter()
    first_s, text, tokens = 0.0, "", 0
    create = client.chat.completions.create
    for chunk in create(model="joey", messages=messages, stream=True, stream_options={"include_usage": True}):
        if chunk.choices and chunk.choices[0].delta.content:
            first_s = first_s or perf_counter() - began_s
            text += chunk.choices[0].delta.content
        if chunk.usage is not None:
            tokens = chunk.usage.completion_tokens
    return text, first_s, tokens


def opening(film: str) -> list:
    """Return a conversation's first message."""
    part = {"type": "video_url", "video_url": {"url": film}}
    return [{"role": "user", "content": [part, {"type": "text", "text": QUESTIONS[0]}]}]


def keep_asking(url: str, film: str, until_s: float, tally: Tally) -> None:
    """Be one client."""
    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120)
    messages = opening(film)
    while perf_counter() < until_s:
        try:
            text, first_s, tokens = ask(client, messages)
        except openai.RateLimitError as error:
            with tally.lock:
                tally.refused += 1
            time.sleep(min(float(error.response.headers["retry-after"]), max(0.0, until_s - perf_counter())))
            continue
        except openai.OpenAIError as error:
            with tally.lock:
                tally.errors[f"{type(error).__name__}: {error}"] += 1
            continue
        with tally.lock:
            tally.first_s.append(first_s)
            tally.tokens += tokens
        rounds = (len(messages) + 1) // 2
        further = [{"role": "assistant", "content": text}, {"role": "user", "content": QUESTIONS[rounds % 3]}]
        messages = [*messages, *further] if rounds < 3 else opening(film)


def load(url: str, film: str, *, clients: int, seconds: float) -> str:
    """Let so many clients ask for so long, and return a row of the table."""
    tally, began_s = Tally(), perf_counter()
    threads = [threading.Thread(target=keep_asking, args=(url, film, began_s + seconds, tally)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = perf_counter() - began_s
    for error, count in tally.errors.items():
        print(f"{count} times {error}", file=sys.stderr)
    p50, p95 = (statistics.quantiles(tally.first_s, n=100)[at] for at in (49, 94))
    return (
        f"| {clients} clients, {seconds:.0f} s | {len(tally.first_s)} answers, {tally.refused} refused (429), "
        f"{sum(tally.errors.values())} errors | first text p50 {p50:.2f} s, p95 {p95:.2f} s | "
        f"{tally.tokens / took_s:.0f} tokens/s |"
    )


def overhead(url: str, film: str, answerer: LocalAnswerer, repeats: int) -> str:
    """Ask the server and this process in turns, and return a row of the table."""
    client = openai.OpenAI(base_url=url, api_key="none")
    there, here = [], []
    for turn in range(repeats + 1):
        # another word at the start each time: neither side has read the question before
        question = f"{turn}. {QUESTIONS[2]}"
        messages = opening(film)
        messages[0]["content"][1]["text"] = question
        began_s = perf_counter()
        text, _, _ = ask(client, messages)
        there.append(perf_counter() - began_s)
        began_s = perf_counter()
        own = answerer.chat(FILM).ask(question).read()
        here.append(perf_counter() - began_s)
        if own.text != text:
            print(f"turn {turn}: the server says {text!r}, this process {own.text!r}", file=sys.stderr)
    served, direct = (statistics.median(column[1:]) for column in (there, here))  # the first warms up
    return f"| one client | {served:.3f} s | a session {direct:.3f} s | overhead {served / direct - 1:+.1%} |"


def first_byte(url: str) -> str:
    """Return a row about the seconds between the model's first text and the socket, from the server's metrics."""
    text = httpx2.get(url.removesuffix("/v1") + "/metrics").text
    counts = re.findall(r'kangaroo_first_byte_delay_seconds_bucket\{le="([^"]+)"\} ([\d.]+)', text)
    total = float(counts[-1][1])
    shares = ", ".join(f"{1000 * float(edge):g} ms {float(count) / total:.1%}" for edge, count in counts[3:7])
    return f"| first text to socket, {total:.0f} streams | within {shares} | | |"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--repeats", type=int, default=11, help="questions for the overhead")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    command = [sys.executable, "-m", "kangaroo.cli", "serve", "--port", "0", "--device", options.device]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            said = server.stderr.readline()
            url = said.split("answers at ")[1].partition(";")[0]
            client = openai.OpenAI(base_url=url, api_key="none")
            film = client.files.create(file=FILM, purpose="vision").id
            ask(client, opening(film))
            print(f"| float32 matmul of this machine | {matmul_gflops():.0f} GFLOP/s | | |")
            print("|---|---|---|---|")
            answerer = kangaroo.load("joey", device=options.device)
            answerer.chat(FILM).ask(QUESTIONS[0]).read()
            print(overhead(url, film, answerer, options.repeats), flush=True)
            for clients, seconds in ((1, options.seconds / 4), (8, options.seconds / 4)):
                print(load(url, film, clients=clients, seconds=seconds), flush=True)
            print(load(url, film, clients=options.clients, seconds=options.seconds), flush=True)
            print(first_byte(url))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
