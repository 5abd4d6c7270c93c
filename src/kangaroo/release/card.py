"""A model card from what the folder knows: sizes, origin, and what was measured. Nothing else is claimed."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from kangaroo.chat.load import read_config, read_settings
from kangaroo.model.configuration import KangarooConfig
from kangaroo.release.model import expected_shapes

Part = TypeVar("Part", dict, list)

_USE = """```python
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}", trust_remote_code=True)
model = AutoModelForCausalLM.from_pretrained("{name}", dtype=torch.bfloat16, trust_remote_code=True)
model = model.to("cuda").eval()
out, history = model.chat(video_path="film.mp4", query="What happens in the film?", tokenizer=tokenizer)
out, history = model.chat(video_path="film.mp4", query="And then?", tokenizer=tokenizer, history=history)
```

It needs `torch>=2.11 transformers>=5.17,<6 av einops jaxtyping numpy jinja2`. With the package itself,
`pip install kangaroo-video`, no remote code runs in `kangaroo chat film.mp4 --model {name}`, nor above after
`import kangaroo.hf`."""


def model_card(folder: Path, *, name: str, reports: Sequence[str] = ()) -> str:
    """Return the card of a model's folder as Markdown.

    Args:
        folder: Holds config.json, and what `convert`, `assemble` or training noted.
        name: What the model is called.
        reports: Markdown that `kangaroo evaluate` wrote.
    """
    config = read_config(folder)
    front = ["---", "library_name: transformers", "pipeline_tag: video-text-to-text", "language: [en, zh]", "---", ""]
    sections = [f"# {name}", "", _what(config), "", "## Use", "", _USE.format(name=name), "", "## Origin", ""]
    measured = [line for report in reports for line in [*_demoted(report), ""]] or ["Nothing was measured yet."]
    return "\n".join([*front, *sections, *_origin(folder), "", "## Measured", "", *measured]).rstrip() + "\n"


def _what(config: KangarooConfig) -> str:
    number = sum(map(math.prod, expected_shapes(config).values()))
    vision, text = config.vision_config, config.text_config
    return (
        f"A Kangaroo, which answers questions about films: {number / 1e6:,.1f} million parameters, a vision tower of "
        f"{vision.num_hidden_layers} blocks for frames of {vision.image_size} px, a language model of "
        f"{text.num_hidden_layers} layers with {text.max_position_embeddings:,} tokens of context."
    )


def _origin(folder: Path) -> Iterator[str]:
    found = False
    if (folder / "origin.json").is_file():
        found = True
        origin = read_settings(folder, "origin.json")
        yield "Made from " + ", ".join(map(_code, _part(origin, "files", dict))) + ", by these decisions:"
        yield from ("", "| what | is | because |", "|---|---|---|")
        for one in filter(lambda one: isinstance(one, dict), _part(origin, "decisions", list)):
            yield "| " + " | ".join(_cell(one.get(key, "")) for key in ("what", "value", "why")) + " |"
    if (folder / "training.json").is_file():
        found = True
        notes = read_settings(folder, "training.json")
        yield f"Trained: stage {_code(_part(notes, 'stage', dict).get('name'))}, commit {_code(notes.get('commit'))}, "
        yield ", ".join(f"{package} {version}" for package, version in _part(notes, "versions", dict).items()) + "."
    if not found:
        yield "The folder does not say."


def _part(notes: dict[str, Any], name: str, kind: type[Part]) -> Part:
    """Return a part of notes; an empty one where they have none, as others' may not."""
    part = notes.get(name)
    return part if isinstance(part, kind) else kind()


def _cell(value: object) -> str:
    text = " ".join(str(value).split())
    # a bar ends a cell even within code
    return (_code(text) if re.search(r"[<>*_]", text) else text).replace("|", r"\|")


def _code(value: object) -> str:
    """Return text as code on one line, whatever names hold that others chose."""
    return "`" + " ".join(str(value).split()).replace("`", "'") + "`"


def _demoted(report: str) -> Iterator[str]:
    """Yield a report's lines, its headings two levels lower."""
    for line in report.strip().splitlines():
        yield f"##{line}" if line.startswith("#") else line
