"""What the data tests share; torch's workers fork, which Python warns of where threads run."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from folders import make_folder


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Twenty records over three films; not to be changed."""
    return make_folder(tmp_path_factory.mktemp("drawn"), 20)
