"""A server in a process of its own: `python serving_process.py MODEL SETTINGS`; its first line of output is its URL.

SETTINGS are fields of `Settings` as JSON, so that tests can wait seconds where users wait minutes.
"""

import json
import sys
from pathlib import Path

import torch

import kangaroo
from kangaroo.serving.run import serve
from kangaroo.serving.settings import Settings
from kangaroo.video.isolate import Limits

if __name__ == "__main__":
    torch.set_num_threads(1)
    options = json.loads(sys.argv[2])
    if "folder" in options:
        options["folder"] = Path(options["folder"])
    if "decoding" in options:
        options["decoding"] = Limits(**options["decoding"])
    if "trusted_hosts" in options:
        options["trusted_hosts"] = tuple(options["trusted_hosts"])
    answerer = kangaroo.load(sys.argv[1], device="cpu")
    serve(answerer, Settings(port=0, **options), ready=lambda url: print(url, flush=True))
