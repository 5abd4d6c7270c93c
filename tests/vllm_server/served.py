"""A real `vllm serve` on loopback: what it answers, and what reached its vision tower."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RECORDER = Path(__file__).parent / "recorder"
STARTS_WITHIN_S = 400
STOPS_WITHIN_S = 30


@dataclass
class Server:
    """Where it listens, and where its recorder writes."""

    url: str
    folder: Path

    def answer(self, messages, *, max_tokens=512, **options):
        """Return the whole reply to a greedy question."""
        from openai import OpenAI

        client = OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=120)
        return client.chat.completions.create(
            model="served", messages=messages, temperature=0, max_tokens=max_tokens, extra_body=options
        )

    def seen(self):
        """Return one file for each film that reached the vision tower, the last one last."""
        return sorted(self.folder.glob("*.pt"), key=lambda file: int(file.stem))


def message(question, *films):
    parts = [
        {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{b64encode(film.read_bytes()).decode()}"}}
        for film in films
    ]
    return {"role": "user", "content": [*parts, {"type": "text", "text": question}]}


@contextmanager
def serving(model, folder, *options, **environment):
    """Lend a server of a model's folder, in float32, and stop it with all that it started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).parent / "vllm"), "serve", str(model), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--served-model-name", "served", "--dtype", "float32", "--enforce-eager", *options]
    environment = {
        **os.environ,
        "PYTHONPATH": str(RECORDER),
        "KANGAROO_RECORDER_FOLDER": str(folder),
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        **environment,
    }
    log = folder / "log.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, log)
            yield Server(f"http://127.0.0.1:{port}", folder)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _wait(url, process, log):
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(1)
    raise RuntimeError(f"vllm serve did not start:\n{log.read_text(errors='replace')[-4000:]}")
