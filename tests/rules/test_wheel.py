"""What people install answers a question, with nothing around it but what it asks for.

torch alone takes minutes to install, so the environment is put together faster and no less empty: the wheel is
installed by pip into a new virtual environment, and beside it only the packages that its metadata requires, and those
that they require, are linked in from this environment, file by file of their own record. The checkout, the extras and
the development tools are not there: something that was forgotten in the wheel or in the requirements is missed.
"""

import json
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from repository import ROOT

NAME = "kangaroo-video"
HERE = Path(sysconfig.get_path("purelib"))


def _required(name, extras=frozenset()):
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        environments = [{"extra": extra} for extra in ("", *extras)]
        if requirement.marker is None or any(requirement.marker.evaluate(one) for one in environments):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def _needed():
    """The names of everything that the package needs, without itself."""
    found, waiting = set(), list(_required(NAME))
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += _required(*one)
    return {name for name, _ in found}


def _link(name, there):
    for file in distribution(name).files or ():
        top = Path(str(file)).parts[0]
        if top not in ("..", "__pycache__") and not (there / top).exists():
            (there / top).symlink_to(HERE / top)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "venv"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    there = next((environment / "lib").glob("python*")) / "site-packages"
    for name in _needed():
        _link(name, there)
    return environment


def _run(command, *arguments, cwd, environment):
    ran = subprocess.run([command, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout


def test_the_environment_holds_no_more_than_is_asked_for(installed, tmp_path, clean_environment):
    program = "import kangaroo, importlib.util as u; print(kangaroo.__file__, *map(u.find_spec, ('pytest', 'PIL')))"
    said = _run(installed / "bin" / "python", "-c", program, cwd=tmp_path, environment=clean_environment)
    assert said.split() == [str(next(installed.glob("lib/python*/site-packages/kangaroo/__init__.py"))), "None", "None"]


def test_the_installed_wheel_answers_a_question_about_a_film(installed, tmp_path, clean_environment):
    film = str(ROOT / "examples" / "kangaroo.mp4")
    command = ["chat", film, "What happens in the film?", "--json"]
    answered = json.loads(_run(installed / "bin" / "kangaroo", *command, cwd=tmp_path, environment=clean_environment))
    assert answered["model"] == "joey"
    assert answered["answer"].strip()
    assert answered["frames"] == len(answered["times_s"]) > 0


def test_the_wheel_carries_its_notices_and_its_types(installed):
    (package,) = installed.glob("lib/python*/site-packages/kangaroo")
    assert (package / "py.typed").exists()
    (info,) = package.parent.glob("kangaroo_video-*.dist-info")
    assert {path.name for path in (info / "licenses").iterdir()} == {"LICENSE", "NOTICE"}
