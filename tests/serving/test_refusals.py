"""What is wrong, unsupported or hostile gets the right status and a line that says why; the server lives on."""

import base64
import json
import socket
import struct
import threading
import time
import zlib
from urllib.parse import urlsplit

import httpx2
import pytest
from serving_server import FILM

from kangaroo.errors import OptionError
from kangaroo.serving.settings import Settings


def about(url, kind="video_url"):
    return [{"role": "user", "content": [{"type": kind, kind: {"url": url}}, {"type": "text", "text": "What?"}]}]


def png(width, height, rows=b""):
    """A picture of a declared size that may hold less."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def told(response):
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "Traceback" not in error["message"]
    assert "/tmp" not in error["message"]
    assert len(error["message"]) <= 500
    assert "\n" not in error["message"]
    return response.status_code, error["param"]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"n": 2}, 400, "n"),
        ({"n": True}, 400, "n"),
        ({"logprobs": 0}, 400, "logprobs"),
        ({"tools": [{"type": "function"}]}, 400, "tools"),
        ({"tool_choice": "auto"}, 400, "tool_choice"),
        ({"logprobs": True}, 400, "logprobs"),
        ({"frequency_penalty": 0.5}, 400, "frequency_penalty"),
        ({"response_format": {"type": "json_object"}}, 400, "response_format"),
        ({"nonsense": 1}, 400, "nonsense"),
        ({"temperature": 3}, 400, "temperature"),
        ({"temperature": "warm"}, 400, "temperature"),
        ({"top_p": 0}, 400, "top_p"),
        ({"seed": -1}, 400, "seed"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"max_tokens": 1 << 20}, 400, "messages"),
        ({"stop": [""]}, 400, "stop[0]"),
        ({"stop": ""}, 400, "stop"),
        ({"stop": 5}, 400, "stop"),
        ({"stop": ["a"] * 17}, 400, "stop"),
        ({"stop": [1] * 100_000}, 400, "stop"),
        ({"messages": [1] * 100_000}, 400, "messages"),
        ({f"x{number}": 1 for number in range(100)}, 400, None),
        ({"x" * 100_000: 1}, 400, "x" * 500),
        ({"stream": "yes"}, 400, "stream"),
        ({"stream_options": {"include_usage": True}}, 400, None),
        ({"messages": []}, 400, "messages"),
        ({"messages": 5}, 400, "messages"),
        ({"messages": [{"role": "user"}]}, 400, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, 400, "messages[0].content"),
        ({"messages": ["x"]}, 400, "messages[0]"),
        ({"model": None}, 400, "model"),
        ({"messages": [{"role": "robot", "content": "x"}]}, 400, "messages[0].role"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 400, None),
        ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, 400, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": "x" * (1 << 20)}]}, 400, "messages"),
        ({"mm_processor_kwargs": {"fps": 1, "num_frames": 2}}, 400, None),
        ({"mm_processor_kwargs": {"size": 3}}, 400, "mm_processor_kwargs.size"),
        ({"media_io_kwargs": {"video": {"num_frames": -1}}}, 400, "media_io_kwargs.video.num_frames"),
        ({"model": "gpt-4"}, 404, "model"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_request_that_cannot_be_met_is_told_which_parameter(small, body, status, param):
    assert told(small.post(**body)) == (status, param)


def test_what_would_change_nothing_is_let_pass(small):
    neutral = {"n": 1, "frequency_penalty": 0, "presence_penalty": 0.0, "tools": [], "logprobs": False, "user": None}
    assert small.post(**neutral).status_code == 200


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://127.0.0.1:1/film.mp4", 400),
        ("http://localhost:1/film.mp4", 400),
        ("http://2130706433:1/", 400),
        ("http://0x7f.1:1/", 400),
        ("http://0.0.0.0:1/", 400),
        ("http://[::1]:1/", 400),
        ("http://[::ffff:127.0.0.1]:1/", 400),
        ("http://[64:ff9b::7f00:1]:1/", 400),
        ("http://169.254.169.254/latest/meta-data", 400),
        ("http://10.0.0.1/", 400),
        ("http://user:password@WEB/film.mp4", 400),
        ("http://WEB/to/http://127.0.0.1:1/film.mp4", 400),
        ("http://WEB/to/http://localhost:1/film.mp4", 400),
        ("http://WEB/to/file:///etc/passwd", 400),
        ("http://WEB/text", 400),
        ("http://WEB:99999/", 400),
        ("http://", 400),
        ("http://[", 400),
        ("http://exa\u2100mple.org/", 400),
        ("file://[", 400),
        ("data:video/mp4;base64,\u00e9AAA", 400),
        ("data:" + "x" * 100_000 + ";base64,AA", 400),
        ("ftp://example.org/film.mp4", 400),
        ("concat:a|b", 400),
        ("/etc/passwd", 400),
        ("file:///etc/passwd", 403),
        ("file://FOLDER/link.mp4", 403),
        ("file://FOLDER/../elsewhere0/secret.mp4", 403),
        ("file://FOLDER/%2e%2e/elsewhere0/secret.mp4", 403),
        ("file://FOLDER/none.mp4", 403),
        ("file://FOLDER", 403),
        ("file://elsewhere.org/film.mp4", 403),
        ("file:///%00", 403),
        ("file-../../etc/passwd", 404),
        ("data:text/html;base64,AAAA", 400),
        ("data:video/mp4;base64,A", 400),
        ("data:video/mp4;base64,", 400),
        ("data:video/mp4;base64," + base64.b64encode(b"ffconcat version 1.0\nfile /etc/passwd\n").decode(), 400),
        ("data:video/mp4;base64," + base64.b64encode(b"#EXTM3U\nhttp://127.0.0.1/x.ts\n").decode(), 400),
        (png(60000, 60000), 400),
        (png(1 << 30, 1 << 30), 400),
        (png(8000, 8000, bytes(8000 * 24001)), 400),
    ],
    ids=lambda value: str(value)[:48],
)
def test_a_hostile_place_of_a_film_is_refused(small, web, folder, url, status):
    url = url.replace("WEB", web.host).replace("FOLDER", str(folder))
    response = small.post(messages=about(url))
    assert told(response) == (status, "messages[0].content[0].video_url.url")
    message = response.json()["error"]["message"]
    assert "password" not in message or "password is not" in message
    assert "secret" not in message


def test_a_film_is_no_picture_and_only_users_show_films(small):
    url = "data:video/mp4;base64," + base64.b64encode(FILM.read_bytes()).decode()
    assert told(small.post(messages=about(url, "image_url"))) == (400, "messages[0].content[0].image_url.url")
    frames = [{"url": png(8, 8, bytes(200)), "time_s": time_s} for time_s in (1.0, 0.5)]
    backwards = [{"role": "user", "content": [{"type": "frames", "frames": frames}]}]
    assert told(small.post(messages=backwards)) == (400, "messages[0].content[0].frames")
    system = [{**about(url)[0], "role": "system"}, {"role": "user", "content": "?"}]
    assert told(small.post(messages=system)) == (400, "messages[0].content")
    assert small.post(messages=about(png(8, 8, bytes(200)), "image_url")).status_code == 200


def test_a_url_that_drips_is_given_up(small, web):
    began_s = time.monotonic()
    assert told(small.post(messages=about(f"http://{web.host}/drip")))[0] == 400
    assert time.monotonic() - began_s < 9


def test_uploads_hold_films_and_nothing_else(small):
    def upload(**parts):
        return httpx2.post(f"{small.url}/files", timeout=30, **parts)

    film = {"file": ("../../x.mp4", FILM.read_bytes())}
    assert told(upload(files={"file": ("a.mp4", b"text")}, data={"purpose": "vision"}))[0] == 400
    assert told(upload(files=film, data={"purpose": "fine-tune"})) == (400, "purpose")
    assert told(upload(files=film, data={"purpose": "vision", "expires_after[seconds]": "9"}))[0] == 400
    assert told(upload(data={"purpose": "vision"})) == (400, "file")
    as_text = upload(data={"purpose": "vision", "file": "film.mp4"})
    assert told(as_text) == (400, "file")
    assert as_text.json()["error"]["message"] == "file: send a file with a name, as multipart/form-data"
    assert told(upload(content=b"nonsense"))[0] == 400
    assert told(upload(files=[("file", film["file"])] * 2, data={"purpose": "vision"}))[0] == 400
    assert upload(files=film, data={"purpose": "vision"}).json()["bytes"] == FILM.stat().st_size


def test_a_name_that_is_no_text_spoils_no_list(small):
    parts = [
        b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n',
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="\\ud800.mp4"\r\n\r\n',
        FILM.read_bytes() + b"\r\n--B--\r\n",
    ]
    headers = {"content-type": "multipart/form-data; boundary=B; charset=unicode_escape"}
    kept = httpx2.post(f"{small.url}/files", content=b"".join(parts), headers=headers, timeout=30)
    assert kept.json()["filename"] == "?.mp4"
    assert kept.json()["id"] in [one["id"] for one in httpx2.get(f"{small.url}/files").json()["data"]]
    assert httpx2.delete(f"{small.url}/files/{kept.json()['id']}").json()["deleted"]


def test_uploads_are_listed_page_by_page(small):
    with FILM.open("rb") as film:
        ids = [small.client.files.create(file=film, purpose="user_data").id for _ in range(3)]
    listed = small.client.files.list(purpose="user_data", order="asc", limit=2)
    assert [one.id for one in listed.data] == ids[:2]
    assert [one.id for one in listed] == ids
    assert [one.id for one in small.client.files.list(purpose="user_data")] == ids[::-1]
    for query in ({"limit": 0}, {"order": "up"}, {"nonsense": 1}, {"purpose": "none"}):
        assert told(httpx2.get(f"{small.url}/files", params=query)) == (400, next(iter(query)))
    assert told(httpx2.get(f"{small.url}/files", params={"after": "file-none"}))[0] == 404
    for id in ids:
        small.client.files.delete(id)


def test_nonsense_over_http_is_told(small):
    def post(**parts):
        return httpx2.post(f"{small.url}/chat/completions", timeout=30, **parts)

    json_type = {"content-type": "application/json"}
    assert told(post(content=b"{", headers=json_type)) == (400, None)
    assert told(post(content=b"[" * 100000, headers=json_type))[0] == 400
    assert told(post(content=b'{"model": NaN}', headers=json_type))[0] == 400
    for body, headers in ((b"{}", {"content-type": "text/plain"}), (b"[]", json_type)):
        refused = post(content=body, headers=headers)
        assert told(refused) == (400, None)
        assert "Content-Type: application/json" in refused.json()["error"]["message"]
    unreadable = post(content=b'{"seed": ' + b"9" * 5000 + b"}", headers=json_type)
    assert unreadable.json()["error"]["code"] == "invalid_json"
    wrong_way = httpx2.get(f"{small.url}/chat/completions")
    assert (told(wrong_way)[0], wrong_way.headers["allow"]) == (405, "POST")
    assert httpx2.head(f"{small.root}/healthz").status_code == 200
    assert told(httpx2.get(f"{small.url}/nothing"))[0] == 404
    assert told(httpx2.get(f"{small.url}/models/none"))[0] == 404


def test_bodies_that_are_too_large_or_too_slow_are_refused(small):
    most = Settings.max_body_bytes
    whole = httpx2.post(f"{small.url}/chat/completions", content=bytes(100 << 20), timeout=30)
    in_pieces = httpx2.post(f"{small.url}/chat/completions", content=iter([bytes(1 << 20)] * 100), timeout=30)
    assert [told(response)[0] for response in (whole, in_pieces)] == [413, 413]
    assert str(most) in whole.json()["error"]["message"]
    assert (
        _dripped(small, b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\n") == 408
    )
    assert _dripped(small, b"POST /v1/chat/completions HTTP/1.1\r\nx: ") is None  # closed without a word


def _dripped(small, head):
    """Send a byte every 0.2 s and return the status of the answer, None where the server hangs up."""
    where = urlsplit(small.url)
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall(head)
        connection.settimeout(0.2)
        began_s = time.monotonic()
        while time.monotonic() - began_s < 8:
            try:
                heard = connection.recv(1000)
                return int(heard.split()[1]) if heard else None
            except TimeoutError:
                connection.sendall(b"x")
            except ConnectionError:
                return None
    raise AssertionError("the server is patient for ever")


def test_a_site_cannot_ask_through_the_browser(small):
    for headers in ({"host": "evil.example"}, {"host": "[::1"}, {"origin": "https://evil.example"}, {"origin": "null"}):
        assert told(httpx2.get(f"{small.url}/models", headers=headers))[0] == 403
    assert httpx2.get(f"{small.url}/models", headers={"origin": "http://localhost:8501"}).status_code == 200


def test_the_server_keeps_no_memory_of_it(small):
    """The corpus once more, many at a time, with large bodies among it."""
    film = json.dumps({"model": small.model, "messages": about("data:video/mp4;base64," + "A" * (20 << 20))})

    def attack():
        for _ in range(2):
            httpx2.post(f"{small.url}/chat/completions", content=bytes(60 << 20), timeout=60)
            headers = {"content-type": "application/json"}
            httpx2.post(f"{small.url}/chat/completions", content=film, headers=headers, timeout=60)
            small.post(messages=about(png(60000, 60000)))

    small.post()
    before = small.resident_bytes()
    threads = [threading.Thread(target=attack) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deadline_s = time.monotonic() + 5
    while small.resident_bytes() > 1.1 * before and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert small.resident_bytes() <= 1.1 * before
    assert small.post().status_code == 200


def test_settings_that_would_let_strangers_in_are_refused(tmp_path):
    with pytest.raises(OptionError, match=r"0\.0\.0\.0, and no API key is set"):
        Settings(host="0.0.0.0")
    assert Settings(host="0.0.0.0", api_key="x").port == Settings(host="::1").port
    for wrong in (
        {"api_key": " "},
        {"api_key": "a\n"},
        {"api_key": "\u00e9"},
        {"port": 70000},
        {"folder": tmp_path / "none"},
        {"num_running": 0},
    ):
        with pytest.raises(OptionError, match=r"give|name"):
            Settings(**wrong)
