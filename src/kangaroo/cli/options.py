"""What several verbs share: options, and who answers."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from kangaroo.errors import OptionError

if TYPE_CHECKING:
    from kangaroo.chat.local import LocalAnswerer
    from kangaroo.chat.remote import RemoteAnswerer
    from kangaroo.evaluation.asking import Pace

VideoArgument = Annotated[str, typer.Argument(help="A file, an http(s) URL, an image, or a folder of frames.")]
ModelOption = Annotated[
    str | None,
    typer.Option(help="joey (the default), a folder, or a hub id; with --endpoint, the server's name for it."),
]
EndpointOption = Annotated[str | None, typer.Option(help="URL of an OpenAI-compatible server to ask instead.")]
DeviceOption = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1; by default the GPU if there is one.")]
QuantizeOption = Annotated[
    str, typer.Option(help="int8 holds the language model in half the memory; of a model here, not an endpoint's.")
]
CacheOption = Annotated[
    bool,
    typer.Option("--cache/--no-cache", help="Keep what a model here saw of films in the user's cache, to ask again."),
]
FpsOption = Annotated[float | None, typer.Option(help="Frames a second.")]
FramesOption = Annotated[int | None, typer.Option(help="An exact number of frames instead.")]
StartOption = Annotated[float | None, typer.Option(help="Second of the film to begin at.")]
EndOption = Annotated[float | None, typer.Option(help="Second of the film to stop at.")]
BatchOption = Annotated[int | None, typer.Option(help="Questions asked at once; 64 on a GPU, else 1, each timed.")]
WorkersOption = Annotated[int | None, typer.Option(help="Processes that draw films ahead; the cores but two.")]
ReadersOption = Annotated[int | None, typer.Option(help="Films that a model here has read ahead; the cores but two.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def quiet() -> None:
    """Keep transformers' warnings, which are for programmers, to itself: it reads this when it is imported."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def answerer_of(
    model: str | None, endpoint: str | None, device: str | None, *, quantize: str = "none", keeps_films: bool = False
) -> "LocalAnswerer | RemoteAnswerer":
    """Return who answers: a model in this process, which may keep what it saw of films, or one at an endpoint."""
    if endpoint is not None:
        if quantize != "none":
            raise OptionError(f"--quantize {quantize} is for a model here, but --endpoint asks one elsewhere")
        from kangaroo.chat.remote import RemoteAnswerer

        return RemoteAnswerer(endpoint, model)
    return local_answerer(model, device, quantize=quantize, keeps_films=keeps_films)


def local_answerer(
    model: str | None, device: str | None, *, quantize: str = "none", max_rows: int = 16, keeps_films: bool = False
) -> "LocalAnswerer":
    """Return a model in this process."""
    quiet()
    from kangaroo.chat.kept import users_films
    from kangaroo.chat.load import JOEY, load

    kept = users_films() if keeps_films else None
    return load(model or JOEY, device=device, quantize=quantize, max_rows=max_rows, kept=kept)


def check_place(endpoint: str | None, device: str | None) -> None:
    """Refuse a device for a model that is elsewhere."""
    if endpoint is not None and device is not None:
        raise OptionError(f"--device {device} is for a model here, but --endpoint asks one elsewhere; leave one out")


def pace_of(answerer: "LocalAnswerer | RemoteAnswerer", batch: int | None, workers: int | None) -> "Pace":
    """Return the pace asked for; by default many questions at once on a GPU; all cores but two draw or read."""
    from kangaroo.evaluation.asking import Pace
    from kangaroo.system import num_cores

    model = getattr(answerer, "model", None)
    on_gpu = getattr(getattr(model, "device", None), "type", None) == "cuda"
    return Pace(
        batch=(64 if on_gpu else 1) if batch is None else batch,
        workers=max(0, num_cores() - 2) if workers is None else workers,
    )
