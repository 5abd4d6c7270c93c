"""Verbs that answer over the network: `serve`, `ui`, and the command for vLLM."""

import os
from pathlib import Path
from typing import Annotated

import typer

from kangaroo.cli.options import (
    DeviceOption,
    EndpointOption,
    ModelOption,
    QuantizeOption,
    check_place,
    local_answerer,
    quiet,
)
from kangaroo.errors import OptionError


def serve(
    model: Annotated[str | None, typer.Option(help="joey (the default), a folder, or a hub id.")] = None,
    host: Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="KANGAROO_API_KEY", help="What clients must show; better set in the environment."),
    ] = None,
    without_key: Annotated[
        bool, typer.Option("--without-key", help="Let other machines in without a key, knowingly.")
    ] = False,
    folder: Annotated[Path | None, typer.Option(help="Let requests name the films below it as file:// URLs.")] = None,
    trust: Annotated[
        list[str] | None, typer.Option(help="HOST:PORT of films' URLs that may be on an inner network; repeatable.")
    ] = None,
    running: Annotated[int, typer.Option(help="Answers at a time.")] = 16,
    waiting: Annotated[int, typer.Option(help="Requests that may wait; further ones are refused with 429.")] = 64,
    device: DeviceOption = None,
    quantize: QuantizeOption = "none",
) -> None:
    """Answer over the network, as OpenAI's clients ask."""
    import logging

    # processes that decode strangers' films need not hold it; one that is set and empty is a mistake
    if os.environ.pop("KANGAROO_API_KEY", None) == "" and api_key is None:
        raise OptionError("KANGAROO_API_KEY is empty; set a key, or unset it")
    try:
        from kangaroo.serving.run import serve as run_server
    except ModuleNotFoundError as error:
        raise OptionError(f"{error.name} is missing; pip install 'kangaroo-video[serve]'") from None
    from kangaroo.chat.terminal import tell
    from kangaroo.serving.settings import Settings

    settings = Settings(
        host=host,
        port=port,
        api_key=None if api_key is None else api_key.strip(),  # files of keys end in a new line
        allow_without_key=without_key,
        folder=folder,
        trusted_hosts=tuple(trust or ()),
        num_running=running,
        num_waiting=waiting,
    )
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    answerer = local_answerer(model, device, quantize=quantize, max_rows=running)
    run_server(answerer, settings, ready=lambda url: tell(f"{answerer.name} answers at {url}; Ctrl-C stops"))


def ui(
    model: ModelOption = None,
    endpoint: EndpointOption = None,
    device: DeviceOption = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others reach the page only when this is not loopback.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8501,
) -> None:
    """Show a web page for conversations about films."""
    from kangaroo.chat.load import JOEY, find_folder
    from kangaroo.serving.page.launch import launch

    check_place(endpoint, device)
    if endpoint is None:
        find_folder(model or JOEY)
    launch(model=model, endpoint=endpoint, device=device, host=host, port=port)


def vllm(
    model: ModelOption = None,
    context: Annotated[int | None, typer.Option(help="The most tokens of a prompt and its answer.")] = None,
    gpus: Annotated[int, typer.Option(help="How many GPUs share the language model.")] = 1,
) -> None:
    """Print the command that serves a model with vLLM, its limits computed from what films cost in its context."""
    import shlex

    quiet()
    from kangaroo.chat.load import JOEY, find_folder
    from kangaroo.serving.vllm_command import serve_command

    folder, name = find_folder(model or JOEY), Path(model or JOEY).expanduser().resolve().name
    typer.echo(shlex.join(serve_command(folder, name=name, context_tokens=context, gpus=gpus)))
