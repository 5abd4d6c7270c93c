"""Real server processes, and what they did."""

import json
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx2
import openai

FILM = Path(__file__).parents[2] / "examples" / "kangaroo.mp4"


@dataclass(kw_only=True)
class Server:
    """A server that runs."""

    url: str
    process: subprocess.Popen
    model: str
    key: str = "none"

    @cached_property
    def client(self):
        return openai.OpenAI(base_url=self.url, api_key=self.key, max_retries=0, timeout=60)

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def root(self):
        return self.url.removesuffix("/v1")

    def post(self, **body):
        body = {"model": self.model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4} | body
        return httpx2.post(f"{self.url}/chat/completions", json=body, headers=self.headers, timeout=60)

    def metrics(self):
        text = httpx2.get(f"{self.root}/metrics", headers=self.headers).text
        return {name: float(value) for name, value in re.findall(r"^(kangaroo_[^ ]+) ([^ ]+)$", text, re.M)}

    def wait_for(self, metric, value, within_s=20.0):
        """Return the seconds until a metric has a value."""
        began_s = time.monotonic()
        while self.metrics().get(metric, 0.0) != value:
            assert time.monotonic() - began_s < within_s, f"{metric} is {self.metrics().get(metric)}, not {value}"
            time.sleep(0.02)
        return time.monotonic() - began_s

    def decoders(self):
        """Return the ids of its worker processes."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return [int(id) for thread in threads for id in (thread / "children").read_text().split()]

    def resident_bytes(self):
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1]) << 10


@contextmanager
def start_server(model="joey", **settings):
    script = Path(__file__).parent / "serving_process.py"
    command = [sys.executable, str(script), str(model), json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            assert url, "the server did not start"
            running = Server(url=url, process=process, model=Path(model).name, key=settings.get("api_key", "none"))
            with running.client:
                yield running
        finally:
            process.kill()
