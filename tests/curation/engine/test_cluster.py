"""On a Ray cluster a run gives what it gives on one machine: the same rows, the same bytes, whatever is killed."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from clustered import LOST, PIDS, start
from reels import draw_reel, scenes
from test_killed import bytes_of

import kangaroo.curation.engine.cluster
from kangaroo.curation.engine.cluster import joined
from kangaroo.curation.engine.ledger import CurationError
from kangaroo.curation.engine.pool import hired
from kangaroo.curation.engine.recipe import Engine, Machine
from kangaroo.errors import OptionError

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
PROGRAM = Path(__file__).parents[1] / "clustered.py"
ON_RAY = Machine(engine=Engine.RAY, limit_s=12.0, frame_limit_s=0.01)
ON_ONE = Machine(limit_s=12.0, frame_limit_s=0.01)


def rows_of(out):
    """Everything that a ledger holds."""
    with sqlite3.connect(out / "ledger.sqlite") as base:
        tables = [name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(map(repr, base.execute(f"SELECT * FROM {name}"))) for name in tables}


@pytest.fixture(scope="module")
def cluster():
    """A real cluster of one node with two cores: its address."""
    with joined(Machine(engine=Engine.RAY, address="local"), shared=[]):
        import ray

        yield ray.get_runtime_context().gcs_address


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Sound films, and some that hang, fail or are none."""
    folder = tmp_path_factory.mktemp("films")
    for number, name in enumerate(["a", "b", "c", "d", "hangs", "fails"]):
        draw_reel(folder / f"{name}.mp4", scenes(number, 2), seconds=(3.0, 2.5))
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "noise.mp4").write_bytes(random.Random(0).randbytes(9000))
    return folder


@pytest.fixture(scope="module")
def alone(films, tmp_path_factory):
    """The same run on one machine."""
    out = tmp_path_factory.mktemp("alone")
    assert start(films, out, ON_ONE).num_records == 10
    return out


def test_rows_and_bytes_are_those_of_one_machine(cluster, films, alone, tmp_path):
    assert start(films, tmp_path, ON_RAY).num_records == 10
    assert rows_of(tmp_path) == rows_of(alone)
    assert bytes_of(tmp_path) == bytes_of(alone)
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert len(reasons) == 5
    assert any("took longer than 12.55 s" in reason for reason in reasons)


def test_an_actor_that_is_killed_costs_nothing(cluster, films, alone, tmp_path):
    pids, killed = tmp_path / PIDS, []
    pids.mkdir()

    def kill():  # the first two, that no film loses two
        while len(names := {path.name for path in pids.iterdir()}) < 2:
            time.sleep(0.05)
        for name in names:
            os.kill(int(name), signal.SIGKILL)
            killed.append(name)

    threading.Thread(target=kill, daemon=True).start()
    assert start(films, tmp_path / "out", ON_RAY).num_records == 10
    assert len(killed) == 2
    assert rows_of(tmp_path / "out") == rows_of(alone)
    assert bytes_of(tmp_path / "out") == bytes_of(alone)


def test_a_film_that_takes_its_actors_along_is_in_quarantine(cluster, tmp_path):
    draw_reel(tmp_path / "films" / f"{LOST}.mp4", scenes(1, 1), seconds=[2.5])
    draw_reel(tmp_path / "films" / "sound.mp4", scenes(2, 1), seconds=[2.5])
    assert start(tmp_path / "films", tmp_path / "out", ON_RAY).num_records == 1
    (line,) = map(json.loads, (tmp_path / "out/quarantine.jsonl").read_text().splitlines())
    assert LOST in line["subject"]
    assert "crashed the decoder (SIGKILL)" in line["reason"]


def test_a_run_that_is_killed_goes_on_to_the_same_bytes(cluster, films, alone, tmp_path):
    lucky = random.Random(7)
    command = [sys.executable, str(PROGRAM), str(films), str(tmp_path), cluster]
    for _ in range(4):
        process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
        try:
            process.wait(timeout=lucky.uniform(4, 14))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert subprocess.run(command, check=True, timeout=200).returncode == 0
    assert (tmp_path / "quarantine.jsonl").read_text() == (alone / "quarantine.jsonl").read_text()
    assert rows_of(tmp_path) == rows_of(alone)
    assert bytes_of(tmp_path) == bytes_of(alone)


def test_a_cluster_without_room_stops_the_run(cluster, films, tmp_path, monkeypatch):
    monkeypatch.setattr(kangaroo.curation.engine.cluster, "_ROOM_S", 15.0)
    with pytest.raises(CurationError, match=r"no room for one more worker within 15 s, it has 2 cores"):
        start(films, tmp_path, Machine(engine=Engine.RAY, workers=3))


def test_a_node_that_sees_other_files_is_named(cluster, tmp_path):
    with (
        hired(ON_RAY, shared=[tmp_path / "gone"]) as errands,
        pytest.raises(CurationError, match=r"does not see .*gone"),
    ):
        errands.call(len, "x", name="x", doing="counting", time_s=1.0)


def test_a_cluster_that_is_not_there_is_said_at_once():
    code = (
        "from kangaroo.curation.engine.pool import hired\nfrom kangaroo.curation.engine.recipe import Engine, Machine\n"
        "with hired(Machine(engine=Engine.RAY, address='127.0.0.1:1'), shared=[]): pass"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert f"{OptionError.__name__}: no Ray cluster at '127.0.0.1:1'" in ran.stderr
