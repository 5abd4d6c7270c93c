"""`kangaroo evaluate`: examinations of what a model can do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kangaroo.cli.options import DeviceOption, EndpointOption, ModelOption, QuantizeOption, answerer_of
from kangaroo.errors import OptionError

if TYPE_CHECKING:
    from kangaroo.chat.local import LocalAnswerer
    from kangaroo.chat.remote import RemoteAnswerer
    from kangaroo.evaluation.asking import Pace

BatchOption = Annotated[int | None, typer.Option(help="Questions asked at once; 64 on a GPU, else 1, each timed.")]
WorkersOption = Annotated[int | None, typer.Option(help="Processes that draw films ahead; the cores but two.")]

evaluate = typer.Typer(help="Measure what a model can do.", no_args_is_help=True)


@evaluate.command("playground")
def evaluate_playground(
    out: Annotated[Path, typer.Option(help="Where answers and reports go; a run that was cut off goes on.")],
    model: ModelOption = None,
    endpoint: EndpointOption = None,
    questions: Annotated[int, typer.Option(help="Lettered questions, a multiple of 20.")] = 2000,
    seed: Annotated[int, typer.Option(help="Another seed gives other films.")] = 0,
    parts: Annotated[str, typer.Option(help="Ways of asking, with commas.")] = "lettered,no_film,open,yes_no,describe",
    films: Annotated[Path | None, typer.Option(help="Where drawn films are kept; OUT/films by default.")] = None,
    style: Annotated[str, typer.Option(help="Who drew the sprites: fluent, or noto, never trained on.")] = "fluent",
    draw: Annotated[str, typer.Option(help="whole films, or only the frames seen: a tenth of the work.")] = "whole",
    batch: BatchOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    quantize: QuantizeOption = "none",
) -> None:
    """Ask a model about drawn films whose content is known."""
    from kangaroo.evaluation import run
    from kangaroo.evaluation.films import Drawing
    from kangaroo.evaluation.playground import Part
    from kangaroo.playground.vocabulary import Style

    for name, value, known in (("style", style, Style), ("draw", draw, Drawing)):
        if value not in list(known):
            raise OptionError(f"--{name} is {value!r}; choose one of {', '.join(known)}")
    names = [name.strip() for name in parts.split(",")]
    if unknown := [name for name in names if name not in list(Part)]:
        raise OptionError(f"no part is called {unknown[0]!r}; choose among {', '.join(Part)}")
    answerer = answerer_of(model, endpoint, device, quantize=quantize)
    with _answering() as progress:
        report = run.evaluate_playground(
            answerer,
            out,
            num_questions=questions,
            seed=seed,
            parts=[Part(name) for name in names],
            films=films,
            style=Style(style),
            drawing=Drawing(draw),
            pace=_pace(answerer, batch, workers),
            progress=progress,
        )
    typer.echo(report.markdown())


@evaluate.command("needle")
def evaluate_needle(
    out: Annotated[Path, typer.Option(help="Where answers and reports go; a run that was cut off goes on.")],
    model: ModelOption = None,
    endpoint: EndpointOption = None,
    per_cell: Annotated[int, typer.Option(help="Films for each of the 30 cells, asked eight questions each.")] = 5,
    seed: Annotated[int, typer.Option(help="Another seed gives other films.")] = 0,
    batch: BatchOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    quantize: QuantizeOption = "none",
) -> None:
    """Ask for one odd scene hidden in films of 16 to 160 frames."""
    from kangaroo.evaluation import needle_report

    answerer = answerer_of(model, endpoint, device, quantize=quantize)
    pace = _pace(answerer, batch, workers)
    with _answering() as progress:
        report = needle_report.evaluate_needle(
            answerer, out, per_cell=per_cell, seed=seed, pace=pace, progress=progress
        )
    typer.echo(report.markdown())


@contextmanager
def _answering() -> Iterator[Callable[[int, int], None]]:
    """Show a bar that counts answers while the block runs."""
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("answering", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _pace(answerer: "LocalAnswerer | RemoteAnswerer", batch: int | None, workers: int | None) -> "Pace":
    """Return the pace asked for; by default many questions at once on a GPU, and films drawn by all cores but two."""
    from kangaroo.evaluation.asking import Pace
    from kangaroo.evaluation.machine import num_cores

    model = getattr(answerer, "model", None)
    on_gpu = getattr(getattr(model, "device", None), "type", None) == "cuda"
    return Pace(
        batch=(64 if on_gpu else 1) if batch is None else batch,
        workers=max(0, num_cores() - 2) if workers is None else workers,
    )
