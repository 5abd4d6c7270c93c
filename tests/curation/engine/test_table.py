"""Decisions follow from stored scores alone: every clip with its reasons, a million clips in a second or two."""

import time
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reels import parts_of, recipe_over

from kangaroo.curation.engine.layout import Layout
from kangaroo.curation.engine.ledger import CurationError, Ledger
from kangaroo.curation.engine.pipeline import Fate
from kangaroo.curation.engine.recipe import Bounds, Of, Rule, bounds_of, read_set
from kangaroo.curation.engine.status import status
from kangaroo.curation.engine.table import conclude, decide, kept_clips, what_if
from kangaroo.errors import OptionError

RULES = (
    Rule(name="text", score="text.coverage", bounds=Bounds(max=0.1)),
    Rule(name="motion", score="motion.speed", bounds=Bounds(min=0.002, max=1.0)),
    Rule(name="open", score="open.value", bounds=Bounds()),
)
DEFAULT = bounds_of(RULES, {}, where="here")


@pytest.fixture
def scores(tmp_path):
    columns = {
        "id": list("abcde"),
        "video": [f"film '{name}'.mp4" for name in "abcde"],
        "start_s": [0.0] * 5,
        "end_s": [3.0] * 5,
        "clip.duration_s": [3.0] * 5,
        "text.coverage": [0.0, 0.1, 0.2, 0.3, None],
        "motion.speed": [0.5, 0.002, 0.5, 0.0, 2.0],
    }
    path = tmp_path / "it's [v2] * scores?.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_every_clip_is_told_all_its_reasons(scores, tmp_path):
    verdicts = decide(scores, tmp_path / "decisions.parquet", RULES, DEFAULT)
    rows = pq.read_table(tmp_path / "decisions.parquet").to_pylist()
    assert {row["id"]: row["reasons"] for row in rows} == {
        "a": [],
        "b": [],
        "c": ["text: 0.2 is above 0.1"],
        "d": ["text: 0.3 is above 0.1", "motion: 0 is below 0.002"],
        "e": ["text: not measured", "motion: 2 is above 1"],
    }
    assert (verdicts.total, verdicts.kept, verdicts.kept_s) == (5, 2, 6.0)
    assert verdicts.dropped == {"text": 3, "motion": 2}
    assert verdicts.alone == {"text": 1, "motion": 0}
    assert verdicts.unmeasured == {"text": 1, "motion": 0}
    assert [clip.id for clip in kept_clips(tmp_path / "decisions.parquet")] == ["a", "b"]


def test_what_if_changes_one_bound_and_writes_nothing(scores, tmp_path):
    before = sorted(tmp_path.iterdir())
    keep = read_set(["text.max=0.25", "motion.min=none"], DEFAULT)
    assert keep["motion"] == Bounds(max=1.0)
    assert what_if(scores, RULES, keep).kept == 3
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("text=1", "form"),
        ("tekst.max=1", "did you mean 'text'"),
        ("text.max=wide", "no number"),
        ("text.most=1", "form"),
    ],
)
def test_what_cannot_be_set_is_refused(text, told):
    with pytest.raises(OptionError, match=told):
        read_set([text], DEFAULT)


def test_nothing_could_be_kept_is_refused():
    with pytest.raises(OptionError, match="min 2 is above max 1"):
        read_set(["motion.min=2"], DEFAULT)


def test_a_score_that_nobody_has_is_no_silent_zero(scores):
    verdicts = what_if(scores, RULES, read_set(["open.max=1"], DEFAULT))
    assert (verdicts.kept, verdicts.unmeasured["open"]) == (0, 5)
    with pytest.raises(CurationError, match="run the recipe first"):
        what_if(scores.with_name("gone.parquet"), RULES, DEFAULT)


def test_a_rule_about_films_says_nothing_of_an_image(scores, tmp_path):
    table = pq.read_table(scores).to_pydict()
    image = {**table, "clip.duration_s": [0.0] + [3.0] * 4, "motion.speed": [None] * 5}
    pq.write_table(pa.table(image), scores)
    rules = tuple(replace(rule, of=Of.FILMS) if rule.name == "motion" else rule for rule in RULES)
    verdicts = decide(scores, tmp_path / "decisions.parquet", rules, DEFAULT)
    rows = pq.read_table(tmp_path / "decisions.parquet").to_pylist()
    assert [row["id"] for row in rows if row["kept"]] == ["a"]
    assert verdicts.unmeasured["motion"] == 4


def test_what_becomes_of_kept_clips_is_added_to_their_reasons(scores, tmp_path):
    path = tmp_path / "decisions.parquet"
    decide(scores, path, RULES, DEFAULT)
    conclude(
        path, {"a": Fate(category="cats", weight=2.0), "b": Fate(category="dogs", weight=0.0, reason="balance: no")}
    )
    rows = {row["id"]: row for row in pq.read_table(path).to_pylist()}
    assert (rows["a"]["kept"], rows["a"]["category"], rows["a"]["weight"]) == (True, "cats", 2.0)
    assert (rows["b"]["kept"], rows["b"]["reasons"]) == (False, ["balance: no"])
    assert (rows["c"]["category"], rows["c"]["weight"], rows["c"]["reasons"]) == ("", 0.0, ["text: 0.2 is above 0.1"])
    assert not list(tmp_path.glob("*.fates*"))


MILLION = 1_000_000


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A run over ten thousand videos with a hundred clips each: two million units."""
    out = tmp_path_factory.mktemp("large")
    recipe = recipe_over(out, out)
    parts = parts_of(recipe)
    names, at = parts.signatures, Layout(out=out)
    with Ledger(at.ledger) as ledger:
        base = ledger._base
        numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {last})"
        for query in (
            "INSERT INTO videos SELECT '/films/' || i, 's' || i, 1, 'v' || i FROM n",
            f"INSERT INTO units SELECT '{names['probe']}', 's' || i, 'done', '{{}}' FROM n",
            f"INSERT INTO units SELECT '{names['cut']}', 'v' || i, 'done', '{{}}' FROM n",
        ):
            into, _, select = query.partition(" SELECT ")
            base.execute(f"{into} {numbers.format(last=9_999)} SELECT {select}")
        many = numbers.format(last=MILLION - 1)
        base.execute(
            f"INSERT INTO clips {many} SELECT '{names['cut']}', 'v' || (i / 100), printf('%08d', i), 0, 3 FROM n"
        )
        told = '{"hashes":[' + ",".join(['"0123456789abcdef"'] * 12) + "]}"
        base.execute(
            f"INSERT INTO units {many} SELECT '{names['fingerprint']}', printf('%08d', i), "
            f"iif(i % 1000, 'done', 'quarantined'), '{told}' FROM n"
        )
        base.commit()
    import duckdb

    duckdb.sql(
        f'COPY (SELECT printf(\'%08d\', i) AS id, 3.0 AS "clip.duration_s", 480.0 AS "probe.short_side_px", '
        f"(i % 10)::DOUBLE AS \"duplicates.rank\" FROM range({MILLION}) r(i)) TO '{at.scores}' (FORMAT parquet)"
    )
    return recipe, parts, at


@pytest.mark.long
def test_a_million_clips_answer_within_two_seconds(large):
    recipe, parts, at = large
    began = time.perf_counter()
    said = status(recipe, parts)
    status_s, began = time.perf_counter() - began, time.perf_counter()
    verdicts = what_if(at.scores, parts.rules, read_set(["duplicates.max=4"], recipe.keep))
    what_if_s = time.perf_counter() - began
    assert "fingerprint 999,000 1,000 0 0" in " ".join(said.split())
    assert "100,000 of 1,000,000 clips are kept (10.0%)" in said
    assert verdicts.kept == MILLION // 2
    assert status_s < 2
    assert what_if_s < 2
    print(f"status {status_s:.2f} s, what-if {what_if_s:.2f} s")
