"""A folder to type commands in: the repository's own files by their names, and a film called film.mp4."""

import os

import pytest
from repository import ROOT


@pytest.fixture
def desk(tmp_path):
    for path in ROOT.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "film.mp4").symlink_to(ROOT / "examples" / "kangaroo.mp4")
    return tmp_path


@pytest.fixture
def clean_environment(tmp_path_factory):
    """What a new user's shell holds: no settings of Python's, no hub."""
    kept = {name: os.environ[name] for name in ("LANG", "OMP_NUM_THREADS", "TMPDIR") if name in os.environ}
    home = str(tmp_path_factory.mktemp("home"))
    return {**kept, "PATH": os.environ["PATH"], "HOME": home, "HF_HUB_OFFLINE": "1"}
