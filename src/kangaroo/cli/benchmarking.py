"""`kangaroo evaluate BENCHMARK` and what is done with its runs: score, merge, compare."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from kangaroo.cli.options import (
    BatchOption,
    DeviceOption,
    EndpointOption,
    ModelOption,
    ReadersOption,
    answerer_of,
    check_place,
    pace_of,
)
from kangaroo.cli.watching import scoring
from kangaroo.errors import OptionError

if TYPE_CHECKING:
    from kangaroo.chat.remote import RemoteAnswerer
    from kangaroo.evaluation.benchmark import Rules
    from kangaroo.evaluation.dataset import Dataset

SUMMARIES = {
    "video-mme": "2,700 questions about films of 11 s to an hour.",
    "video-mme-subtitles": "The same, with what is said.",
    "mvbench": "20 tasks of 200 questions about short clips.",
    "egoschema": "500 questions about clips of three minutes.",
    "egoschema-full": "All 5,031, to be submitted.",
    "tempcompass": "What only time tells, asked in four ways.",
    "mlvu": "Seven tasks with options about long films.",
    "mlvu-generation": "Its two tasks told freely, for a judge.",
    "longvideobench": "What was seen or said at some moment.",
    "longvideobench-test": "Its test split, to be submitted.",
    "lvbench": "1,549 questions about films of an hour.",
    "videovista": "27 kinds of questions about films of up to ten minutes.",
    "mmbench-video": "1,998 questions answered freely, for a judge.",
    "seed-bench-video": "Actions recognised, foreseen and put in order.",
    "seed-bench-video-ranked": "The same, options ranked by likelihood.",
    "v-niah": "A picture hidden in a long film of yours; the model is read the answer.",
    "v-niah-said": "The same, answered in words.",
}
NEEDLES = ("v-niah", "v-niah-said")
_Number = TypeVar("_Number", int, float)
DataOption = Annotated[Path, typer.Option(help="The data set as its authors publish it; zip archives may stay packed.")]
OutOption = Annotated[Path, typer.Option(help="Where answers and reports go; a run that was cut off goes on.")]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Only the first so many questions.")]
ShardOption = Annotated[str, typer.Option(help="2/8 asks the second of eight parts; merge joins them.")]
BlindOption = Annotated[bool, typer.Option("--blind", help="Show no film: what can be guessed?")]
JudgeOption = Annotated[str | None, typer.Option(help="URL of an OpenAI-compatible server that judges free answers.")]
JudgeModelOption = Annotated[str | None, typer.Option(help="That server's name for the judge; its first by default.")]
RulesOption = Annotated[str, typer.Option(help="strict (ours), lmms-eval or vlmevalkit.")]


def verb_of(name: str) -> Callable[..., int]:
    """Return the verb of a benchmark; all take the same options, and V-NIAH its film and grid too."""

    def measure(
        data: DataOption,
        out: OutOption,
        model: ModelOption = None,
        endpoint: EndpointOption = None,
        rules: RulesOption = "strict",
        limit: LimitOption = None,
        shard: ShardOption = "1/1",
        blind: BlindOption = False,
        judge: JudgeOption = None,
        judge_model: JudgeModelOption = None,
        batch: BatchOption = None,
        workers: ReadersOption = None,
        device: DeviceOption = None,
    ) -> int:
        return _measure(
            name,
            data,
            out,
            model=model,
            endpoint=endpoint,
            device=device,
            batch=batch,
            workers=workers,
            limit=limit,
            shard=shard,
            blind=blind,
            rules=rules,
            judge=_judge(judge, judge_model),
        )

    def measure_needles(
        data: DataOption,
        haystack: Annotated[Path, typer.Option(help="The film that hides the needles.")],
        out: OutOption,
        model: ModelOption = None,
        endpoint: EndpointOption = None,
        frames: Annotated[str | None, typer.Option(help="Lengths with commas; 200,400,...,3000 by default.")] = None,
        depths: Annotated[str | None, typer.Option(help="0 the start, 1 the end; 0,0.2,...,1 by default.")] = None,
        limit: LimitOption = None,
        shard: ShardOption = "1/1",
        blind: BlindOption = False,
        batch: BatchOption = None,
        workers: ReadersOption = None,
        device: DeviceOption = None,
    ) -> int:
        from kangaroo.evaluation.haystack import DEPTHS, FRAMES, Haystack
        from kangaroo.evaluation.table import BENCHMARKS

        shelf = Haystack(
            data,
            haystack,
            source=BENCHMARKS[name].source,
            unpacked=out / "unpacked",
            frames=FRAMES if frames is None else _numbers("frames", frames, int),
            depths=DEPTHS if depths is None else _numbers("depths", depths, float),
        )
        return _measure(
            name,
            shelf,
            out,
            model=model,
            endpoint=endpoint,
            device=device,
            batch=batch,
            workers=workers,
            limit=limit,
            shard=shard,
            blind=blind,
        )

    return measure_needles if name in NEEDLES else measure


def _measure(
    name: str,
    data: "Path | Dataset",
    out: Path,
    *,
    model: str | None,
    endpoint: str | None,
    device: str | None,
    batch: int | None,
    workers: int | None,
    limit: int | None,
    shard: str,
    blind: bool,
    rules: str = "strict",
    judge: "RemoteAnswerer | None" = None,
) -> int:
    """Measure and return 1 where the model failed at a question, or the data gave none to ask; else 0."""
    import logging

    from kangaroo.alone import make_folder
    from kangaroo.evaluation.benchmark import Rules
    from kangaroo.evaluation.dataset import Dataset
    from kangaroo.evaluation.measure import Shard, Shown, evaluate_benchmark
    from kangaroo.evaluation.table import BENCHMARKS

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    wanted, part = _rules(rules, Rules), Shard.parse(shard)
    check_place(endpoint, device)
    # what is wrong with a folder is said before a model is loaded
    benchmark = BENCHMARKS[name]
    shelf = data if isinstance(data, Dataset) else Dataset(data, source=benchmark.source, unpacked=out / "unpacked")
    make_folder(out)
    answerer = answerer_of(model, endpoint, device)
    with scoring() as watch:
        report = evaluate_benchmark(
            answerer,
            benchmark,
            shelf,
            out,
            rules=wanted,
            limit=limit,
            shard=part,
            shown=Shown.NOTHING if blind else Shown.FILM,
            judge=judge,
            pace=pace_of(answerer, batch, workers),
            watch=watch,
        )
    typer.echo(report.markdown())
    failed = {blame: own["number"] for blame, own in report.values["failures"].items()}
    return 1 if failed["model"] or 0 < report.values["questions"] == failed["data"] else 0


def _judge(url: str | None, model: str | None) -> "RemoteAnswerer | None":
    if url is None and model is not None:
        raise OptionError(f"--judge-model {model} needs --judge, the URL of its server")
    if url is None:
        return None
    from kangaroo.chat.remote import RemoteAnswerer

    return RemoteAnswerer(url, model)


def _numbers(option: str, text: str, kind: type[_Number]) -> list[_Number]:
    try:
        return [kind(one) for one in text.split(",")]
    except ValueError:
        wanted = "whole numbers" if kind is int else "numbers"
        raise OptionError(f"--{option} is {text!r}; give {wanted} with commas between them") from None


def score(
    run: Annotated[Path, typer.Argument(help="The folder of a benchmark's run.")],
    rules: RulesOption = "strict",
    judge: JudgeOption = None,
    judge_model: JudgeModelOption = None,
) -> None:
    """Score a benchmark's answers again, under other rules or with a judge; the model is not asked."""
    from kangaroo.evaluation.benchmark import Rules
    from kangaroo.evaluation.runs import rescore
    from kangaroo.evaluation.table import BENCHMARKS

    typer.echo(rescore(BENCHMARKS, run, _rules(rules, Rules), _judge(judge, judge_model)).markdown())


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
    unlike = f", {found['unlike']:,} of one id that ask different things" if found["unlike"] else ""
    typer.echo(
        f"{found['benchmark']}, rules {found['rules']}, {found['number']:,} questions that both answered "
        f"({found['only_in_one']:,} that one did{unlike}), all alike\n"
        f"{names[0]}: {100 * before:.1f} %, alone right {found['only_first_right']:,} times\n"
        f"{names[1]}: {100 * after:.1f} %, alone right {found['only_second_right']:,} times\n"
        f"difference {100 * found['difference']:+.1f} points (95 % over films: {100 * low:+.1f} to {100 * high:+.1f})"
    )


def fingerprint(
    benchmark: Annotated[str, typer.Argument(help="One of the benchmarks.")],
    data: DataOption,
    out: Annotated[Path, typer.Option(help="The file to write.")],
) -> None:
    """Write hashes of a BENCHMARK's films and questions, which keep it out of training data."""
    from tempfile import TemporaryDirectory

    from kangaroo.cli.watching import answering
    from kangaroo.evaluation.dataset import Dataset
    from kangaroo.evaluation.prints import fingerprint as fingerprint_of
    from kangaroo.evaluation.table import BENCHMARKS

    known = [name for name in BENCHMARKS if name not in NEEDLES]
    if benchmark not in known:
        raise OptionError(f"no benchmark is called {benchmark!r}; choose one of {', '.join(known)}")
    one = BENCHMARKS[benchmark]
    with TemporaryDirectory() as unpacked, answering("looking") as progress:
        shelf = Dataset(data, source=one.source, unpacked=Path(unpacked))
        found = fingerprint_of(one, shelf, progress=progress)
    out.parent.mkdir(parents=True, exist_ok=True)
    found.write(out)
    typer.echo(f"{out}: {len(found.films):,} films, {len(found.texts):,} runs of words")


def _rules(name: str, known: "type[Rules]") -> "Rules":
    if name not in list(known):
        raise OptionError(f"--rules is {name!r}; choose one of {', '.join(known)}")
    return known(name)
