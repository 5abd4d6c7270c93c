"""`kangaroo data`: records on disk."""

from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(help="Training data on disk.", no_args_is_help=True)


@data.command("check")
def data_check(
    folder: Annotated[Path, typer.Argument(help="Holds .jsonl and .tar files of records; or one such file.")],
    decode: Annotated[bool, typer.Option("--decode", help="Decode what a model would see, too.")] = False,
) -> int:
    """Read every record and open every medium once; the status is 1 when something is broken."""
    from kangaroo.data.check import check

    report = check(folder, decode=decode)
    typer.echo(str(report))
    return 1 if report.broken else 0
