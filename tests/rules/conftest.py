"""A folder to type commands in: the repository's own files by their names, and a film called film.mp4."""

import os

import pytest
from repository import ROOT, own_files


@pytest.fixture
def desk(tmp_path):
    # what is ours, not what runs left behind: a command writes beside the links, never into the checkout
    for name in {path.relative_to(ROOT).parts[0] for path in own_files()}:
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "film.mp4").symlink_to(ROOT / "examples" / "kangaroo.mp4")
    return tmp_path


@pytest.fixture
def clean_environment(tmp_path_factory):
    """What a new user's shell holds: no settings of Python's, no hub."""
    kept = {name: os.environ[name] for name in ("LANG", "OMP_NUM_THREADS", "TMPDIR") if name in os.environ}
    home = str(tmp_path_factory.mktemp("home"))
    return {**kept, "PATH": os.environ["PATH"], "HOME": home, "HF_HUB_OFFLINE": "1"}
