"""A server of joey and one of a network that never ends, a web of films, and joey in this process to compare with."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from serving_server import FILM, start_server

import kangaroo
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import tiny


@dataclass(kw_only=True)
class Web:
    """A web server: the film everywhere, but redirects at /to/URL, an endless drip at /drip, and text at /text."""

    host: str = ""
    paths: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def web():
    found = Web()
    over = threading.Event()

    class Films(BaseHTTPRequestHandler):
        def do_GET(self):
            found.paths.append(self.path)
            moved = self.path.startswith("/to/")
            self.send_response(302 if moved else 200)
            if moved:
                self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            while self.path == "/drip" and not over.wait(0.1):
                self.wfile.write(b".")
            self.wfile.write(b"no film" * 99 if self.path == "/text" else FILM.read_bytes())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Films) as films:
        films.daemon_threads = True
        films.handle_error = lambda *_: None  # who was cut off in the middle is no news
        threading.Thread(target=films.serve_forever, kwargs={"poll_interval": 0.01}).start()
        found.host = f"127.0.0.1:{films.server_port}"
        yield found
        over.set()
        films.shutdown()


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """What file URLs may name: a film, and a link that leads out."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "kangaroo.mp4").write_bytes(FILM.read_bytes())
    outside = tmp_path_factory.mktemp("elsewhere") / "secret.mp4"
    outside.write_bytes(FILM.read_bytes())
    (folder / "link.mp4").symlink_to(outside)
    return folder


@pytest.fixture(scope="session")
def server(folder, web):
    """Joey, served."""
    with start_server(folder=str(folder), trusted_hosts=[web.host]) as running:
        yield running


@pytest.fixture(scope="session")
def endless(tmp_path_factory, tiny_processor):
    """A tiny network with random weights: it goes on talking until it is cut off."""
    folder = tmp_path_factory.mktemp("models") / "endless"
    torch.manual_seed(0)
    config = tiny(vocab_size=len(tiny_processor.tokenizer))
    config.text_config.eos_token_id = None
    KangarooForConditionalGeneration(config).save_pretrained(folder)
    tiny_processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def small(endless, folder, web):
    """Two answers at a time and two that wait, one decoder, and seconds where users have minutes."""
    with start_server(
        endless,
        folder=str(folder),
        trusted_hosts=[web.host],
        num_running=2,
        num_waiting=2,
        num_decoders=1,
        body_s=2.0,
        fetch_s=5.0,
        decoding={"time_s": 10.0, "memory_bytes": 2 << 30},
    ) as running:
        yield running


@pytest.fixture(scope="session")
def joey(one_thread):
    """The same model here."""
    return kangaroo.load("joey", device="cpu")
