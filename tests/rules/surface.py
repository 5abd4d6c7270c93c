"""What users hold on to: the public names and the verbs with their options. `make surface` writes both down."""

from pathlib import Path

import click
import typer

import kangaroo
from kangaroo.cli import app

HERE = Path(__file__).parent
NAMES = HERE / "public_names.txt"
OPTIONS = HERE / "cli_options.txt"


def public_names() -> list[str]:
    return sorted(kangaroo.__all__)


def cli_options() -> list[str]:
    """One line for each argument and option of each verb, with its default."""
    return sorted(_options_of(typer.main.get_command(app), "kangaroo"))


def _options_of(command, path):
    verbs = getattr(command, "commands", {})
    for name, verb in verbs.items():
        yield from _options_of(verb, f"{path} {name}")
    for parameter in command.params if not verbs else ():
        names = "/".join([*parameter.opts, *parameter.secondary_opts])
        if parameter.param_type_name == "argument":
            names = parameter.name.upper() if parameter.required else f"[{parameter.name.upper()}]"
        yield f"{path} {names} = {parameter.default}" if _has_default(parameter) else f"{path} {names}"


def _has_default(parameter: click.Parameter) -> bool:
    return isinstance(parameter.default, str | int | float) and not isinstance(parameter.default, bool)


def write() -> None:
    NAMES.write_text("\n".join(public_names()) + "\n")
    OPTIONS.write_text("\n".join(cli_options()) + "\n")


if __name__ == "__main__":
    write()
