"""`kangaroo batch`: a file of questions becomes a file of answers."""

from pathlib import Path
from typing import Annotated

import typer

from kangaroo.cli.options import (
    BatchOption,
    CacheOption,
    DeviceOption,
    EndpointOption,
    FpsOption,
    FramesOption,
    ModelOption,
    ReadersOption,
    answerer_of,
    check_place,
    pace_of,
)
from kangaroo.cli.watching import answering

_MOST_TOLD = 20


def batch(
    questions: Annotated[Path, typer.Argument(help='One a line: {"video": "film.mp4", "question": "What happens?"}.')],
    out: Annotated[Path, typer.Option(help="Where a line for each goes; a run that was cut off goes on.")],
    model: ModelOption = None,
    endpoint: EndpointOption = None,
    fps: FpsOption = None,
    frames: FramesOption = None,
    max_new_tokens: Annotated[int, typer.Option(help="The longest answer.")] = 512,
    batch: BatchOption = None,
    workers: ReadersOption = None,
    cache: CacheOption = True,
    device: DeviceOption = None,
) -> int:
    """Answer all QUESTIONS of a file, about many films. Leaves with 1 where some could not be answered."""
    from kangaroo.chat.terminal import tell
    from kangaroo.evaluation.batch import answer_questions
    from kangaroo.evaluation.question_file import Look, read_questions

    check_place(endpoint, device)
    default = Look(fps=fps, frames=frames, max_new_tokens=max_new_tokens)
    read_questions(questions, default=default)  # what is wrong with it is said before a model is loaded
    answerer = answerer_of(model, endpoint, device, keeps_films=cache)
    with answering() as progress:
        lines = answer_questions(
            answerer, questions, out, default=default, pace=pace_of(answerer, batch, workers), progress=progress
        )
    failed = [line for line in lines if line["failure"] is not None]
    for line in failed[:_MOST_TOLD]:
        why = " ".join(line["failure"].split())
        tell(f"error: {questions}, line {line['line']}: {why}")
    if len(failed) > _MOST_TOLD:
        tell(f"... and {len(failed) - _MOST_TOLD} more; {out} names them all")
    tell(f"{len(lines) - len(failed)} of {len(lines)} questions are answered in {out}")
    return 1 if failed else 0
