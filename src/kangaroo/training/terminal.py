"""What a person sees while a run goes on, and of `--dry-run` before it."""

from collections.abc import Iterable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from kangaroo.training.curriculum import Stage
from kangaroo.training.estimate import Estimate
from kangaroo.training.loop import Step


class Bars:
    """A bar for each stage, with its samples and the last loss that was read."""

    def __init__(self, *, every: int, shown: bool = True) -> None:
        self.every = every
        self.tasks: dict[str, TaskID] = {}
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} samples"),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
            disable=not shown,
        )

    def __enter__(self) -> "Bars":
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def __call__(self, stage: Stage, step: Step) -> None:
        """Show a step; its loss is read from the GPU now and then only, which would wait for it."""
        if stage.name not in self.tasks:
            self.tasks[stage.name] = self.progress.add_task(stage.name, total=stage.samples, loss="")
        task = self.tasks[stage.name]
        self.progress.update(task, completed=min(step.samples, stage.samples))
        if step.number % self.every == 0 or step.samples >= stage.samples:
            self.progress.update(task, loss=f"loss {float(step.loss):.3f}")


def show_estimates(estimates: Iterable[Estimate], *, machine: str) -> None:
    """Print what each stage takes."""
    table = Table(title=f"On {machine}", title_justify="left")
    for name in ("stage", "trains", "tokens", "steps", "GiB", "FLOP", "hours"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    hours, assumed = 0.0, dict[str, None]()
    for one in estimates:
        hours += one.hours
        if one.assumed:
            assumed[f"{one.stage.name}: {one.assumed}"] = None
        table.add_row(
            one.stage.name,
            f"{one.trained / 1e6:,.1f} M",
            f"{one.tokens / 1e6:,.1f} M",
            f"{one.steps:,}",
            f"{one.gpu_gib:.1f}",
            f"{one.operations:.1e}",
            f"{one.hours:,.2f}",
        )
    table.add_row("all", "", "", "", "", "", f"{hours:,.2f}")
    console = Console()
    console.print(table)
    console.print("GiB: on each GPU. FLOP: operations that are performed, recomputation not counted.")
    for line in assumed:
        console.print(f"Assumed for {line}.")
