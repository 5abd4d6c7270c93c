"""Films are kept once by content, for a time and within a size, and never taken from under who uses them."""

import pytest

from kangaroo.serving.errors import ApiError
from kangaroo.serving.shelf import Shelf
from kangaroo.video.source import VideoInfo, VideoSource

INFO = VideoInfo(
    name="film", container="mov", codec="h264", pixel_format="rgb", width_px=1, height_px=1, duration_s=1.0
)


class Clock:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def shelf(tmp_path, clock):
    return Shelf(tmp_path, max_bytes=30, upload_s=100.0, fetched_s=10.0, clock=clock)


def write(shelf, content):
    path = shelf.new_path()
    path.write_bytes(content)
    return path


def keep(shelf, content, *, url=None, upload=None):
    with shelf.keep(write(shelf, content)) as film:
        film.info = INFO
        if url is not None:
            shelf.add_url(film, url)
        return film, (shelf.add_upload(film, filename=upload, purpose="vision") if upload else None)


def has(shelf, **name):
    with shelf.lend(**name) as film:
        return film is not None and film.path.exists()


def test_one_content_is_one_film_to_the_model_too(shelf, tmp_path):
    first, _ = keep(shelf, b"film", url="http://a")
    fingerprint = VideoSource(first.path).fingerprint()
    again, _ = keep(shelf, b"film", upload="b.mp4")
    assert again is first
    assert [path.name for path in tmp_path.iterdir()] == [first.path.name]
    assert VideoSource(again.path).fingerprint() == fingerprint
    assert shelf.num_bytes == 4


def test_films_go_when_their_time_is_over(shelf, clock):
    _, upload = keep(shelf, b"uploaded", upload="a.mp4")
    keep(shelf, b"fetched", url="http://a")
    clock.now_s += 9
    assert has(shelf, url="http://a")
    clock.now_s += 9
    assert not has(shelf, url="http://a")  # what a URL leads to may change
    assert [one.id for one in shelf.uploads()] == [upload.id]
    clock.now_s += 100
    assert not has(shelf, upload=upload.id)
    assert shelf.uploads() == []
    assert shelf.num_bytes == 0


def test_what_was_fetched_makes_room_and_uploads_do_not(shelf, clock):
    old, _ = keep(shelf, b"1" * 10, url="http://old")
    _, upload = keep(shelf, b"2" * 10, upload="a.mp4")
    clock.now_s += 1
    keep(shelf, b"3" * 10, url="http://new")
    keep(shelf, b"4" * 10)
    assert not old.path.exists()
    assert not has(shelf, url="http://old")
    assert has(shelf, url="http://new")
    assert has(shelf, upload=upload.id)
    with pytest.raises(ApiError, match="no room") as caught, shelf.keep(write(shelf, b"5" * 21)):
        pass
    assert caught.value.status_code == 507


def test_a_film_in_use_stays(shelf, clock):
    _, upload = keep(shelf, b"1" * 20, upload="a.mp4")
    with shelf.lend(upload=upload.id) as film:
        assert shelf.delete_upload(upload.id)
        assert not shelf.delete_upload(upload.id)
        clock.now_s += 1000
        shelf.uploads()
        with pytest.raises(ApiError, match="no room"), shelf.keep(write(shelf, b"2" * 20)):
            pass
        assert film.path.exists()
    keep(shelf, b"2" * 20)
    assert not film.path.exists()


def test_what_could_not_be_opened_is_not_kept(shelf, tmp_path):
    with shelf.keep(write(shelf, b"text")):
        pass
    assert list(tmp_path.iterdir()) == []
