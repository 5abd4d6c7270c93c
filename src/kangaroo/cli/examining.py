"""`kangaroo evaluate`: examinations on drawn films; the benchmarks are its other verbs."""

from pathlib import Path
from typing import Annotated

import typer

from kangaroo.cli.benchmarking import SUMMARIES, compare, fingerprint, merge, score, verb_of
from kangaroo.cli.options import (
    BatchOption,
    DeviceOption,
    EndpointOption,
    ModelOption,
    QuantizeOption,
    WorkersOption,
    answerer_of,
    check_place,
    pace_of,
)
from kangaroo.cli.watching import answering
from kangaroo.errors import OptionError

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
    from kangaroo.alone import make_folder
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
    check_place(endpoint, device)
    make_folder(out)  # a mistake is told before a model is loaded
    answerer = answerer_of(model, endpoint, device, quantize=quantize)
    with answering() as progress:
        report = run.evaluate_playground(
            answerer,
            out,
            num_questions=questions,
            seed=seed,
            parts=[Part(name) for name in names],
            films=films,
            style=Style(style),
            drawing=Drawing(draw),
            pace=pace_of(answerer, batch, workers),
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
    from kangaroo.alone import make_folder
    from kangaroo.evaluation import needle_report

    check_place(endpoint, device)
    make_folder(out)
    answerer = answerer_of(model, endpoint, device, quantize=quantize)
    pace = pace_of(answerer, batch, workers)
    with answering() as progress:
        report = needle_report.evaluate_needle(
            answerer, out, per_cell=per_cell, seed=seed, pace=pace, progress=progress
        )
    typer.echo(report.markdown())


for _name, _said in SUMMARIES.items():
    evaluate.command(_name, help=_said)(verb_of(_name))

for _verb in (score, merge, compare, fingerprint):
    evaluate.command()(_verb)
