"""Write a conversation down, to keep: as JSON with all that is known of it, or as Markdown to read."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from kangaroo.serving.page.talk import Round
from kangaroo.video.source import VideoInfo

_FORMAT = "kangaroo-talk-1"


def as_json(rounds: Sequence[Round], *, film: VideoInfo, model: str) -> str:
    """Return the conversation as a JSON object: the film, and each round with its settings, frames and costs."""
    known = {
        "format": _FORMAT,
        "model": model,
        "film": {"name": film.name, "duration_s": film.duration_s, "size_bytes": film.size_bytes},
        "rounds": [_values(one) for one in rounds],
    }
    return json.dumps(known, ensure_ascii=False, indent=1) + "\n"


def as_markdown(rounds: Sequence[Round], *, film: VideoInfo, model: str) -> str:
    """Return the conversation as Markdown."""
    parts = [f"# {film.name}", f"{film.duration_s:.1f} s; answers by {model}"]
    for one in rounds:
        parts.append("\n".join(f"> {line}" for line in one.question.splitlines()))
        parts += [one.text.strip()] if one.text.strip() else []
        said = [one.answer.preflight] if one.answer is not None else []
        parts.append(f"*{'; '.join([*said, str(one.status), *([one.error] if one.error else [])])}*")
    return "\n\n".join(parts) + "\n"


def _values(one: Round) -> dict[str, Any]:
    values: dict[str, Any] = {"question": one.question, "answer": one.text, "status": str(one.status)}
    if one.error is not None:
        values["error"] = one.error
    answer = one.answer
    if answer is not None:
        values |= {
            "finish_reason": str(answer.finish_reason) if answer.finish_reason is not None else None,
            "preflight": answer.preflight,
            "notes": list(answer.notes),
            "times_s": [round(time_s, 6) for times_s in answer.times_s for time_s in times_s],
            "visual_tokens": answer.visual_tokens,
            "prompt_tokens": answer.prompt_tokens,
            "new_tokens": answer.new_tokens,
            "timings_s": {name: round(seconds, 6) for name, seconds in answer.timings_s.items()},
        }
    return values | {"sampler": one.sampler.to_dict(), "sampling": asdict(one.sampling)}
