"""A disk that is full stops a run with one line; with room it goes on to the same result."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from reels import BRIGHTNESS, one_record, parts_of, recipe_over

from kangaroo.curation.engine.run import Run

# the system's limit on the size of a file stands for a disk without room: writing fails in the same places
PROGRAM = """
import resource, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from reels import BRIGHTNESS, one_record, parts_of, recipe_over
from kangaroo.curation.engine.run import Run
from kangaroo.errors import KangarooError
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
recipe = recipe_over(Path({films!r}), Path({out!r}))
try:
    Run(recipe, parts_of(recipe, BRIGHTNESS, records=one_record)).go()
except KangarooError as error:
    print(error)
    raise SystemExit(2)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
@pytest.mark.parametrize("limit", [8 << 10, 60 << 10])
def test_a_full_disk_stops_the_run_cleanly(limit, tmp_path, reels):
    assert resource.RLIMIT_FSIZE is not None
    here, out = str(Path(__file__).parents[1]), str(tmp_path / "out")
    program = PROGRAM.format(here=here, limit=limit, films=str(reels), out=out)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 2, ran.stderr
    assert "goes on" in ran.stdout
    assert ran.stdout.count("\n") == 1
    recipe = recipe_over(reels, tmp_path / "out")
    assert Run(recipe, parts_of(recipe, BRIGHTNESS, records=one_record)).go().num_records == 6
