"""The chat template as text, for whoever renders prompts by transformers' rules (vLLM, `apply_chat_template`).

It writes what `Encoder` writes; a test holds the two together.
"""

from functools import cache
from importlib.resources import files


@cache
def chat_template() -> str:
    """Return the Jinja source that is saved with every model."""
    return files("kangaroo.dialogue").joinpath("chat_template.jinja").read_text(encoding="utf-8")
