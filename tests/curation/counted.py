"""A run whose captions come from an endpoint that counts: run as a program, to be killed.

`python counted.py FOLDER OUT URL` runs; `serve` starts the endpoint in this process.
"""

import json
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from reels import BRIGHTNESS, parts_of, recipe_over

from kangaroo.curation.engine.recipe import Machine
from kangaroo.curation.engine.run import Run
from kangaroo.curation.measures.key_frames import KeyFrameSettings
from kangaroo.curation.wiring import words
from kangaroo.curation.words.asking import ModelSettings, Patience
from kangaroo.curation.words.captioning import CaptionerSettings, CaptionSettings
from kangaroo.curation.words.tasks import InstructSettings


def asked_of(folder, out, url, prompt="Describe.", **changes):
    """The recipe, and the pipeline: real captions of the endpoint, one measure of ours."""
    model = ModelSettings(name="eye", endpoint=url, at_once=1, patience=Patience(num_tries=1, rest_s=0.0))
    steps = {
        "captions": CaptionSettings(captioners=(CaptionerSettings(model=model, prompt_en=prompt),)),
        "instruct": InstructSettings(shares={"detailed": 1.0}),
        "key_frames": KeyFrameSettings(num_frames=3),
    }
    recipe = recipe_over(folder, out, machine=Machine(asking=2), steps=steps, **changes)
    said = words(recipe)
    return recipe, parts_of(recipe, BRIGHTNESS, *said.steps, choose=said.choose, records=said.records)


def start(folder, out, url, prompt="Describe.", **changes):
    return Run(*asked_of(folder, out, url, prompt, **changes)).go()


class Handler(BaseHTTPRequestHandler):
    """Says what it was shown, and counts."""

    protocol_version = "HTTP/1.1"
    asked: Counter
    fails = False

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer("application/json", {"object": "list", "data": [{"id": "eye", "object": "model"}]})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if type(self).fails:
            self.send_error(503)
            return
        self.asked[body] += 1
        time.sleep(0.02)
        text = f"A picture like {len(body)}."
        lines = [
            {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        ]
        self.answer("text/event-stream", *lines)

    def answer(self, kind, *values):
        whole = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "eye"}
        if kind == "application/json":
            body = json.dumps(values[0]).encode()
        else:
            body = b"".join(b"data: " + json.dumps(whole | value).encode() + b"\n\n" for value in values)
            body += b"data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serve():
    """An endpoint: its URL and its handler's class, whose `asked` counts and whose `fails` makes it fail."""
    handler = type("Counting", (Handler,), {"asked": Counter()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()


if __name__ == "__main__":
    print(start(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]).num_records)
