"""`kangaroo evaluate BENCHMARK` and what is done with its runs: score, merge, compare."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kangaroo.cli.options import BatchOption, DeviceOption, EndpointOption, ModelOption, answerer_of, pace_of
from kangaroo.cli.watching import scoring
from kangaroo.errors import OptionError

if TYPE_CHECKING:
    from kangaroo.evaluation.benchmark import Rules

SUMMARIES = {
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


def verb_of(name: str) -> Callable[..., None]:
    """Return the verb of a benchmark; all take the same options."""

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
        with scoring() as watch:
            report = evaluate_benchmark(
                answerer,
                BENCHMARKS[name],
                data,
                out,
                rules=wanted,
                limit=limit,
                shard=part,
                pace=pace_of(answerer, batch, 0),
                watch=watch,
            )
        typer.echo(report.markdown())

    return measure


def score(
    run: Annotated[Path, typer.Argument(help="The folder of a benchmark's run.")], rules: RulesOption = "strict"
) -> None:
    """Score a benchmark's answers again under other rules; no model is asked."""
    from kangaroo.evaluation.benchmark import Rules
    from kangaroo.evaluation.runs import rescore
    from kangaroo.evaluation.table import BENCHMARKS

    typer.echo(rescore(BENCHMARKS, run, _rules(rules, Rules)).markdown())


def merge(
    runs: Annotated[list[Path], typer.Argument(help="The folders of all shards.")],
    out: Annotated[Path, typer.Option(help="Where the whole run goes.")],
) -> None:
    """Join the shards of one run."""
    from kangaroo.evaluation.runs import merge as merge_runs
    from kangaroo.evaluation.table import BENCHMARKS

    typer.echo(merge_runs(BENCHMARKS, runs, out).markdown())


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
