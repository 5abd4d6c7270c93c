"""`kangaroo evaluate`: one function per verb, and one for all benchmarks. Heavy imports wait inside them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kangaroo.cli_models import DeviceOption, EndpointOption, ModelOption, answerer_of
from kangaroo.errors import OptionError

if TYPE_CHECKING:
    from kangaroo.chat.local import LocalAnswerer
    from kangaroo.chat.remote import RemoteAnswerer
    from kangaroo.evaluation.asking import Pace
    from kangaroo.evaluation.benchmark import Rules

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
    answerer = answerer_of(model, endpoint, device)
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
) -> None:
    """Ask for one odd scene hidden in films of 16 to 160 frames."""
    from kangaroo.evaluation import needle_report

    answerer = answerer_of(model, endpoint, device)
    pace = _pace(answerer, batch, workers)
    with _answering() as progress:
        report = needle_report.evaluate_needle(
            answerer, out, per_cell=per_cell, seed=seed, pace=pace, progress=progress
        )
    typer.echo(report.markdown())


@contextmanager
def _answering() -> Iterator[Callable[[int, int], None]]:
    """Show a bar that counts answers while the block runs."""
    with _scoring() as watch:
        yield lambda done, total: watch(done, total, "")


@contextmanager
def _scoring() -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar that counts answers and tells the score so far."""
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("answering", total=None)
        yield lambda done, total, said: bar.update(
            task, completed=done, total=total, description=f"answering {said}".strip()
        )


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


_BENCHMARKS = {
    "video-mme": "2,700 questions about films of 11 s to an hour.",
    "video-mme-subtitles": "The same, with what is said.",
    "mvbench": "20 tasks of 200 questions about short clips.",
    "egoschema": "500 questions about clips of three minutes.",
    "egoschema-full": "All 5,031, to be submitted.",
    "tempcompass": "What only time tells, asked in four ways.",
    "mlvu": "Seven tasks with options about long films.",
    "longvideobench": "What was seen or said at some moment.",
    "longvideobench-test": "Its test split, to be submitted.",
    "lvbench": "1,549 questions about films of an hour.",
    "seed-bench-video": "Actions recognised, foreseen and put in order.",
}
RulesOption = Annotated[str, typer.Option(help="strict (ours), lmms-eval or vlmevalkit.")]


def _add_benchmark(name: str, said: str) -> None:
    """Make a verb of a benchmark; all take the same options."""

    @evaluate.command(name, help=said)
    def measure(
        data: Annotated[
            Path, typer.Option(help="The data set as its authors publish it; zip archives may stay packed.")
        ],
        out: Annotated[Path, typer.Option(help="Where answers and reports go; a run that was cut off goes on.")],
        model: ModelOption = None,
        endpoint: EndpointOption = None,
        rules: RulesOption = "strict",
        limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many questions.")] = None,
        shard: Annotated[str, typer.Option(help="2/8 asks the second of eight parts; merge joins them.")] = "1/1",
        batch: BatchOption = None,
        device: DeviceOption = None,
    ) -> None:
        import logging

        from kangaroo.evaluation.benchmark import Rules
        from kangaroo.evaluation.measure import Shard, evaluate_benchmark
        from kangaroo.evaluation.table import BENCHMARKS

        logging.basicConfig(level=logging.WARNING, format="%(message)s")
        wanted, part = _rules(rules, Rules), Shard.parse(shard)
        answerer = answerer_of(model, endpoint, device)
        with _scoring() as watch:
            report = evaluate_benchmark(
                answerer,
                BENCHMARKS[name],
                data,
                out,
                rules=wanted,
                limit=limit,
                shard=part,
                pace=_pace(answerer, batch, 0),
                watch=watch,
            )
        typer.echo(report.markdown())


for _name, _said in _BENCHMARKS.items():
    _add_benchmark(_name, _said)


@evaluate.command("score")
def score(
    run: Annotated[Path, typer.Argument(help="The folder of a benchmark's run.")], rules: RulesOption = "strict"
) -> None:
    """Score a benchmark's answers again under other rules; no model is asked."""
    from kangaroo.evaluation.benchmark import Rules
    from kangaroo.evaluation.runs import rescore
    from kangaroo.evaluation.table import BENCHMARKS

    typer.echo(rescore(BENCHMARKS, run, _rules(rules, Rules)).markdown())


@evaluate.command("merge")
def merge(
    runs: Annotated[list[Path], typer.Argument(help="The folders of all shards.")],
    out: Annotated[Path, typer.Option(help="Where the whole run goes.")],
) -> None:
    """Join the shards of one run."""
    from kangaroo.evaluation.runs import merge as merge_runs
    from kangaroo.evaluation.table import BENCHMARKS

    typer.echo(merge_runs(BENCHMARKS, runs, out).markdown())


@evaluate.command("compare")
def compare(
    first: Annotated[Path, typer.Argument(help="The folder of one run.")],
    second: Annotated[Path, typer.Argument(help="The folder of another of the same benchmark.")],
    rules: RulesOption = "strict",
) -> None:
    """Say by how much the SECOND run is better than the FIRST, on the questions that both answered."""
    from kangaroo.evaluation.benchmark import Rules
    from kangaroo.evaluation.runs import compare as compare_runs
    from kangaroo.evaluation.table import BENCHMARKS

    found = compare_runs(BENCHMARKS, first, second, _rules(rules, Rules))
    (before, after), (low, high) = found["scores"], found["interval"]
    names = [f"{model} ({folder})" for model, folder in zip(found["models"], (first, second), strict=True)]
    typer.echo(
        f"{found['benchmark']}, rules {found['rules']}, {found['number']:,} questions that both answered "
        f"({found['only_in_one']:,} that one did), all alike\n"
        f"{names[0]}: {100 * before:.1f} %, alone right {found['only_first_right']:,} times\n"
        f"{names[1]}: {100 * after:.1f} %, alone right {found['only_second_right']:,} times\n"
        f"difference {100 * found['difference']:+.1f} points (95 % over films: {100 * low:+.1f} to {100 * high:+.1f})"
    )


def _rules(name: str, known: "type[Rules]") -> "Rules":
    if name not in list(known):
        raise OptionError(f"--rules is {name!r}; choose one of {', '.join(known)}")
    return known(name)
