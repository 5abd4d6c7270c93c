"""joey on the playground, families by languages by frames, and the map of its needles: docs/results.md from two runs.

    kangaroo evaluate playground --out out/playground --parts lettered,no_film --draw seen
    kangaroo evaluate needle --out out/needle
    python benchmarks/playground_table.py out/playground out/needle

Beside each row stands what the same questions give without the film, so that nobody mistakes guessing for seeing.
"""

import argparse
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from kangaroo.evaluation.needle import PARTS as NEEDLE_PARTS
from kangaroo.evaluation.needle import cells
from kangaroo.evaluation.needle_report import draw_grid, score_needles
from kangaroo.evaluation.playground import Part
from kangaroo.evaluation.report import TITLES, frames_group, percent
from kangaroo.evaluation.runner import ABOUT, ANSWERS, read_about, read_answers
from kangaroo.evaluation.score import share
from kangaroo.playground.questions import CHOICE_FAMILIES
from kangaroo.playground.vocabulary import Language

Line = dict[str, Any]
NAMES = {Language.EN: "English", Language.ZH: "Chinese"}


def table(lines: list[Line]) -> list[str]:
    """Return the table's rows: one for each family in each language, then sums."""
    shown = [line for line in lines if line["part"] == Part.LETTERED]
    blind = [line for line in lines if line["part"] == Part.NO_FILM]
    columns = sorted({frames_group(line["num_frames"]) for line in shown})
    rows = [
        "| family | | " + " | ".join(columns) + " | all | 95 % | without the film |",
        "|---|---|" + "---:|" * (len(columns) + 1) + "---|---:|",
    ]

    def row(name: str, language: str, holds: Callable[[Line], bool]) -> str:
        own = [line for line in shown if holds(line)]
        cells = [_cell([line for line in own if frames_group(line["num_frames"]) == column]) for column in columns]
        cells += [_cell(own), _interval(own), _cell([line for line in blind if holds(line)])]
        return f"| {name} | {language} | " + " | ".join(cells) + " |"

    def is_of(**wanted: str) -> Callable[[Line], bool]:
        return lambda line: all(line[name] == value for name, value in wanted.items())

    for family, language in product(CHOICE_FAMILIES, Language):
        rows.append(row(family, NAMES[language], is_of(family=family, language=language)))
    for language in Language:
        rows.append(row("**all**", NAMES[language], is_of(language=language)))
    return [*rows, row("**all**", "**both**", lambda _: True)]


def _cell(lines: list[Line]) -> str:
    return f"{sum(line['score'] for line in lines):.0f}/{len(lines)}" if lines else ""


def _interval(lines: list[Line]) -> str:
    if not lines:
        return ""
    low, high = share([line["score"] for line in lines], [line["film"] for line in lines])["interval"]
    return f"{percent(low)} to {percent(high)}"


def page(run: Path, needle: Path | None) -> str:
    """Return the page as Markdown."""
    about, lines = read_about(run), read_answers(run / ANSWERS)
    shown = [line for line in lines if line["part"] == Part.LETTERED]
    blind = [line for line in lines if line["part"] == Part.NO_FILM]
    both = [
        (name, share([one["score"] for one in own], [one["film"] for one in own]))
        for name, own in (("with the film", shown), ("without it", blind))
        if own
    ]
    said = "; ".join(
        f"{name} **{percent(one['score'])}** of {one['number']:,} "
        f"({percent(one['interval'][0])} to {percent(one['interval'][1])})"
        for name, one in both
    )
    command = f"make results QUESTIONS={about['num_questions']}"
    if needle is not None:
        command += f" PER_CELL={read_about(needle)['per_cell']}"
    written = [
        f"# {about['model']} on the playground",
        "",
        f"`{command}` writes this page. Four options, chance 25 %: {said}. Seed {about['seed']}, "
        f"{len({line['film'] for line in shown})} films; look-and-action pairs and wordings that training never saw; "
        "each question in both languages; what cannot be read is wrong. Cells: right/asked; intervals over films.",
        "",
        *table(lines),
    ]
    if needle is not None:
        per_cell, lines = read_about(needle)["per_cell"], read_answers(needle / ANSWERS)
        found = [(part, score_needles(part, lines, per_cell)) for part in NEEDLE_PARTS]
        said = "; ".join(
            f"{TITLES[part].partition(',')[0].lower()} **{percent(own['score'])}** of {own['number']} "
            f"({percent(own['interval_over_films'][0])} to {percent(own['interval_over_films'][1])})"
            for part, own in found
        )
        written += [
            "",
            "## A needle in a film",
            "",
            f"One odd scene shown for two sampling intervals; {len({line['film'] for line in lines})} of "
            f"{len(cells(per_cell))} films were asked, four questions each way: {said}.",
            "",
            "![Share of needles found, by frames and depth](pictures/needle.png)",
        ]
    return "\n".join(written) + "\n"


def draw_needles(run: Path, path: Path) -> None:
    """Draw the heat map of a needle run, also of one that was cut off."""
    per_cell, lines = read_about(run)["per_cell"], read_answers(run / ANSWERS)
    draw_grid({"parts": {part: score_needles(part, lines, per_cell) for part in NEEDLE_PARTS}}, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help=f"a folder with {ABOUT} and {ANSWERS} of evaluate playground")
    parser.add_argument("needle", type=Path, nargs="?", help="that of evaluate needle")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs")
    given = parser.parse_args()
    (given.out / "pictures").mkdir(parents=True, exist_ok=True)
    (given.out / "results.md").write_text(page(given.run, given.needle), encoding="utf-8")
    if given.needle is not None:
        draw_needles(given.needle, given.out / "pictures" / "needle.png")
