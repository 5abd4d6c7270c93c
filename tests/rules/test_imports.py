"""What costs seconds waits until it is used; what is promised to work without torch does."""

import subprocess
import sys
from time import perf_counter

import pytest
from repository import SOURCE, source_files

HEAVY = ("torch", "transformers", "numpy", "av", "openai", "rich")


PLUGGED_IN = "lmms_eval_model"  # imported by lmms-eval alone, which has torch in hand


def _modules_of(part):
    names = [path.relative_to(SOURCE.parent).with_suffix("") for path in source_files()]
    left_out = ("__init__", PLUGGED_IN)
    return [".".join(name.parts) for name in names if name.parts[1] == part and name.name not in left_out]


def _loaded_after(statement, names):
    program = f"import sys\n{statement}\nprint([name for name in {names!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()[-1]


def _least_seconds(command, tries=5):
    least = float("inf")
    for _ in range(tries):
        began = perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        least = min(least, perf_counter() - began)
    return least


@pytest.mark.parametrize("part", ["video", "evaluation", "chat.answerer"])
def test_a_part_imports_without_torch(part):
    modules = _modules_of(part) or [f"kangaroo.{part}"]
    assert _loaded_after("\n".join(f"import {module}" for module in modules), ("torch",)) == "[]"


def test_the_package_and_its_help_load_nothing_heavy():
    assert _loaded_after("import kangaroo", HEAVY) == "[]"
    helped = "from kangaroo.cli import run\nassert run(['--help']) == 0"
    assert _loaded_after(helped, ("torch", "transformers", "av", "openai")) == "[]"


def test_the_package_is_there_at_once():
    bare = _least_seconds([sys.executable, "-c", "pass"])
    assert _least_seconds([sys.executable, "-c", "import kangaroo"]) - bare < 0.2


def test_help_is_there_at_once():
    program = "from kangaroo.cli import run; run(['--help'])"
    assert _least_seconds([sys.executable, "-c", program]) < 0.5
