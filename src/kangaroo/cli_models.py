"""Which model a command asks: options that several commands share. Heavy imports wait inside functions."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kangaroo.chat.local import LocalAnswerer
    from kangaroo.chat.remote import RemoteAnswerer

ModelOption = Annotated[
    str | None,
    typer.Option(help="joey (the default), a folder, or a hub id; with --endpoint, the server's name for it."),
]
EndpointOption = Annotated[str | None, typer.Option(help="URL of an OpenAI-compatible server to ask instead.")]
DeviceOption = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1; by default the GPU if there is one.")]


def answerer_of(model: str | None, endpoint: str | None, device: str | None) -> "LocalAnswerer | RemoteAnswerer":
    """Return a model here, or one behind an endpoint."""
    if endpoint is not None:
        from kangaroo.chat.remote import RemoteAnswerer

        return RemoteAnswerer(endpoint, model)
    return local_answerer(model, device)


def local_answerer(model: str | None, device: str | None) -> "LocalAnswerer":
    """Load a model, joey where none is named."""
    # transformers reads this once, when it is imported; its warnings are for programmers
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from kangaroo.chat.load import JOEY, load

    return load(model or JOEY, device=device)
