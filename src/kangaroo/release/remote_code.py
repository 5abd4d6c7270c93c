"""Write the code that a model needs beside its weights, to load it where this package is not installed.

transformers copies single files that import one another by `from .name import`, so every module becomes one flat file
of the same text, named after its path here. One file stands for all Auto classes: each file that they name gets a copy
of the code of its own, whose classes would be strangers to the others'.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from textwrap import indent

from kangaroo.dialogue.template import chat_template

ENTRY = "kangaroo_remote"
_CLASSES = {
    "AutoConfig": ("kangaroo.model.configuration", "KangarooConfig"),
    "AutoModel": ("kangaroo.model.modeling", "KangarooModel"),
    "AutoModelForCausalLM": ("kangaroo.chat.original", "KangarooForCausalLM"),
    "AutoModelForImageTextToText": ("kangaroo.model.modeling", "KangarooForConditionalGeneration"),
    "AutoModelForMultimodalLM": ("kangaroo.model.modeling", "KangarooForConditionalGeneration"),
    "AutoProcessor": ("kangaroo.dialogue.processor", "KangarooProcessor"),
}
_IMPORT = re.compile(r"^(?P<before>\s*from )(?P<module>kangaroo[\w.]*)(?= import )", re.MULTILINE)
# transformers refuses a hub's model whose code imports what is not installed, but for what it imports in a `try`
_GPU_ONLY = re.compile(r"^(import triton.*\n)+", re.MULTILINE)
# it reads a file of the package, so its text is written out instead
_TEMPLATE = "kangaroo.dialogue.template"


def auto_map() -> dict[str, str]:
    """Return what config.json tells transformers: which class is where."""
    return {auto: f"{ENTRY}.{name}" for auto, (_, name) in _CLASSES.items()}


def code_files() -> dict[str, str]:
    """Return the files by name."""
    entry = '"""Kangaroo\'s classes, as `kangaroo export` wrote them down. Apache-2.0."""\n\n'
    entry += "".join(f"from {module} import {name}\n" for module, name in sorted(set(_CLASSES.values())))
    texts = {ENTRY: entry}
    waiting = [ENTRY]
    while waiting:
        for match in _IMPORT.finditer(texts[waiting.pop()]):
            module = match["module"]
            if module not in texts:
                texts[module] = _text(module)
                waiting.append(module)
    return {f"{_flat(module)}.py": _IMPORT.sub(_relative, text) for module, text in sorted(texts.items())}


def _text(module: str) -> str:
    if module == _TEMPLATE:
        return (
            '"""The chat template, as it was when this model was exported."""\n\n\ndef chat_template() -> str:\n'
            f'    """Return the Jinja source."""\n    return {chat_template()!r}\n'
        )
    spec = find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None, module
    return _GPU_ONLY.sub(_in_try, Path(spec.origin).read_text(encoding="utf-8"))


def _in_try(match: re.Match[str]) -> str:
    return f"try:\n{indent(match[0], '    ')}except ImportError:\n    raise\n"


def _flat(module: str) -> str:
    return module.replace(".", "_")


def _relative(match: re.Match[str]) -> str:
    return f"{match['before']}.{_flat(match['module'])}"
