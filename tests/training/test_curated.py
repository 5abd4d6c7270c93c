"""A folder of films becomes records that pass their check and train a network; a threshold does nothing again."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from kangaroo.cli import run
from kangaroo.curation.engine import pool
from kangaroo.curation.engine.layout import Layout
from kangaroo.data.jsonl import JsonLines
from kangaroo.data.quarantine import Quarantine
from kangaroo.data.sources import open_source
from kangaroo.model.packed import allow_packed_rows
from kangaroo.playground.render import Renderer
from kangaroo.playground.script import make_film
from kangaroo.training.curriculum import Records
from kangaroo.training.feed import Feed, feed_rows, fresh_states
from kangaroo.training.loop import Progress, train_stage
from kangaroo.training.loss import Objective
from kangaroo.training.optimizers import freeze, make_optimizers
from kangaroo.training.painter import Painter
from kangaroo.training.parallel import start_world
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.write import write_video

KEEP = "[keep.motion]\nmin = 0\n[keep.frozen]\nmax = 1\n[keep.text]\nmax = 1\n[keep.overlay]\nmax = 1\n"


def film(path, seed):
    times_s = np.arange(15) / 6
    pixels = Renderer("cpu").draw(make_film(seed, duration_s=2.5), times_s, height_px=240, width_px=320).numpy()
    write_video(path, pixels, fps=6.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three films, a broken one, and a recipe over them."""
    folder = tmp_path_factory.mktemp("curated")
    (folder / "films").mkdir()
    for seed in range(3):
        film(folder / "films" / f"{seed}.mp4", seed)
    (folder / "films" / "broken.mp4").write_bytes((folder / "films" / "0.mp4").read_bytes()[:500])
    return folder


def curate(folder, more=""):
    """Run the command over the folder, and return where things are."""
    text = f'videos = ["{folder}/films"]\nout = "{folder}/out"\n{KEEP}{more}'
    (folder / "recipe.toml").write_text(text, encoding="utf-8")
    assert run(["curate", str(folder / "recipe.toml")]) == 0
    return Layout(out=folder / "out")


def test_a_folder_of_films_is_curated_checked_and_trained_on(
    folder, capsys, stage, tiny_network, tiny_processor, tmp_path
):
    at = curate(folder)
    said = capsys.readouterr().out
    assert "3 of 3 clips are kept" in said
    assert said.count("probing") == 1  # one bar for all files
    records = list(JsonLines(at.records).records())
    assert len(records) == 3
    assert all("captions by joey, merged by rule, written by rule" in record.source for record in records)
    assert [json.loads(line)["step"] for line in at.quarantine.read_text().splitlines()] == ["probe"]
    page = at.report.read_text(encoding="utf-8")
    assert "broken.mp4" in page
    assert page.count("data:image/jpeg") == 3
    assert run(["data", "check", str(at.records), "--decode"]) == 0
    assert "3 records, 3 media" in capsys.readouterr().out
    assert run(["data", "check", str(at.shards)]) == 0
    mine = replace(stage, data=(Records(name="mine"),), sampler=FrameSampler(num_frames=4), samples=2)
    source = {"mine": open_source(at.shards)}
    feed = Feed(mine, source, tiny_processor.encoder, seed=0)
    freeze(tiny_network, mine)
    allow_packed_rows(tiny_network)
    progress = Progress(streams=fresh_states(mine))
    steps = list(
        train_stage(
            Objective(tiny_network),
            make_optimizers(tiny_network, mine),
            feed_rows(feed, progress.streams, Quarantine(tmp_path / "bad.jsonl"), workers=0, lookahead=2),
            Painter(torch.device("cpu"), image_size_px=56),
            mine,
            progress,
            start_world("cpu"),
            rows_per_pass=1,
            seed=0,
        )
    )
    assert len(steps) >= 1
    assert all(torch.isfinite(step.loss) and step.grad_norm > 0 for step in steps)


def test_a_threshold_decodes_nothing_and_asks_nobody(folder, monkeypatch, capsys):
    at = curate(folder)
    before = JsonLines(at.records)

    def nobody(*_, name, **__):
        raise AssertionError(f"{name} is decoded again")

    monkeypatch.setattr(pool.Errands, "call", nobody)
    longest = "[keep.duration]\nmax = 2.4\n"
    curate(folder, longest)
    assert len(JsonLines(at.records)) < len(before)
    assert "0 of 3 clips are kept" in capsys.readouterr().out
    assert run(["curate", "what-if", str(folder / "recipe.toml"), "--set", "duration.max=none"]) == 0
    assert "3 of 3 clips are kept" in capsys.readouterr().out
