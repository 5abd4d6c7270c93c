"""What a needle run found, as a table and as a heat map: frames across, depth down. Imports without torch."""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kangaroo.chat.answerer import Answerer
from kangaroo.errors import OptionError
from kangaroo.evaluation.asking import Pace, sampler_of
from kangaroo.evaluation.films import Films
from kangaroo.evaluation.json_files import Line
from kangaroo.evaluation.machine import describe_machine
from kangaroo.evaluation.needle import DEPTHS, FRAMES, NEEDLE_INTERVALS, PARTS, cells, make_needle
from kangaroo.evaluation.playground import Part
from kangaroo.evaluation.report import TITLES, machine_line, percent, score_part
from kangaroo.evaluation.run import examine_films
from kangaroo.evaluation.runner import Progress


@dataclass(frozen=True)
class NeedleReport:
    """Every figure of a run.

    Attributes:
        values: What `report.json` holds: `about`, `machine`, `parts` (with `grid`: frames, depth, share right),
            `fewer_frames` and `speed`.
    """

    values: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Write `report.json`, `report.md` and the heat map `needle.png`."""
        text = json.dumps(self.values, ensure_ascii=False, indent=1)
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")
        (folder / "report.md").write_text(self.markdown(), encoding="utf-8")
        draw_grid(self.values, folder / "needle.png")

    def markdown(self) -> str:
        """Return the report as Markdown."""
        about, speed = self.values["about"], self.values["speed"]
        lines = [
            f"# {about['model']} and a needle in a film",
            "",
            f"One odd scene, shown for {NEEDLE_INTERVALS} sampling intervals and so in a frame or two of those taken; "
            f"{about['per_cell']} films for each cell, seed {about['seed']} (`{about['questions'][:12]}`). Its colour "
            "and its place are asked in both languages, in words that training never heard.",
            machine_line(self.values["machine"]),
        ]
        if self.values["fewer_frames"]:
            lines.append(f"**{self.values['fewer_frames']} answers saw fewer frames than their cell says.**")
        if speed["asked"]:
            lines.append(f"{speed['asked']:,} questions asked in {speed['seconds']:.0f} s, {speed['batch']} at once.")
        for part, own in self.values["parts"].items():
            low, high = own["interval_over_films"]
            lines += [
                "",
                f"## {TITLES[Part(part)]}",
                "",
                f"**{percent(own['score'])}** of {own['number']:,} (95 % over films: {percent(low)} to "
                f"{percent(high)}). Unreadable: {own['unparsed']}. "
                + ", ".join(
                    f"{name} {percent(group['score'])}"
                    for name, group in {**own["families"], **own["languages"]}.items()
                )
                + ".",
                "",
                "| depth | " + " | ".join(f"{frames} frames" for frames in FRAMES) + " |",
                "|---|" + "---:|" * len(FRAMES),
                *(
                    f"| {depth:g} | "
                    + " | ".join(percent(own["grid"][str(frames)][f"{depth:g}"]) for frames in FRAMES)
                    + " |"
                    for depth in DEPTHS
                ),
            ]
        return "\n".join(lines) + "\n"


def evaluate_needle(
    answerer: Answerer,
    out: str | Path,
    *,
    per_cell: int = 5,
    seed: int = 0,
    pace: Pace = Pace(),
    progress: Progress | None = None,
) -> NeedleReport:
    """Ask for needles in films of 16 to 160 frames and write `report.json`, `report.md` and `needle.png` into `out`.

    >>> print(evaluate_needle(kangaroo.load("joey"), "runs/needle").markdown())

    Args:
        answerer: Who answers, greedily.
        out: Where answers, reports and films go. What a run with the same questions and model left there is kept.
        per_cell: Films for each of the 30 cells; eight questions are asked about each.
        seed: Of the films.
        pace: How many questions are asked at once, and how many processes draw films.
        progress: Called with the number of answers so far and of all questions.

    Raises:
        OptionError: The answerer takes no 160 frames of any film, matplotlib is missing, or `out` holds another run.
        KangarooError: A question could not be answered; what was answered is kept.
    """
    out, sampler = Path(out), sampler_of(answerer)
    if sampler is None:
        raise OptionError(f"{answerer.name} does not tell which frames it takes; a needle might not be among them")
    _pyplot()  # what is missing is said before the asking
    exam = make_needle(sampler, per_cell=per_cell, seed=seed)
    with Films(out / "films", sampler=sampler, workers=pace.workers) as films:
        about = {"exam": "needle", "per_cell": per_cell, "seed": seed}
        run = examine_films(answerer, out, exam, films, about=about, pace=pace, progress=progress)
    where = cells(per_cell)
    report = NeedleReport(
        {
            "about": run.about,
            "machine": describe_machine(),
            "parts": {str(part): score_needles(part, run.lines, per_cell) for part in PARTS},
            "fewer_frames": sum(one["num_frames"] < where[one["film"]].frames for one in run.lines),
            "speed": run.speed,
        }
    )
    report.write(out)
    return report


def score_needles(part: Part, lines: Sequence[Line], per_cell: int) -> dict[str, Any]:
    """Return every figure of one way of asking, and `grid`: frames, depth, share right, of the cells asked so far."""
    own = [line for line in lines if line["part"] == part]
    scores: dict[tuple[str, str], list[float]] = defaultdict(list)
    where = cells(per_cell)
    for line in own:
        cell = where[line["film"]]
        scores[str(cell.frames), f"{cell.depth:g}"].append(line["score"])
    grid: dict[str, dict[str, float]] = defaultdict(dict)
    for (frames, depth), right in scores.items():
        grid[frames][depth] = sum(right) / len(right)
    return {**score_part(part, own), "grid": dict(grid)}


def draw_grid(values: dict[str, Any], path: Path) -> None:
    """Draw the share right in each cell, a picture for each way of asking; cells not asked yet stay white.

    Raises:
        OptionError: matplotlib is not installed.
    """
    pyplot = _pyplot()
    figure, all_axes = pyplot.subplots(1, len(values["parts"]), figsize=(11, 3.6), layout="constrained", squeeze=False)
    for axes, (part, own) in zip(all_axes[0], values["parts"].items(), strict=True):
        shares = [[own["grid"].get(str(n), {}).get(f"{depth:g}", math.nan) for n in FRAMES] for depth in DEPTHS]
        image = axes.imshow(shares, vmin=0, vmax=1, cmap="RdYlGn", aspect="auto")
        for row, line in enumerate(shares):
            for column, share in enumerate(line):
                if not math.isnan(share):
                    axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=9)
        axes.set_xticks(range(len(FRAMES)), FRAMES)
        axes.set_yticks(range(len(DEPTHS)), [f"{depth:g}" for depth in DEPTHS])
        title = "four options" if part == Part.LETTERED else "free answers"
        axes.set(xlabel="frames", ylabel="depth of the needle", title=f"{title}: {percent(own['score'])} found")
    figure.colorbar(image, ax=all_axes[0], label="share right")
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _pyplot() -> Any:
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        raise OptionError("the heat map needs matplotlib: pip install 'kangaroo-video[evaluate]'") from None
    return pyplot
