"""Nothing heavy is imported before it is used."""

import json
import resource
import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "tokenizers", "numpy", "av", "huggingface_hub", "openai", "jaxtyping", "einops"}
HELP = "from kangaroo.cli import run; run(['--help'])"


def imported_by(code):
    """The packages that a fresh Python holds after running `code`."""
    code += "\nimport json, sys; print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize("code", ["import kangaroo", HELP, "import kangaroo.cli"])
def test_neither_the_package_nor_its_help_imports_anything_heavy(code):
    assert not imported_by(code) & HEAVY


WITHOUT_TORCH = [
    *("chat.answerer", "chat.session", "chat.terminal", "chat.transcript", "chat.remote", "chat.load"),
    *("dialogue.conversation", "dialogue.films", "video.decode", "video.isolate", "evaluation"),
]


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_what_needs_no_network_imports_without_torch(module):
    assert "torch" not in imported_by(f"import kangaroo.{module}")


def shortest_s(code, *, runs=5):
    """The least time that a fresh Python computes for `code`, over what an idle one does; a busy machine adds none."""

    def computed_s():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def once(text):
        before = computed_s()
        subprocess.run([sys.executable, "-c", text], stdout=subprocess.DEVNULL, check=True)
        return computed_s() - before

    return min(once(code) for _ in range(runs)) - min(once("pass") for _ in range(runs))


def test_importing_the_package_is_instant():
    assert shortest_s("import kangaroo") < 0.2


def test_help_is_instant():
    assert shortest_s(HELP) < 0.5


def test_every_public_name_is_where_it_is_said_to_be():
    import kangaroo

    for name in kangaroo.__all__:
        assert getattr(kangaroo, name).__module__.startswith("kangaroo.")
    with pytest.raises(AttributeError, match="'nonesuch'"):
        _ = kangaroo.nonesuch
