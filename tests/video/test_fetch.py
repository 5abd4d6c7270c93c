"""Films over HTTP, from a real server on this machine."""

import base64
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from films import encode, encode_image, numbers_in, picture

from kangaroo.errors import VideoError
from kangaroo.video import fetch
from kangaroo.video.decode import read_frames
from kangaroo.video.fetch import PublicHosts, decode_data_url, download, fetch_to_file, is_public
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

THREE = FrameSampler(num_frames=3)


@pytest.fixture(scope="module")
def film():
    return encode(num_frames=60)


@pytest.fixture(scope="module")
def server(film):
    hits = []

    class Films(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.partition("?")[0]
            hits.append(path)
            if path == "/film.mp4":
                self.answer(film)
            elif path == "/moved" or path.startswith("/to/"):
                self.send_response(302)
                self.send_header("Location", "/film.mp4" if path == "/moved" else path.removeprefix("/to/"))
                self.end_headers()
            elif path == "/text":
                self.answer(b"no film at all " * 20)
            elif path in ("/endless", "/slow"):
                self.send_response(200)
                self.end_headers()
                for _ in range(50):
                    if path == "/slow":
                        time.sleep(0.02)
                    try:
                        self.wfile.write(bytes(1 << 18))
                    except OSError:
                        return
            elif path == "/short":
                self.send_response(200)
                self.send_header("Content-Length", str(len(film)))
                self.end_headers()
                self.wfile.write(film[:100])
            else:
                self.send_error(404)

        def answer(self, data):
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Films)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", hits
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", ["/film.mp4", "/moved", "/film.mp4?token=secret"])
def test_a_url_is_read_like_a_file(server, film, path):
    frames = read_frames(VideoSource(server[0] + path), THREE, size_px=32)
    assert numbers_in(frames.pixels) == [10, 30, 50]
    assert (frames.pixels == read_frames(VideoSource(film), THREE, size_px=32).pixels).all()


def test_a_fetched_film_is_fetched_once_and_then_gone(server):
    url, hits = server
    hits.clear()
    with VideoSource(f"{url}/film.mp4").fetched() as local:
        assert local.open().name == f"{url}/film.mp4"
        assert len(read_frames(local, THREE, size_px=32)) == 3
        path = local.value
        assert os.path.exists(path)
    assert hits == ["/film.mp4"]
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/none", "answers 404"), ("/text", "text, not a video"), ("/short", "cannot be fetched")],
)
def test_what_cannot_be_fetched_names_the_url_and_the_reason(server, path, reason):
    with pytest.raises(VideoError, match=reason) as caught:
        read_frames(VideoSource(server[0] + path), THREE, size_px=32)
    assert server[0] + path in str(caught.value)


def test_secrets_of_a_url_stay_out_of_fetch_errors(server):
    url = server[0].replace("//", "//user:password@") + "/none?token=secret"
    with pytest.raises(VideoError) as caught, fetch_to_file(url):
        pass
    assert "password" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("path", ["/film.mp4", "/endless"])
def test_too_many_bytes_are_refused_announced_or_not(server, path):
    with pytest.raises(VideoError, match="1000"), fetch_to_file(server[0] + path, max_bytes=1000):
        pass


def test_a_slow_server_is_given_up(server):
    started_s = time.monotonic()
    with pytest.raises(VideoError, match=r"in 0\.2 s"), fetch_to_file(f"{server[0]}/slow", total_timeout_s=0.2):
        pass
    assert time.monotonic() - started_s < 2


def test_a_server_that_is_not_there(monkeypatch):
    monkeypatch.setattr(fetch, "CONNECT_TIMEOUT_S", 1.0)
    for url in ("http://127.0.0.1:9/film.mp4", "http://", "https://[nonsense/film.mp4"):
        with pytest.raises(VideoError):
            VideoSource(url).open()


@pytest.mark.parametrize("path", ["/film.mp4", "/moved", "/to/http://HOST/moved"])
def test_who_asks_for_strangers_fetches_from_hosts_that_are_trusted(server, film, tmp_path, path):
    host = server[0].removeprefix("http://")
    download(server[0] + path.replace("HOST", host), tmp_path / "film", hosts=PublicHosts(trusted=(host,)))
    assert (tmp_path / "film").read_bytes() == film


def test_who_asks_for_strangers_is_led_nowhere_else(server, tmp_path):
    host = server[0].removeprefix("http://")
    port = host.partition(":")[2]
    trusted = PublicHosts(trusted=(host,))
    for path, reason in (
        (f"/to/http://localhost:{port}/film.mp4", "not public"),  # a name of the same address, which nobody trusts
        (f"/to/http://2130706433:{port}/film.mp4", "not public"),
        ("/to/http://127.0.0.1:1/film.mp4", "not public"),
        ("/to/file:///etc/passwd", "not an http"),
        (f"/to/http://user:password@{host}/film.mp4", "user or password"),
        ("/to/http://nowhere.invalid/", "no such host"),
        (f"/to/http://{host}/to/http://{host}/to/http://{host}/to/http://{host}/to/http://{host}/to/http://{host}/a",
         "more than 5 redirects"),
    ):  # fmt: skip
        with pytest.raises(VideoError, match=reason) as caught:
            download(server[0] + path, tmp_path / "film", hosts=trusted)
        assert "127.0.0.1" not in str(caught.value).replace(host, "").replace("127.0.0.1:1", "")
    with pytest.raises(VideoError, match="not public"):
        download(f"{server[0]}/film.mp4", tmp_path / "film", hosts=PublicHosts())


def test_a_name_that_means_another_address_a_moment_later_leads_nowhere(server, tmp_path, monkeypatch):
    """A second look-up of the hostile name would say 127.0.0.1; there is none: what was checked is connected to."""
    port = int(server[0].rpartition(":")[2])
    answers = iter([[(2, 1, 6, "", ("192.0.32.8", port))], [(2, 1, 6, "", ("127.0.0.1", port))]])
    asked = []
    real = fetch.socket.getaddrinfo

    def look_up(host, *rest, **options):
        asked.append(host)
        return next(answers) if host == "rebind.example" else real(host, *rest, **options)

    monkeypatch.setattr(fetch.socket, "getaddrinfo", look_up)
    monkeypatch.setattr(fetch, "CONNECT_TIMEOUT_S", 0.2)
    server[1].clear()
    with pytest.raises(VideoError, match="cannot be fetched"):
        download(f"http://rebind.example:{port}/film.mp4", tmp_path / "film", hosts=PublicHosts())
    assert asked.count("rebind.example") == 1
    assert server[1] == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        *[(private, False) for private in ("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254")],
        *[(special, False) for special in ("0.0.0.0", "100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255")],
        *[(private, False) for private in ("::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:127.0.0.1")],
        *[(wrapped, False) for wrapped in ("64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1:2:3:4:80ff:fffe")],
    ],
)
def test_public_addresses(address, public):
    assert is_public(address) is public


def test_data_urls(film):
    encoded = base64.b64encode(film).decode()
    for head in ("data:video/mp4;base64,", "DATA:video/mp4;codecs=avc1;base64,", "data:;base64,"):
        assert decode_data_url(head + encoded) == film
    image = base64.b64encode(encode_image(picture(7))).decode()
    frames = read_frames(VideoSource(f"data:image/png;base64,{image}"), THREE, size_px=32)
    assert numbers_in(frames.pixels) == [7]
    for url, reason in [
        ("data:video/mp4;base64", "comma"),
        ("data:text/html;base64,AAAA", "text/html"),
        ("data:video/mp4;base64,AA!A", "base64"),
    ]:
        with pytest.raises(VideoError, match=reason):
            VideoSource(url).open()
