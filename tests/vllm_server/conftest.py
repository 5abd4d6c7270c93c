"""A real `vllm serve` of joey on loopback, and the same joey in this process."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import torch
from served import Server

import kangaroo
from kangaroo.chat.load import find_folder
from kangaroo.playground.draw import write_film
from kangaroo.playground.script import make_film

RECORDER = Path(__file__).parent / "recorder"
STARTS_WITHIN_S = 300
STOPS_WITHIN_S = 30


def pytest_collection_modifyitems(items):
    missing = importlib.util.find_spec("vllm") is None
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.vllm)
            item.add_marker(pytest.mark.timeout(STARTS_WITHIN_S + 300))
            if missing:
                item.add_marker(pytest.mark.skip(reason="vllm is not installed here; make test-vllm installs it"))


@pytest.fixture(scope="session")
def draw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")

    def _draw(seed, seconds):
        path = folder / f"{seed}-{seconds:g}.mp4"
        if not path.exists():
            write_film(make_film(seed, duration_s=float(seconds)), path)
        return path

    return _draw


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).parent / "vllm"), "serve", str(find_folder("joey"))]
    command += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", "joey", "--dtype", "float32"]
    command += ["--enforce-eager", "--trust-request-mm-kwargs"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(RECORDER),
        "KANGAROO_RECORDER_FOLDER": str(folder),
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
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


@pytest.fixture(scope="session")
def joey():
    return kangaroo.load("joey", device="cpu", dtype=torch.float32)
