"""Every command and program that a page tells people to type runs, as typed.

Blocks of a page run in order, in one shell or one interpreter each kind. A block that cannot run here stands right
below a line that says why: `<!-- not run: needs a GPU -->`.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from repository import pages

BLOCK = re.compile(r"^(?P<why><!-- not run: [^\n]+ -->\n)?```(?P<language>\w*)\n(?P<body>.*?)^```$", re.M | re.S)
SHELL, PYTHON = "bash", "python"


def _blocks(page, language):
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [match["body"] for match in found if match["language"] == language and not match["why"]]


def _pages_with(language):
    return [page for page in pages() if page.exists() and _blocks(page, language)]


def _run(command, program, desk, environment):
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    ran = subprocess.run(
        command, input=program, cwd=desk, env={**environment, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{program}\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"


def test_there_is_something_to_type():
    assert {page.name for page in _pages_with(SHELL)} >= {"README.md", "chat.md", "info.md"}
    assert {page.name for page in _pages_with(PYTHON)} >= {"python.md", "transformers.md"}


@pytest.mark.parametrize("page", _pages_with(SHELL), ids=lambda page: page.name)
def test_its_commands_run(page, desk, clean_environment):
    _run(["bash", "-euo", "pipefail"], "\n".join(_blocks(page, SHELL)), desk, clean_environment)


@pytest.mark.parametrize("page", _pages_with(PYTHON), ids=lambda page: page.name)
def test_its_programs_run(page, desk, clean_environment):
    _run([sys.executable, "-W", "error", "-"], "\n".join(_blocks(page, PYTHON)), desk, clean_environment)
