"""A run that is killed, at any moment, goes on to the same bytes, and no recorded answer is asked for again."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from counted import asked_of, serve, start

from kangaroo.curation.engine.recipe import Bounds
from kangaroo.curation.engine.status import retry

PROGRAM = Path(__file__).parents[1] / "counted.py"
IN_FLIGHT = 2
LONG = {"duration": Bounds(min=2.7)}


def bytes_of(out):
    """Everything that a run gives; the ledger and its lock are its memory, not its result."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file())
    kept = (path for path in files if not path.name.startswith(("ledger.sqlite", "run.lock", "recipe.json")))
    return {str(path.relative_to(out)): path.read_bytes() for path in kept}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, reels):
    out = tmp_path_factory.mktemp("unbroken")
    with serve() as (url, handler):
        assert start(reels, out, url).num_records == 6
        return bytes_of(out), sum(handler.asked.values())


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.long)])
def test_a_killed_run_ends_in_the_same_bytes(kills, unbroken, tmp_path, reels):
    expected, num_asked = unbroken
    assert {name.partition("/")[0] for name in expected} == {
        *("scores.parquet", "decisions.parquet", "quarantine.jsonl", "records.jsonl", "media", "shards")
    }
    lucky = random.Random(kills)
    with serve() as (url, handler):
        command = [sys.executable, str(PROGRAM), str(reels), str(tmp_path), url]
        done, killed = False, 0
        while killed < kills:
            process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
            try:
                process.wait(timeout=lucky.uniform(0.6, 2.4))
                done = True
                for path in tmp_path.rglob("*"):  # it got to the end: what it made is half taken away
                    if path.is_file() and lucky.random() < 0.5 and "ledger" not in path.name:
                        path.unlink()
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            killed += 1
        assert subprocess.run(command, check=True, timeout=120).returncode == 0
        asked = sum(handler.asked.values())
    assert bytes_of(tmp_path) == expected
    assert num_asked <= asked <= num_asked + kills * IN_FLIGHT
    assert done or killed == kills


def test_a_threshold_asks_nobody_and_a_prompt_asks_again(unbroken, tmp_path, reels):
    with serve() as (url, handler):
        start(reels, tmp_path, url)
        first = sum(handler.asked.values())
        start(reels, tmp_path, url, keep=LONG)
        assert sum(handler.asked.values()) == first
        start(reels, tmp_path, url, "What is this?")
        assert sum(handler.asked.values()) == 2 * first
        start(reels, tmp_path, url)
        assert sum(handler.asked.values()) == 2 * first


def test_an_endpoint_that_fails_leaves_clips_blocked_until_retry(tmp_path, reels):
    with serve() as (url, handler):
        handler.fails = True
        assert start(reels, tmp_path, url, keep=LONG).num_blocked == 3
        handler.fails = False
        assert start(reels, tmp_path, url, keep=LONG).num_blocked == 3
        assert retry(*asked_of(reels, tmp_path, url)) == 12, "captions, and what depends on them"
        assert start(reels, tmp_path, url, keep=LONG).num_blocked == 0
        assert sum(handler.asked.values()) == 9
