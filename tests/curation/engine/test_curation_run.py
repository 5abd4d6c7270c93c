"""A run goes from files to records, does nothing twice, and ends whatever the files are."""

import json
import os
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from reels import BRIGHTNESS, DOUBLED, TROUBLED, draw_reel, one_record, parts_of, recipe_over, scenes

from kangaroo.curation.engine.layout import Layout
from kangaroo.curation.engine.ledger import CurationError, Ledger, alone
from kangaroo.curation.engine.pipeline import Fate
from kangaroo.curation.engine.recipe import Bounds, Machine
from kangaroo.curation.engine.run import Run
from kangaroo.curation.measures.clips import CutSettings
from kangaroo.data.jsonl import JsonLines
from kangaroo.data.shards import Shard
from kangaroo.errors import OptionError


def rows_of(path):
    return pq.read_table(path).to_pylist()


@pytest.fixture
def told():
    return []


@pytest.fixture
def run(tmp_path, reels, told):
    """Run over a folder and return what it came to."""

    def go(*steps, folder=reels, out=tmp_path / "out", records=None, choose=None, **changes):
        recipe = recipe_over(folder, out, **changes)
        told.clear()
        parts = parts_of(recipe, *steps, records=records, choose=choose)
        return Run(recipe, parts, tell=lambda what, done, total: told.append((what, done, total))).go()

    return go


def test_a_folder_of_films_becomes_clips_scores_and_decisions(run, tmp_path):
    outcome = run(BRIGHTNESS, DOUBLED)
    assert (outcome.verdicts.total, outcome.verdicts.kept, outcome.num_quarantined) == (6, 6, 0)
    rows = rows_of(tmp_path / "out" / "decisions.parquet")
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert sorted(round(row["clip.duration_s"], 2) for row in rows) == pytest.approx([2.5] * 3 + [2.95] * 3)
    for row in rows:
        assert row["doubled.mean"] == pytest.approx(2 * row["brightness.mean"])
        assert row["brightness.count"] == pytest.approx(2 * row["clip.duration_s"], abs=2)
        assert row["start_s"] <= row["brightness.first_s"] < row["start_s"] + 0.5
        assert (row["kept"], row["reasons"], row["unmeasured"]) == (True, [], "")


def test_a_second_run_decodes_nothing_and_gives_the_same_bytes(run, told, tmp_path):
    run(BRIGHTNESS)
    before = (tmp_path / "out" / "scores.parquet").read_bytes()
    run(BRIGHTNESS)
    assert {what for what, *_ in told} == {"deciding"}
    assert (tmp_path / "out" / "scores.parquet").read_bytes() == before


def test_a_new_step_is_all_that_is_done_and_sees_the_same_pictures(run, told, tmp_path):
    run()
    run(BRIGHTNESS)
    late = rows_of(tmp_path / "out" / "scores.parquet")
    assert ("watching", 3, 3) in told
    run(BRIGHTNESS, out=tmp_path / "fresh")
    assert rows_of(tmp_path / "fresh" / "scores.parquet") == late


def test_a_step_that_needs_no_picture_and_a_threshold_decode_nothing(run, told, monkeypatch):
    run(BRIGHTNESS)
    outcome = run(BRIGHTNESS, keep={"duration": Bounds(min=2.7)})
    assert {what for what, *_ in told} == {"deciding"}
    assert outcome.verdicts.kept == 3
    run(BRIGHTNESS, replace(DOUBLED, version=2))
    assert ("watching", 3, 3) in told


def test_other_cuts_are_other_clips(run):
    assert run().verdicts.total == 6
    assert run(steps={"cut": CutSettings(min_s=2.7)}).verdicts.total == 3
    assert run().verdicts.total == 6


def test_films_that_leave_the_recipe_leave_the_result(run, tmp_path):
    films = tmp_path / "films"
    for name in ("a", "b"):
        draw_reel(films / f"{name}.mp4", scenes(ord(name), 1), seconds=[2.5])
    assert run(folder=films).verdicts.total == 2
    (films / "b.mp4").unlink()
    assert run(BRIGHTNESS, folder=films, records=one_record).verdicts.total == 1
    (films / "a.mp4").write_bytes(b"")
    assert run(BRIGHTNESS, folder=films, records=one_record).verdicts is None
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("ledger.sqlite", "quarantine.jsonl", "recipe.json", "run.lock")
    }


def test_a_step_that_hangs_or_fails_costs_its_own_film_alone(run, tmp_path):
    films = tmp_path / "films"
    for name in ("hangs", "fails", "sound"):
        draw_reel(films / f"{name}.mp4", scenes(len(name) + ord(name[0]), 1), seconds=[2.5])
    outcome = run(TROUBLED, folder=films, machine=Machine(limit_s=4.0, frame_limit_s=0.01))
    assert outcome.verdicts.total == 2  # of the film that hangs nothing is known
    reasons = {
        line["step"]: line for line in map(json.loads, (tmp_path / "out/quarantine.jsonl").read_text().splitlines())
    }
    assert "took longer than 4.25 s" in reasons["cut"]["reason"]
    assert reasons["cut"]["subject"].endswith("hangs.mp4")
    assert reasons["troubled"]["reason"] == "cannot be measured"


def test_records_and_shards_hold_the_kept_clips(run, tmp_path):
    outcome = run(BRIGHTNESS, records=one_record, keep={"duration": Bounds(min=2.7)})
    at = Layout(out=tmp_path / "out")
    assert outcome.num_records == 3
    records = JsonLines(at.records)
    assert len(records) == 3
    for number in range(3):
        (medium,) = records.read(number).media
        info = records.find(number, medium).open()
        assert info.duration_s == pytest.approx(3.0, abs=0.11)
        assert (info.width_px, info.height_px) == (320, 240)
    assert len(Shard(at.shards / "00000.tar")) == 3
    run(BRIGHTNESS, records=one_record, keep={"duration": Bounds(max=2.7)})
    assert len(list(at.media.iterdir())) == 3, "clips that are not kept any more are gone"


def test_records_weigh_what_their_clips_do(run, tmp_path):
    def choose(known):
        return {clip.id: Fate(weight=2.5 if clip.end_s - clip.start_s > 2.7 else 1.0) for clip, _ in known}

    run(BRIGHTNESS, records=one_record, choose=choose)
    lengths_s = {row["id"]: row["end_s"] - row["start_s"] for row in rows_of(tmp_path / "out" / "decisions.parquet")}
    found = {one.id: one.weight for one in JsonLines(tmp_path / "out" / "records.jsonl").records()}
    assert found == {name: 2.5 if length_s > 2.7 else 1.0 for name, length_s in lengths_s.items()}
    assert set(found.values()) == {1.0, 2.5}


def test_a_name_that_is_no_text_is_told_and_costs_nobody_else(run, tmp_path):
    films = tmp_path / "films [1] *"
    draw_reel(films / "it's\n.mp4", scenes(1, 1), seconds=[2.5])
    (films / os.fsdecode(b"\xff.mp4")).write_bytes(b"")
    outcome = run(folder=films, out=tmp_path / "out [2] *")
    assert (outcome.verdicts.total, outcome.num_quarantined) == (1, 1)
    assert "rename it" in (tmp_path / "out [2] *" / "quarantine.jsonl").read_text()


def test_two_runs_do_not_meet_and_another_format_is_refused(run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with alone(out), pytest.raises(CurationError, match="another run is at work"):
        run()
    with Ledger(out / "ledger.sqlite") as ledger:
        ledger._base.execute("PRAGMA user_version = 7")
    with pytest.raises(CurationError, match="format 7"):
        run()


def test_videos_that_are_not_there_are_said_before_anything_runs(run, tmp_path):
    with pytest.raises(OptionError, match="gone"):
        run(folder=tmp_path / "gone")
    assert not (tmp_path / "out").exists()
