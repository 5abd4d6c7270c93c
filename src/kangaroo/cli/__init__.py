"""The command line: one function per verb. Heavy imports wait inside them, so `kangaroo --help` is instant."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kangaroo.cli.batching import batch
from kangaroo.cli.curating import curate
from kangaroo.cli.examining import evaluate
from kangaroo.cli.network import serve, ui, vllm
from kangaroo.cli.options import (
    CacheOption,
    DeviceOption,
    EndOption,
    EndpointOption,
    FpsOption,
    FramesOption,
    JsonOption,
    ModelOption,
    QuantizeOption,
    StartOption,
    VideoArgument,
    answerer_of,
    check_place,
)
from kangaroo.cli.recording import data
from kangaroo.cli.releasing import assemble, convert, doctor, export
from kangaroo.errors import KangarooError, OptionError

if TYPE_CHECKING:
    from kangaroo.video.sampler import FrameSampler
    from kangaroo.video.source import VideoSource

app = typer.Typer(
    help="Ask questions about videos.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(evaluate, name="evaluate")
app.add_typer(curate, name="curate")
app.add_typer(data, name="data")


@app.command()
def chat(
    video: VideoArgument,
    question: Annotated[str | None, typer.Argument(help="Leave it out for a conversation.")] = None,
    model: ModelOption = None,
    endpoint: EndpointOption = None,
    subtitles: Annotated[Path | None, typer.Option(help="An SRT or WebVTT file.")] = None,
    fps: FpsOption = None,
    frames: FramesOption = None,
    start: StartOption = None,
    end: EndOption = None,
    max_new_tokens: Annotated[int, typer.Option(help="The longest answer.")] = 512,
    temperature: Annotated[float, typer.Option(help="0 always picks the likeliest word.")] = 0.0,
    top_p: Annotated[float, typer.Option(help="Pick among the likeliest words of this share.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Make picks repeatable.")] = None,
    device: DeviceOption = None,
    quantize: QuantizeOption = "none",
    cache: CacheOption = True,
    as_json: JsonOption = False,
) -> None:
    """Answer a QUESTION about a VIDEO, or hold a conversation about it."""
    from kangaroo.chat.answerer import Sampling
    from kangaroo.chat.terminal import converse, show, tell
    from kangaroo.video.sampler import FrameSampler
    from kangaroo.video.source import VideoSource

    if as_json and question is None:
        raise OptionError("--json prints one answer; give a question too")
    if question is not None and not question.strip():
        raise OptionError("the question is empty; write what you want to know")
    check_place(endpoint, device)
    sampling = Sampling(temperature=temperature, top_p=top_p, seed=seed, max_new_tokens=max_new_tokens)
    source = VideoSource(video)
    # what is wrong with the film or its options is said before the seconds that loading a model takes
    _check(source, FrameSampler().with_options(fps=fps, num_frames=frames, start_s=start, end_s=end))
    answerer = answerer_of(model, endpoint, device, quantize=quantize, keeps_films=cache)
    session = answerer.chat(
        source, fps=fps, num_frames=frames, start_s=start, end_s=end, subtitles=subtitles, sampling=sampling
    )
    if question is None:
        converse(session)
        return
    answer = session.ask(question)
    if not as_json:
        show(answer)
        return
    tell(answer.preflight)
    answer.read()
    for note in answer.notes:
        tell(f"note: {note}")
    (times_s,) = answer.times_s
    _print_json(
        {
            "answer": answer.text,
            "model": answer.model,
            "frames": len(times_s),
            "times_s": _rounded(times_s),
            "visual_tokens": answer.visual_tokens,
            "prompt_tokens": answer.prompt_tokens,
            "new_tokens": answer.new_tokens,
            "timings_s": {name: round(seconds, 6) for name, seconds in answer.timings_s.items()},
        }
    )


@app.command()
def info(
    video: VideoArgument,
    model: ModelOption = None,
    fps: FpsOption = None,
    frames: FramesOption = None,
    start: StartOption = None,
    end: EndOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a VIDEO is and which of its frames a model would see."""
    from kangaroo.video.decode import plan_frames
    from kangaroo.video.source import VideoSource

    sampler = _saved_sampler(model).with_options(fps=fps, num_frames=frames, start_s=start, end_s=end)
    with VideoSource(video).fetched() as source:
        described = asdict(source.open())
        plan = plan_frames(source, sampler)
    times_s = plan.times_s.tolist()
    if as_json:
        _print_json({**described, "frames": len(times_s), "times_s": _rounded(times_s), "notes": list(plan.notes)})
        return
    for name, value in described.items():
        if value is not None:
            typer.echo(f"{name:13} {value:.3f}" if isinstance(value, float) else f"{name:13} {value}")
    typer.echo(f"{'frames seen':13} {len(times_s)} of {plan.num_frames}")
    typer.echo(f"{'times_s':13} {' '.join(f'{time_s:.2f}' for time_s in times_s)}")
    for note in plan.notes:
        typer.echo(f"{'note':13} {note}")


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A TOML file; recipes/ holds examples.")],
    stages: Annotated[str | None, typer.Option(help="Which stages, such as 3 or 3-5; all by default.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what each stage takes, and stop.")] = False,
) -> None:
    """Train a model as a RECIPE says; a run that was cut off goes on. Under torchrun, on many GPUs."""
    import logging

    from kangaroo.training.recipe import Recipe

    wanted = Recipe.read(recipe)
    span = wanted.span(stages)
    from kangaroo.training.parallel import start_world
    from kangaroo.training.run import Run, estimates
    from kangaroo.training.terminal import Bars, show_estimates

    if dry_run:
        show_estimates(estimates(wanted, span), machine=wanted.machine)
        return
    with start_world(wanted.device, context_parallel=wanted.context_gpus) as world:
        leads = world.rank == 0
        logging.basicConfig(level=logging.INFO if leads else logging.WARNING, format="%(asctime)s %(message)s")
        with Bars(every=wanted.log_every, shown=leads) as bars:
            done = Run(wanted, world, stages=span, watch=bars).go()
        if leads:
            typer.echo("done" if done else "saved and stopped; the same command goes on")


for verb in (batch, serve, ui, vllm, convert, assemble, export, doctor):
    app.command()(verb)

playground = typer.Typer(help="Films whose content is known.", no_args_is_help=True)
app.add_typer(playground, name="playground")


@playground.command()
def draw(
    seed: Annotated[int, typer.Option(help="Another seed, another film.")],
    out: Annotated[Path, typer.Option(help="Folder for film.mp4 and facts.json.")],
    seconds: Annotated[float | None, typer.Option(help="Length; drawn from 2.5 to 64 when not given.")] = None,
) -> None:
    """Draw a film and write down what is true of it."""
    from kangaroo.playground.draw import draw as draw_film
    from kangaroo.playground.script import make_film

    for path in draw_film(make_film(seed, duration_s=seconds), out):
        typer.echo(path)


def main() -> None:
    """Run the command line: the entry point. Leaves with 0, 2 for a mistake of the user, 130 for Ctrl-C."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status. A mistake of the user is one line, or an object with `--json`."""
    try:
        status = app(list(arguments) or ["--help"], prog_name="kangaroo", standalone_mode=False)
        sys.stdout.flush()
    except KangarooError as error:
        return _complain(error, as_json="--json" in arguments)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # who read our output has left; Python would complain once more when it closes the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        # typer's own complaints about arguments; which class they have depends on its version
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        return _complain(OptionError(message()), as_json="--json" in arguments)
    return status if isinstance(status, int) else 0


def _complain(error: KangarooError, *, as_json: bool) -> int:
    from kangaroo.chat.terminal import one_line, tell

    if as_json:
        _print_json({"error": one_line(error)})
    else:
        tell(f"error: {one_line(error)}")
    return 2


def _print_json(values: dict[str, Any]) -> None:
    typer.echo(json.dumps(values, ensure_ascii=False))


def _rounded(times_s: Sequence[float]) -> list[float]:
    return [round(time_s, 6) for time_s in times_s]


def _saved_sampler(model: str | None) -> "FrameSampler":
    """Return the rule that a model was saved with; no weights are loaded for it."""
    from kangaroo.chat.load import JOEY, find_folder, read_settings
    from kangaroo.video.sampler import FrameSampler

    file = "processor_config.json"
    settings = read_settings(find_folder(model or JOEY, wanted=[file]), file)
    return FrameSampler.from_dict(settings.get("video_processor", {}).get("frame_sampler", {}))


def _check(source: "VideoSource", sampler: "FrameSampler") -> None:
    """Raise what is wrong with a film that is here, or with what is asked to be seen of it."""
    if not source.is_url:
        described = source.open()
        if not described.is_image:
            sampler.clip_s(described.duration_s)
