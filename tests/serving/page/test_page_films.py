"""Films are read in a worker first, kept in memory under the visitor's name for them, and refused in one line."""

import base64
import io
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import av
import pytest
from scripted import Scripted

from kangaroo.errors import VideoError
from kangaroo.serving.page import films as films_module
from kangaroo.serving.page.desk import MAX_FILMS, Desk
from kangaroo.serving.page.films import SAMPLES, Film, fetch, sample
from kangaroo.video.fetch import PublicHosts
from kangaroo.video.isolate import Limits
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

RULE = FrameSampler(num_frames=4)


@pytest.fixture
def desk():
    return Desk(Scripted("a crab", "two"))


@pytest.fixture
def web(tmp_path):
    """A server of files on loopback, and its folder."""
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def upload(name, data):
    return lambda: VideoSource(data, label=name)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_are_there(name):
    assert sample(name).open().duration_s > 5
    assert sample(name).name == f"{name}.mp4"


def test_a_strip_shows_the_frames_that_the_rule_picks_in_their_aspect():
    film = Film(sample("kangaroo"), RULE)
    strip = film.strip(RULE)
    assert strip.times_s == pytest.approx([2.93, 8.93, 14.93, 20.93], abs=0.1)
    head, data = strip.pictures[0].split(",")
    assert head == "data:image/jpeg;base64"
    with av.open(io.BytesIO(base64.b64decode(data))) as picture:
        frame = next(picture.decode(video=0))
    assert (frame.width, frame.height) == (192, 108)


def test_a_strip_can_have_as_few_frames_as_a_model_was_shown():
    film = Film(sample("kangaroo"), FrameSampler())
    assert len(film.strip(FrameSampler()).times_s) == 24
    assert len(film.strip(FrameSampler(), num_frames=10).times_s) == 10


def test_a_picture_is_shown_larger():
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (300, 100), "red").save(file, "PNG")
    film = Film(VideoSource(file.getvalue(), label="red.png"), RULE)
    assert film.info.is_image
    (picture,) = film.strip(RULE).pictures
    with Image.open(io.BytesIO(base64.b64decode(picture.split(",")[1]))) as shown:
        assert shown.size == (1296, 432)


def test_a_film_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(films_module, "LIMITS", Limits(time_s=0.01))
    with pytest.raises(VideoError, match="longer than"):
        Film(sample("kangaroo"), RULE)


def test_an_upload_opens_under_its_name(desk):
    desk.wanted = upload("../../etc/my film.mp4", sample("badger").value.read_bytes())
    desk.open_wanted()
    assert desk.error is None
    assert desk.film.source.name == "../../etc/my film.mp4"
    assert desk.film.mime == "video/mp4"


def test_an_unreadable_file_is_told_and_the_film_before_stays(desk):
    desk.wanted = partial(sample, "kangaroo")
    desk.open_wanted()
    before = desk.film
    desk.wanted = upload("notes.txt", b"no film at all")
    desk.open_wanted()
    assert "notes.txt" in desk.error
    assert desk.film is before
    assert "\n" not in desk.error


def test_going_back_to_a_film_finds_its_conversation(desk):
    desk.wanted = partial(sample, "kangaroo")
    desk.open_wanted()
    desk.ask("What?")
    talk = desk.talk
    desk.wanted = partial(sample, "badger")
    desk.open_wanted()
    assert desk.talk is not talk
    assert desk.talk.rounds == []
    desk.wanted = partial(sample, "kangaroo")
    desk.open_wanted()
    assert desk.talk is talk


def test_only_so_many_films_stay_open(desk, tmp_path):
    data = sample("badger").value.read_bytes()
    for number in range(MAX_FILMS + 1):
        desk.wanted = upload(f"{number}.mp4", data + bytes([number]))
        desk.open_wanted()
        assert desk.error is None
    assert len(desk.opened) == MAX_FILMS
    assert desk.film.source.name == f"{MAX_FILMS}.mp4"


def test_a_link_is_fetched_into_memory(web):
    folder, url = web
    (folder / "film.mp4").write_bytes(sample("badger").value.read_bytes())
    source = fetch(f"{url}/film.mp4?key=secret", max_bytes=1 << 20)
    assert source.name == "film.mp4"
    assert Film(source, RULE).info.duration_s == pytest.approx(12)


@pytest.mark.parametrize(
    ("path", "said"),
    [("/film.mp4", "more than"), ("/missing.mp4", "404")],
)
def test_a_link_that_gives_no_film_is_told(web, path, said):
    folder, url = web
    (folder / "film.mp4").write_bytes(bytes(2000))
    with pytest.raises(VideoError, match=said):
        fetch(url + path, max_bytes=1000)


@pytest.mark.parametrize("url", ["/etc/passwd", "file:///etc/passwd", "ftp://example.org/a.mp4", "javascript:alert(1)"])
def test_only_web_addresses_are_links(url):
    with pytest.raises(VideoError, match="http"):
        fetch(url, max_bytes=1000)


def test_for_visitors_from_elsewhere_links_must_be_public(web):
    folder, url = web
    (folder / "film.mp4").write_bytes(sample("badger").value.read_bytes())
    with pytest.raises(VideoError, match="the host is not public"):
        fetch(f"{url}/film.mp4", max_bytes=1 << 20, hosts=PublicHosts())


def test_nobody_at_the_other_end_is_told():
    with pytest.raises(VideoError, match="cannot be fetched"):
        fetch("http://127.0.0.1:9/film.mp4", max_bytes=1000)
