"""The examples run as their first lines say."""

import json
import subprocess
import sys

from repository import ROOT


def test_a_film_is_asked_two_rounds(desk, clean_environment):
    questions = ["What happens in the film?", "What is seen?"]
    command = [sys.executable, "-W", "error", "examples/ask_a_film.py", "examples/kangaroo.mp4", *questions]
    ran = subprocess.run(command, cwd=desk, env=clean_environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    seen, seen_again = (line for line in ran.stdout.splitlines() if "seconds:" in line)
    assert "vision 0.00" not in seen
    assert "vision 0.00" in seen_again


def test_a_missing_film_is_told_in_one_line(desk, clean_environment):
    command = [sys.executable, str(ROOT / "examples" / "ask_a_film.py"), "missing.mp4", "What?"]
    ran = subprocess.run(command, cwd=desk, env=clean_environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith("error: missing.mp4")
    assert "Traceback" not in ran.stderr


def test_the_notebook_runs_from_its_first_cell_to_its_last(desk, clean_environment):
    cells = json.loads((ROOT / "examples" / "chat.ipynb").read_text())["cells"]
    program = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    command = [sys.executable, "-W", "error", "-c", program]
    ran = subprocess.run(
        command, cwd=desk / "examples", env=clean_environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    first, second = ran.stdout.split("Assistant:\n")[1:]
    assert first.strip()
    assert len(second.splitlines()) == 2
