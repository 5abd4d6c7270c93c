"""Run a function of a test module on processes that torchrun starts: `python ranks.py MODULE FUNCTION FOLDER`."""

import importlib
import os
import subprocess
import sys
import warnings
from pathlib import Path


def on_ranks(function, folder, *, size=2):
    """Call `function(folder)` on each rank; what it finds it writes into the folder. Return the finished torchrun."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}"),
        *(__file__, function.__module__, function.__name__, str(folder)),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)


if __name__ == "__main__":
    from torch import distributed, set_num_threads

    set_num_threads(1)
    sys.path.insert(1, str(Path(__file__).parents[1]))
    module = importlib.import_module(sys.argv[1])
    warnings.simplefilter("error")
    getattr(module, sys.argv[2])(Path(sys.argv[3]))
    distributed.destroy_process_group()
