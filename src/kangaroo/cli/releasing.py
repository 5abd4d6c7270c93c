"""Verbs about weights: `convert`, `assemble`, `export`; and `doctor`, which says what a machine can run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kangaroo.cli.options import JsonOption, quiet
from kangaroo.errors import OptionError

if TYPE_CHECKING:
    from kangaroo.release.model import NewModel, Progress

TokenOption = Annotated[
    list[str] | None, typer.Option("--token", help="NAME=ID of a visual token, such as '<eof>=128003'; repeatable.")
]


def convert(
    source: Annotated[str, typer.Argument(help="A folder or hub id: pytorch_model.bin, config and tokenizer.")],
    out: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    allow: Annotated[
        list[str] | None, typer.Option(help="A tensor, or a PATTERN*, to leave out or to cast knowingly; repeatable.")
    ] = None,
    token: TokenOption = None,
) -> None:
    """Turn the published checkpoint into a model of this package; say what was decided by looking at it."""
    quiet()
    from kangaroo.release.convert import plan_conversion
    from kangaroo.release.model import refuse_existing

    refuse_existing(out)  # before gigabytes are fetched
    _write(plan_conversion(source, allow=allow or (), tokens=_tokens(token or ())), out)


def _write(model: "NewModel", out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "is", "because", box=None, pad_edge=False, show_edge=False)
    for decision in model.decisions:
        table.add_row(decision.what, decision.value, decision.why)
    Console().print(table, markup=False)
    with _progress() as progress:
        model.write(out, progress=progress)
    typer.echo(f"{out}: {model.num_bytes / 1e9:.2f} GB; kangaroo chat FILM --model {out}")


@contextmanager
def _progress() -> Iterator["Progress"]:
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TimeRemainingColumn

    with Progress(
        *Progress.get_default_columns()[:2], DownloadColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    ) as bar:
        task = bar.add_task("writing", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tokens(given: Sequence[str]) -> dict[str, int]:
    tokens = {}
    for one in given:
        name, _, id = one.rpartition("=")
        if not id.isdecimal():
            raise OptionError(f"--token is {one!r}; give NAME=ID, such as '<eof>=128003'")
        tokens[name] = int(id)
    return tokens


def assemble(
    vision: Annotated[Path, typer.Option(help="An EVA-02-CLIP-L checkpoint: a .pt or .safetensors file.")],
    language: Annotated[str, typer.Option(help="A folder or hub id of Llama 3 Instruct.")],
    out: Annotated[Path, typer.Option(help="A folder that is not there yet.")],
    image_size: Annotated[int, typer.Option(help="Side in pixels that training begins with.")] = 224,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of the projector's numbers.")] = 0,
    token: TokenOption = None,
) -> None:
    """Make the model that training begins with from public parts."""
    quiet()
    from kangaroo.release.assemble import plan_assembly
    from kangaroo.release.model import refuse_existing

    refuse_existing(out)
    _write(plan_assembly(vision, language, image_size_px=image_size, seed=seed, tokens=_tokens(token or ())), out)


def export(
    model: Annotated[str, typer.Argument(help="joey, a folder, or a hub id.")],
    out: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    results: Annotated[
        list[Path] | None, typer.Option(help="A folder that kangaroo evaluate wrote, for the card; repeatable.")
    ] = None,
) -> None:
    """Write a folder that loads with trust_remote_code where this package is not installed, and its model card."""
    quiet()
    from kangaroo.release.export import export as write

    write(model, out, results=results or ())
    typer.echo(f"{out}: weights, code and card")


def doctor(
    model: Annotated[
        str | None, typer.Option(help="A folder or hub id, in place of joey and the published 8B.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what this machine can run: devices, which models and how many frames fit, what is not installed."""
    quiet()
    import json

    from kangaroo.release.doctor import diagnose

    models = None
    if model is not None:
        from kangaroo.chat.load import find_folder, read_config, short_name

        models = {short_name(model): read_config(find_folder(model, wanted=["*.json"]))}
    found = diagnose(models)
    typer.echo(json.dumps(found.to_dict()) if as_json else "\n".join(found.lines()))
