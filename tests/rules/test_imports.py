"""What costs seconds waits until it is used; what is promised to work without torch does."""

import resource
import subprocess
import sys

import pytest
from repository import SOURCE, source_files

HEAVY = ("torch", "transformers", "tokenizers", "numpy", "av", "huggingface_hub", "openai", "jaxtyping", "einops")
HELP = "from kangaroo.cli import run; run(['--help'])"
WITHOUT_TORCH = (
    *("video", "curation", "evaluation", "dialogue.conversation", "dialogue.films"),
    *("chat.answerer", "chat.session", "chat.terminal", "chat.transcript", "chat.remote", "chat.load"),
)
PLUGGED_IN = "lmms_eval_model"  # imported by lmms-eval alone, which has torch in hand


def _modules_of(part):
    """Those of a part, without the networks that it may use: whoever needs one imports it then."""
    names = [path.relative_to(SOURCE.parent).with_suffix("") for path in source_files()]
    left_out = ("__init__", PLUGGED_IN)
    own = [name for name in names if name.parts[1] == part and "networks" not in name.parts]
    return [".".join(name.parts) for name in own if name.name not in left_out]


def _loaded_after(statement, names):
    program = f"import sys\n{statement}\nprint([name for name in {names!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()[-1]


@pytest.mark.parametrize("part", WITHOUT_TORCH)
def test_a_part_imports_without_torch(part):
    modules = _modules_of(part) or [f"kangaroo.{part}"]
    assert _loaded_after("\n".join(f"import {module}" for module in modules), ("torch",)) == "[]"


@pytest.mark.parametrize("code", ["import kangaroo", HELP, "import kangaroo.cli"])
def test_neither_the_package_nor_its_help_imports_anything_heavy(code):
    assert _loaded_after(code, HEAVY) == "[]"


def _shortest_s(code, *, runs=5):
    """The least time that a fresh Python computes for `code` over an idle one; a busy machine adds little."""

    def computed_s():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def once(text):
        before = computed_s()
        subprocess.run([sys.executable, "-c", text], stdout=subprocess.DEVNULL, check=True)
        return computed_s() - before

    return min(once(code) for _ in range(runs)) - min(once("pass") for _ in range(runs))


@pytest.mark.parametrize(("code", "most_s"), [("import kangaroo", 0.2), (HELP, 0.5)])
def test_the_package_and_its_help_are_there_at_once(code, most_s):
    assert _shortest_s(code) < most_s


def test_every_public_name_is_where_it_is_said_to_be():
    import kangaroo

    for name in kangaroo.__all__:
        assert getattr(kangaroo, name).__module__.startswith("kangaroo.")
    with pytest.raises(AttributeError, match="'nonesuch'"):
        _ = kangaroo.nonesuch
