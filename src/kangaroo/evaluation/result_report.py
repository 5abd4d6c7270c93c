"""A benchmark's figures for people: `report.md`, and `report.html` with pictures of what was shown.

Imports without torch.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from kangaroo.chat.pictures import take_pictures
from kangaroo.errors import KangarooError
from kangaroo.evaluation.benchmark import Outcome
from kangaroo.evaluation.dataset import Dataset
from kangaroo.evaluation.published import published
from kangaroo.evaluation.report import machine_line, percent
from kangaroo.evaluation.results import Judged
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

_EXAMPLES_OF_A_KIND, _PICTURES = 3, 4
_SAID = {
    Outcome.UNREAD: "could not be read and are wrong",
    Outcome.GUESSED: "could not be read: these rules pick at random, which counts as its average",
    Outcome.DROPPED: "are left out, as these rules do",
    Outcome.JUDGED: "were scored by the judge",
    Outcome.UNJUDGED: "need a judge and are left out",
    Outcome.HIDDEN: "have a right answer that is not published",
}
GRID = "Share right by depth (down) and frames (across)"
Table = tuple[str, Sequence[str], list[Sequence[str]]]
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.2rem .6rem;text-align:left}"
    "figure{margin:1.5rem 0}img{width:24%;margin-right:.5%}pre{white-space:pre-wrap;background:#f4f4f4;padding:.6rem}"
)


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
        text = json.dumps(self.values, ensure_ascii=False, indent=1)
        (folder / f"{stem}.json").write_text(text + "\n", encoding="utf-8")
        (folder / f"{stem}.md").write_text(self.markdown(), encoding="utf-8")
        (folder / f"{stem}.html").write_text(self.html(), encoding="utf-8")

    def markdown(self) -> str:
        """Return the report as Markdown."""
        lines = [f"# {self._title}", "", *self._facts()]
        for title, head, rows in self._tables():
            lines += ["", f"## {title}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
            lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
        return "\n".join(lines) + "\n"

    def html(self) -> str:
        """Return the report as one page that needs no other file."""
        body = [f"<h1>{escape(self._title)}</h1>", *(f"<p>{_bold(line)}</p>" for line in self._facts())]
        for title, head, rows in self._tables():
            body.append(f"<h2>{escape(title)}</h2><table><tr>{_cells('th', head)}</tr>")
            body += [f"<tr>{_cells('td', row, shaded=title == GRID)}</tr>" for row in rows]
            body.append("</table>")
        body.append("<h2>Examples</h2>")
        for one in examples(self.judged):
            images = "".join(f'<img src="{escape(url)}" alt="">' for url in self.pictures.get(one.question.id, ()))
            options = "".join(f"\n{a}. {b}" for a, b in zip(one.question.letters, one.question.options, strict=True))
            parsed = one.verdict.parsed if one.verdict else None
            told = f"{_kind(one)}: answered {one.output!r}, read as {parsed}, right is {one.question.answer}"
            body.append(f"<figure>{images}<pre>{escape(one.question.question + options)}</pre>{escape(told)}</figure>")
        head = f'<meta charset="utf-8"><title>{escape(self._title)}</title><style>{_STYLE}</style>'
        return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'

    @property
    def _title(self) -> str:
        return f"{self.values['about']['model']} on {self.values['title']}"

    def _facts(self) -> list[str]:
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
        shard = about["shard"]
        lines = [head, f"Asked by the rules {about['rules']}, scored by {values['rules']}. Greedy."]
        if about["shown"] == "nothing":
            lines.append("**The film was not shown**: this is what can be guessed.")
        if judge := values["judge"]:
            unheard = f", {judge['without_reply']:,} prompts without a reply" if judge["without_reply"] else ""
            said = f"Judge: {judge['name']} ({judge['calls']:,} calls now{unheard}), asked in our own words."
            lines.append(said if judge["name"] else "**Rules only**: no judge was named (`--judge`).")
        if shard["of"] > 1:
            lines.append(f"**Only shard {shard['number']} of {shard['of']}**: kangaroo evaluate merge joins them.")
        lines += [
            f"{values['outcomes'][kind]:,} answers {said}." for kind, said in _SAID.items() if values["outcomes"][kind]
        ]
        for blame, said in (("data", "could not be asked and are left out"), ("model", "failed and count as wrong")):
            failed = values["failures"][blame]
            if failed["number"]:
                lines.append(f"**{failed['number']:,} questions {said}**, the first: {failed['first'][0]['why']}")
        if values["cut_off"]:
            lines.append(f"{values['cut_off']:,} answers were cut off at their longest.")
        fewest, most = values["frames"]
        seen = f" {fewest} to {most} frames were seen." if most else ""
        lines.append(f"Frames: {json.dumps(about['sampler'])}.{seen} Questions: `{about['questions'][:12]}`.")
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
            tables.append((name.replace("_", " "), (name.replace("_", " "), "n", "right", "95 %"), rows))
        if grid := self.values["grid"]:
            across = list(dict.fromkeys(column for row in grid.values() for column in row))
            cells: list[Sequence[str]] = [
                (down, *(percent(row[one]) if one in row else "-" for one in across)) for down, row in grid.items()
            ]
            tables.append((GRID, ("", *across), cells))
        if self.values["right"]:
            given, right = self.values["given"], self.values["right"]
            counts: list[Sequence[str]] = [
                (key, str(given.get(key, 0)), str(right.get(key, 0))) for key in sorted({*given, *right})
            ]
            tables.append(("Answers", ("answer", "given", "right"), counts))
        first = [one for blame in self.values["failures"].values() for one in blame["first"]]
        if first:
            rows = [(one["id"], one["film"], one["why"]) for one in first]
            tables.append(("Questions without an answer", ("question", "film", "why"), rows))
        return [*tables, *self._published()]

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
        rows.append((f"{self.values['about']['model']} (this run)", *own))
        note = f" ({table.note})" if table.note else ""
        return [(f"As published by others, and this run{note}", ("model", *table.columns), rows)]


def examples(judged: Sequence[Judged]) -> list[Judged]:
    """Return a few questions of each kind: right, wrong, unread, without an answer."""
    return [
        one
        for kind in ("right", "wrong", "unread", "not scored")
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
    if one.verdict.outcome is not Outcome.READ:
        return "unread"
    return "right" if one.score == 1 else "wrong"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _cells(tag: str, texts: Sequence[str], *, shaded: bool = False) -> str:
    return "".join(f"<{tag}{_shade(text) if shaded else ''}>{escape(text)}</{tag}>" for text in texts)


def _shade(text: str) -> str:
    """Return the colour of a heat map's cell: red for none right, green for all."""
    return f' style="background:hsl({1.2 * float(text[:-2]):.0f} 65% 70%)"' if text.endswith(" %") else ""


def _bold(line: str) -> str:
    pieces = escape(line).split("**")
    return "".join(f"<b>{piece}</b>" if place % 2 else piece for place, piece in enumerate(pieces))
