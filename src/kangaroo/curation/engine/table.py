"""Scores in one Parquet table, a row for each clip, and decisions over them by DuckDB: no film, no model.

Columns are `step.field`, as far as a field is a number, a truth (1 or 0) or a text. Rows stand in the order of ids.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from kangaroo.curation.clip import Clip
from kangaroo.curation.engine.ledger import CurationError, Ledger, State
from kangaroo.curation.engine.pipeline import Fate
from kangaroo.curation.engine.recipe import Bounds, Of, Rule
from kangaroo.curation.engine.step import Step
from kangaroo.data.write import whole

_ROWS = 20_000  # held in memory at a time
_FIXED = ("id", "video", "content", "start_s", "end_s", "clip.duration_s", "unmeasured")


def write_scores(
    ledger: Ledger,
    path: Path,
    *,
    cut: str,
    probed: str,
    steps: Iterable[Step],
    signatures: Mapping[str, str],
    beside: Mapping[str, Mapping[str, Any]],
) -> int:
    """Write the scores of all clips, and return how many clips there are.

    Args:
        ledger: Holds them.
        path: Of the table.
        cut: Signature of the step that made the clips.
        probed: Signature of the step that looked at the files.
        steps: Whose results become columns.
        signatures: Of these steps.
        beside: Further columns by clip, which no step on a single clip can know.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = path.with_suffix(".parts")
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(parents=True)
    rows = _rows(ledger, cut=cut, probed=probed, steps=[step.name for step in steps], signatures=signatures)
    count = 0
    while batch := list(islice(rows, _ROWS)):
        for row in batch:
            row.update(beside.get(row["id"], {}))
        names = sorted({name for row in batch for name in row} - set(_FIXED))
        columns = {name: [row.get(name) for row in batch] for name in (*_FIXED, *names)}
        pq.write_table(pa.table(columns), parts / f"{count:012}.parquet")
        count += len(batch)
    if count:
        _copy(f"SELECT * FROM read_parquet({_table(parts, '/*.parquet')}, union_by_name = true) ORDER BY id", path)
    else:
        path.unlink(missing_ok=True)
    shutil.rmtree(parts)
    return count


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What rules make of all clips.

    Attributes:
        total: Clips.
        kept: Clips that no rule drops.
        total_s: Seconds of all clips.
        kept_s: Seconds of the kept ones.
        dropped: By rule, clips that it drops.
        alone: Of these, the clips that no other rule drops.
        unmeasured: Of these, the clips that have no score.
    """

    total: int
    kept: int
    total_s: float
    kept_s: float
    dropped: Mapping[str, int]
    alone: Mapping[str, int]
    unmeasured: Mapping[str, int]


def decide(scores: Path, decisions: Path, rules: tuple[Rule, ...], keep: Mapping[str, Bounds]) -> Verdicts:
    """Write every clip's scores with `kept` and `reasons`, and return the sums."""
    used = _used(scores, rules, keep)
    judged = f"SELECT *, {_reasons(used, keep)} AS reasons FROM {_scored(scores, used)}"
    _copy(f"SELECT *, len(reasons) = 0 AS kept FROM ({judged}) ORDER BY id", decisions)
    return what_if(scores, rules, keep)


def what_if(scores: Path, rules: tuple[Rule, ...], keep: Mapping[str, Bounds]) -> Verdicts:
    """Return what rules would make of all clips, from the scores alone.

    Raises:
        CurationError: There are no scores yet.
    """
    used = _used(scores, rules, keep)
    flags = ", ".join([f"coalesce({_broken(one, keep[one.name])}, true) AS f{at}" for at, one in enumerate(used)])
    blanks = ", ".join([f"{_unmeasured(one)} AS n{at}" for at, one in enumerate(used)])
    num = " + ".join(["0", *(f"f{at}::INTEGER" for at in range(len(used)))])
    sums = [
        f"count(*) FILTER (f{at}), count(*) FILTER (f{at} AND num = 1), count(*) FILTER (n{at})"
        for at in range(len(used))
    ]
    columns = ", ".join(filter(None, ['"clip.duration_s" AS s', flags, blanks]))
    totals = "count(*), count(*) FILTER (num = 0), coalesce(sum(s), 0), coalesce(sum(s) FILTER (num = 0), 0)"
    ((total, kept, total_s, kept_s, *counts),) = _sql(
        f"SELECT {', '.join([totals, *sums])} FROM (SELECT *, {num} AS num FROM "
        f"(SELECT {columns} FROM {_scored(scores, used)}))"
    )
    names = [rule.name for rule in used]
    return Verdicts(
        total=total,
        kept=kept,
        total_s=float(total_s),
        kept_s=float(kept_s),
        dropped=dict(zip(names, counts[::3], strict=True)),
        alone=dict(zip(names, counts[1::3], strict=True)),
        unmeasured=dict(zip(names, counts[2::3], strict=True)),
    )


def conclude(decisions: Path, fates: Mapping[str, Fate]) -> None:
    """Add to every decision the category and weight of the clip, and to the reasons why a kept one goes after all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ids = sorted(fates)
    columns = {
        "id": pa.array(ids, pa.string()),
        "category": pa.array([fates[one].category for one in ids], pa.string()),
        "weight": pa.array([fates[one].weight for one in ids], pa.float64()),
        "fate": pa.array([fates[one].reason for one in ids], pa.string()),
    }
    beside = decisions.with_suffix(".fates.parquet")
    try:
        pq.write_table(pa.table(columns), beside)
        _copy(
            "SELECT judged.* EXCLUDE (kept, reasons), coalesce(category, '') AS category, "
            "coalesce(weight, 0.0) AS weight, "
            "if(coalesce(fate, '') = '', reasons, list_append(reasons, fate)) AS reasons, "
            f"kept AND coalesce(fate, '') = '' AS kept FROM {_table(decisions)} AS judged "
            f"LEFT JOIN {_table(beside)} AS fates ON judged.id = fates.id ORDER BY judged.id",
            decisions,
        )
    finally:
        beside.unlink(missing_ok=True)


def kept_clips(decisions: Path) -> Iterator[Clip]:
    """Yield the clips that were kept, in the order of ids."""
    import duckdb

    query = f"SELECT id, video, start_s, end_s FROM {_table(decisions)} WHERE kept ORDER BY id"
    with duckdb.connect() as base:
        rows = base.execute(query)
        while batch := rows.fetchmany(_ROWS):
            for name, video, start_s, end_s in batch:
                yield Clip(id=name, video=Path(video), start_s=start_s, end_s=end_s)


def _rows(
    ledger: Ledger, *, cut: str, probed: str, steps: list[str], signatures: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Join clips with their results; both come in the order of ids, so nothing is held."""
    results = {name: ledger.results(signatures[name]) for name in steps}
    heads = {name: next(found, None) for name, found in results.items()}
    for clip, content, told in ledger.clips(cut=cut, probed=probed):
        row: dict[str, Any] = {
            "id": clip.id,
            "video": str(clip.video),
            "content": content,
            "start_s": clip.start_s,
            "end_s": clip.end_s,
            "clip.duration_s": clip.end_s - clip.start_s,
            **_probed(told),
        }
        unmeasured = []
        for name in steps:
            head = heads[name]
            while head is not None and head[0] < clip.id:  # of a video that is not listed any more
                head = next(results[name], None)
            heads[name] = head
            if head is None or head[0] != clip.id or head[1].state is not State.DONE:
                unmeasured.append(name)
            else:
                row.update(_flat(name, json.loads(head[1].told)))
        yield {**row, "unmeasured": ",".join(unmeasured)}


@lru_cache(maxsize=1024)
def _probed(told: str) -> dict[str, Any]:
    """Return what the probe of a file found, as columns, which many clips share."""
    probed = json.loads(told)
    del probed["content"]
    return {**_flat("probe", probed), "probe.short_side_px": float(min(probed["width_px"], probed["height_px"]))}


def _flat(name: str, result: Any) -> dict[str, Any]:
    values = result if isinstance(result, dict) else {"value": result}
    columns: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            columns |= _flat(f"{name}.{key}", value)
        elif isinstance(value, bool | int | float):
            columns[f"{name}.{key}"] = float(value)
        elif isinstance(value, str):
            columns[f"{name}.{key}"] = value
    return columns


def _used(scores: Path, rules: tuple[Rule, ...], keep: Mapping[str, Bounds]) -> list[Rule]:
    """Return the rules that bound something."""
    if not scores.exists():
        raise CurationError(f"{scores}: there are no scores yet; run the recipe first")
    return [rule for rule in rules if keep[rule.name] != Bounds()]


def _scored(scores: Path, used: list[Rule]) -> str:
    """Return the scores, with blanks for those that no clip has."""
    columns = {name for name, *_ in _sql(f"DESCRIBE SELECT * FROM {_table(scores)}")}
    blanks = [f"NULL::DOUBLE AS {_name(rule.score)}" for rule in used if rule.score not in columns]
    return f"(SELECT {', '.join(['*', *dict.fromkeys(blanks)])} FROM {_table(scores)})"


def _broken(rule: Rule, bounds: Bounds) -> str:
    low = [] if bounds.min is None else [f"{_name(rule.score)} < {bounds.min!r}"]
    high = [] if bounds.max is None else [f"{_name(rule.score)} > {bounds.max!r}"]
    broken = f"({' OR '.join(low + high)})"
    return f'("clip.duration_s" > 0 AND coalesce({broken}, true))' if rule.of is Of.FILMS else broken


def _unmeasured(rule: Rule) -> str:
    blank = f"{_name(rule.score)} IS NULL"
    return f'("clip.duration_s" > 0 AND {blank})' if rule.of is Of.FILMS else blank


def _reasons(used: list[Rule], keep: Mapping[str, Bounds]) -> str:
    """Return an expression for the list of what is wrong with a clip, in words."""
    cases = []
    for rule in used:
        score, bounds = _name(rule.score), keep[rule.name]
        skip = 'WHEN "clip.duration_s" = 0 THEN NULL ' if rule.of is Of.FILMS else ""
        case = f"CASE {skip}WHEN {score} IS NULL THEN '{rule.name}: not measured'"
        if bounds.min is not None:
            case += f" WHEN {score} < {bounds.min!r} THEN printf('{rule.name}: %.4g is below {bounds.min:g}', {score})"
        if bounds.max is not None:
            case += f" WHEN {score} > {bounds.max!r} THEN printf('{rule.name}: %.4g is above {bounds.max:g}', {score})"
        cases.append(case + " END")
    return f"list_filter([{', '.join([*cases, 'NULL::VARCHAR'])}], lambda reason: reason IS NOT NULL)"


def query(sql: str, decisions: Path) -> list[tuple[Any, ...]]:
    """Return what a question says to a table of clips, which it calls `decisions`."""
    return _sql(f"CREATE VIEW decisions AS FROM {_table(decisions)}; {sql}")


def _sql(query: str) -> list[tuple[Any, ...]]:
    import duckdb

    try:
        with duckdb.connect() as base:
            return base.execute(query).fetchall()
    except duckdb.IOException as error:
        raise CurationError(
            f"{str(error).splitlines()[0]}; make room or mend it, and the same command goes on"
        ) from None


def _copy(query: str, path: Path) -> None:
    with whole(path) as unfinished:
        _sql(f"COPY ({query}) TO {_quoted(str(unfinished))} (FORMAT parquet)")


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _table(path: Path, files: str = "") -> str:
    """Return a path as DuckDB reads it: a name that looks like a pattern is none."""
    return _quoted(re.sub(r"([*?\[])", r"[\1]", str(path)) + files)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
