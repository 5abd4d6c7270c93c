"""The examples run as their first lines say."""

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
