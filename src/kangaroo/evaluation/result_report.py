"""A benchmark's figures for people: `report.md`, and `report.html` with pictures of what was shown.

Imports without torch.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from kangaroo.chat.pictures import take_pictures
from kangaroo.errors import KangarooError
from kangaroo.evaluation.benchmark import Outcome
from kangaroo.evaluation.dataset import Dataset
from kangaroo.evaluation.json_files import replace_json
from kangaroo.evaluation.published import published
from kangaroo.evaluation.report import machine_line, percent
from kangaroo.evaluation.results import Judged
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

_EXAMPLES_OF_A_KIND, _PICTURES = 3, 4
_LONGEST_SHOWN = 200
_SAID = {
    Outcome.UNREAD: "could not be read and are wrong",
    Outcome.GUESSED: "could not be read: these rules pick at random, which counts as its average",
    Outcome.DROPPED: "are left out, as these rules do",
    Outcome.JUDGED: "were scored by the judge",
    Outcome.UNJUDGED: "need a judge and are left out",
    Outcome.HIDDEN: "have a right answer that is not published",
}
_GRID = "Share right by depth (down) and frames (across)"


class Look(StrEnum):
    """How the page shows a table: one below the other, with shares coloured, or small ones side by side."""

    PLAIN = "plain"
    HEAT = "heat"
    SMALL = "small"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Words in rows."""

    title: str
    head: Sequence[str]
    rows: list[Sequence[str]]
    look: Look = Look.PLAIN


@dataclass(frozen=True, kw_only=True)
class BenchmarkReport:
    """Every figure of a run, and some of its questions.

    Attributes:
        values: What `report.json` holds.
        judged: Every question with its answer.
        pictures: JPEG data URLs for questions shown as examples, by id.
    """

    values: dict[str, Any]
    judged: Sequence[Judged]
    pictures: dict[str, list[str]]

    def write(self, folder: Path, stem: str) -> None:
        """Write `stem.json`, `stem.md` and `stem.html`."""
        replace_json(folder / f"{stem}.json", self.values)
        (folder / f"{stem}.md").write_text(self.markdown(), encoding="utf-8")
        # an answer may hold half of a surrogate pair, which no UTF-8 can spell
        (folder / f"{stem}.html").write_text(self.html(), encoding="utf-8", errors="replace")

    def markdown(self) -> str:
        """Return the report as Markdown."""
        lines = [f"# {_plain(self._title)}", "", *map(_plain, self._outcome())]
        for table in self._tables():
            lines += ["", f"## {table.title}", "", f"| {' | '.join(table.head)} |", "|---" * len(table.head) + "|"]
            lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in table.rows]
        return "\n".join([*lines, "", "## How it was measured", "", *self._manifest()]) + "\n"

    def html(self) -> str:
        """Return the report as one page that needs no other file."""
        import jinja2

        page = jinja2.Environment(
            loader=jinja2.PackageLoader("kangaroo", "evaluation"), autoescape=True, undefined=jinja2.StrictUndefined
        )
        page.filters["rich"] = _rich
        score = self.values["score"]
        return page.get_template("result_page.html.jinja").render(
            title=self._title,
            score=None if score is None else percent(score),
            outcome=self._outcome(),
            tables=sorted(self._tables(), key=lambda one: one.look is Look.SMALL),
            own=self._own,
            examples=[self._example(one) for one in examples(self.judged)],
            manifest=self._manifest(),
            prompt=self.values["prompt"],
        )

    def _example(self, one: Judged) -> dict[str, Any]:
        return {
            "kind": _kind(one),
            "question": one.question,
            "options": list(zip(one.question.letters, one.question.options, strict=True)),
            "output": one.output,
            "parsed": one.verdict.parsed if one.verdict else None,
            "pictures": self.pictures.get(one.question.id, ()),
        }

    @property
    def _title(self) -> str:
        return f"{in_short(self.values['about']['model'])} on {self.values['title']}"

    @property
    def _own(self) -> str:
        return f"{in_short(self.values['about']['model'])} (this run)"

    def _outcome(self) -> list[str]:
        """Say the score, over how many questions it stands, and what became of the others."""
        values, about = self.values, self.values["about"]
        whole = f"{values['number']:,} of {values['questions']:,} questions about {values['films']:,} films"
        if values["score"] is None:
            head = f"No score: {whole} have one."
        else:
            low, high = map(percent, values["interval"])
            how = f"the mean over each {values['mean_over']}" if values["mean_over"] else "all questions alike"
            points = (
                f", {values['score'] * values['points']:.2f} of {values['points']:g} points" if values["points"] else ""
            )
            head = f"**{percent(values['score'])}**{points} (95 % over films: {low} to {high}) over {whole}, {how}."
        lines = [head, f"Asked by the rules {about['rules']}, scored by {values['rules']}. Greedy."]
        if values["unasked"]:
            lines.append(f"**{values['unasked']:,} questions were not asked yet**: the run was cut off, or goes on.")
        if strict := values["strictly"]:
            score = "" if strict["score"] is None else f", and the score is {percent(strict['score'])}"
            lines.append(f"By our strict rules {strict['differ']:,} of these answers count otherwise{score}.")
        if about["shown"] == "nothing":
            lines.append("**The film was not shown**: this is what can be guessed.")
        if judge := values["judge"]:
            unheard = f", {judge['without_reply']:,} prompts without a reply" if judge["without_reply"] else ""
            name = in_short(str(judge["name"]))
            said = f"Judge: {name} ({judge['calls']:,} calls now{unheard}), asked in our own words."
            lines.append(said if judge["name"] else "**Rules only**: no judge was named (`--judge`).")
        shard = about["shard"]
        if shard["of"] > 1:
            lines.append(f"**Only shard {shard['number']} of {shard['of']}**: kangaroo evaluate merge joins them.")
        lines += [
            f"{values['outcomes'][kind]:,} answers {said}." for kind, said in _SAID.items() if values["outcomes"][kind]
        ]
        for blame, said in (("data", "could not be asked and are left out"), ("model", "failed and count as wrong")):
            failed = values["failures"][blame]
            if failed["number"]:
                why = in_short(failed["first"][0]["why"])
                lines.append(f"**{failed['number']:,} questions {said}**, the first: {why}")
        if values["cut_off"]:
            lines.append(f"{values['cut_off']:,} answers were cut off at their longest.")
        return lines

    def _manifest(self) -> list[str]:
        """Say what else a figure depends on."""
        values, about = self.values, self.values["about"]
        fewest, most = values["frames"]
        seen = f" {fewest} to {most} frames were seen." if most else ""
        lines = [f"Frames: `{json.dumps(about['sampler'])}`.{seen} Questions: `{about['questions'][:12]}`."]
        if sessions := values["sessions"]:
            last = sessions[-1]
            number, seconds = (sum(one[name] for one in sessions) for name in ("asked", "seconds"))
            weights = f" Weights: `{last['weights'][:12]}`." if last["weights"] else ""
            picture = f" Pictures of {last['picture_px']} px." if last["picture_px"] else ""
            lines += [
                f"{number:,} questions asked in {seconds:,.0f} s, {last['batch']} at once.{picture}{weights}",
                f"Answers are read by version {values['reading']} of our parsers.",
                machine_line(last["machine"]),
            ]
        return lines

    def _tables(self) -> list[Table]:
        tables: list[Table] = []
        rows: list[Sequence[str]]
        for name, own in self.values["groups"].items():
            rows = [
                (value, f"{one['number']:,}", percent(one["score"]), " to ".join(map(percent, one["interval"])))
                for value, one in own.items()
            ]
            title = name.replace("_", " ")
            tables.append(Table(title=f"By {title}", head=(title, "n", "right", "95 %"), rows=rows, look=Look.SMALL))
        if grid := self.values["grid"]:
            across = list(dict.fromkeys(column for row in grid.values() for column in row))
            cells: list[Sequence[str]] = [
                (down, *(percent(row[one]) if one in row else "-" for one in across)) for down, row in grid.items()
            ]
            tables.append(Table(title=_GRID, head=("", *across), rows=cells, look=Look.HEAT))
        if self.values["right"]:
            given, right = self.values["given"], self.values["right"]
            counts: list[Sequence[str]] = [
                (key, str(given.get(key, 0)), str(right.get(key, 0))) for key in sorted({*given, *right})
            ]
            tables.append(Table(title="Answers", head=("answer", "given", "right"), rows=counts, look=Look.SMALL))
        first = [one for blame in self.values["failures"].values() for one in blame["first"]]
        if first:
            rows = [(one["id"], one["film"], one["why"]) for one in first]
            tables.append(Table(title="Questions without an answer", head=("question", "film", "why"), rows=rows))
        tables = [*self._published(), *tables]
        return [replace(one, rows=[[in_short(cell) for cell in row] for row in one.rows]) for one in tables]

    def _published(self) -> list[Table]:
        table = published(self.values["about"]["benchmark"])
        if table is None:
            return []
        full, places = (100, 1) if self.values["points"] is None else (self.values["points"], 2)
        groups = self.values["groups"].get(table.group, {})
        shares = [self.values if column == "overall" else groups.get(column, {}) for column in table.columns]
        rows: list[Sequence[str]] = [
            (model, *("-" if one is None else f"{one:.{places}f}" for one in row)) for model, row in table.rows.items()
        ]
        own = ("-" if one.get("score") is None else f"{full * one['score']:.{places}f}" for one in shares)
        rows.append((self._own, *own))
        note = f" ({table.note})" if table.note else ""
        title = f"As published by others, and this run{note}"
        return [Table(title=title, head=("model", *table.columns), rows=rows)]


def examples(judged: Sequence[Judged]) -> list[Judged]:
    """Return a few questions of each kind: right, in part, wrong, unread, not part of the score."""
    return [
        one
        for kind in ("right", "in part", "wrong", "unread", "not scored")
        for one in [one for one in judged if one.verdict is not None and _kind(one) == kind][:_EXAMPLES_OF_A_KIND]
    ]


def pictures_of(judged: Sequence[Judged], data: Dataset) -> dict[str, list[str]]:
    """Return a few frames of each example's film; none where they cannot be had any more."""
    found = {}
    for one in examples(judged):
        asked = one.question
        sampler = FrameSampler(num_frames=_PICTURES, start_s=asked.start_s, end_s=asked.end_s)
        try:
            source = VideoSource(data.file(asked.film), folder_fps=asked.folder_fps)
            parts = take_pictures(source, sampler).parts
        except KangarooError:
            continue
        found[asked.id] = [part["image_url"]["url"] for part in parts if "image_url" in part]
    return found


def _kind(one: Judged) -> str:
    if one.score is None or one.verdict is None:
        return "not scored"
    if one.verdict.outcome not in (Outcome.READ, Outcome.JUDGED):
        return "unread"
    return "right" if one.score == 1 else "in part" if one.score else "wrong"


def in_short(text: str) -> str:
    """Return what a data set or a model calls something as one short line that a terminal takes for nothing else."""
    line = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return line if len(line) <= _LONGEST_SHOWN else f"{line[: _LONGEST_SHOWN - 3]}..."


def _plain(line: str) -> str:
    """Return a line in which Markdown finds no tags."""
    return line.replace("<", "\\<")


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _rich(line: str) -> Markup:
    """Return a line's ** and ` as markup, all else escaped."""
    text = str(escape(line))
    for mark, tag in (("**", "b"), ("`", "code")):
        pieces = text.split(mark)
        text = "".join(f"<{tag}>{piece}</{tag}>" if place % 2 else piece for place, piece in enumerate(pieces))
    return Markup(text)
