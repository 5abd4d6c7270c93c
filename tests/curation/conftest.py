"""What the curation tests share: small films on disk, and steps that a worker process can import."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from reels import draw_reel, scenes


@pytest.fixture(scope="session")
def reels(tmp_path_factory):
    """Three films of two scenes each, 3 and 2.5 s at 10 frames a second; not to be changed."""
    folder = tmp_path_factory.mktemp("reels")
    for seed in range(3):
        draw_reel(folder / f"{seed}.mp4", scenes(seed, 2), seconds=(3.0, 2.5))
    return folder
