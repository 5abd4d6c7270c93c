"""What cannot be read is one clear error; what can be read in part answers with what there is and says so."""

import numpy as np
import pytest
from films import encode, encode_image, encode_sound, numbers_in, picture, save, tiled_avif

from kangaroo.errors import VideoError
from kangaroo.video.decode import plan_frames, read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

ALL = FrameSampler(num_frames=10_000)
GROUPS = {"g": "20"}


@pytest.fixture(scope="module")
def made():
    films = {}

    def make(container, **options):
        key = (container, *options)
        if key not in films:
            films[key] = encode(num_frames=200, container=container, options=GROUPS, **options)
        return films[key]

    return make


def front_index(made):
    return made("mp4", container_options={"movflags": "faststart"})


def overwrite(data, start, end):
    """Put noise over a share of the bytes."""
    first, last = int(len(data) * start), int(len(data) * end)
    noise = np.random.default_rng(0).integers(0, 256, last - first, dtype=np.uint8).tobytes()
    return data[:first] + noise + data[last:]


UNREADABLE = {
    "zero bytes": (lambda made: b"", "empty"),
    "noise": (lambda made: overwrite(bytes(5000), 0, 1), "not a video that can be read"),
    "text": (lambda made: b"once upon a time\n" * 300, "text, not a video"),
    "web page": (lambda made: b"<!DOCTYPE html><html><body>404</body></html>", "text file"),
    "header cut off": (lambda made: front_index(made)[:500], "moov"),
    "index at a missing end": (lambda made: made("mp4")[: len(made("mp4")) // 2], "moov"),
    "matroska header alone": (lambda made: made("matroska")[:400], "header is damaged"),
    "sound in mp4": (lambda made: encode_sound("mp4", "aac"), "only sound"),
    "sound in wav": (lambda made: encode_sound("wav", "pcm_s16le"), "only sound"),
    "sound in mp3 with an mp4 name": (lambda made: encode_sound("mp3", "libmp3lame"), "only sound"),
    "a picture in tiles": (lambda made: tiled_avif(), "stored in tiles, which are not read; save it as JPEG"),
    "half a png": (lambda made: encode_image(picture(3))[:80], "decoded"),
    "start of a jpeg": (lambda made: encode_image(picture(3), codec="mjpeg", pixel_format="yuvj420p")[:50], "decoded"),
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("act", [lambda s: s.open(), lambda s: read_frames(s, ALL, size_px=32)], ids=["open", "read"])
def test_what_cannot_be_read_names_the_file_and_the_reason(made, tmp_path, name, act):
    make, reason = UNREADABLE[name]
    path = save(tmp_path, "film.mp4", make(made))
    with pytest.raises(VideoError) as caught:
        act(VideoSource(path))
    message = str(caught.value)
    assert str(path) in message
    assert reason in message
    assert "\n" not in message


def test_missing_and_unusable_paths(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for value, reason in [
        (tmp_path / "none.mp4", "no such file"),
        (empty, "holds no image"),
        ("a\0b.mp4", "no such file|not a usable path"),
        ("x" * 5000, "not a usable path"),
        ("/dev/zero", "neither a file nor a folder"),
        ("rtsp://127.0.0.1/film", "'rtsp' URLs are not read"),
        ("", "no path"),
    ]:
        for act in (lambda s: s.open(), lambda s: read_frames(s, ALL, size_px=8), lambda s: plan_frames(s, ALL)):
            with pytest.raises(VideoError, match=reason):
                act(VideoSource(value))


def test_messages_never_show_bytes():
    for value in (b"\x00\x01secret" * 500, "data:video/mp4;base64,c2VjcmV0" + "c2VjcmV0" * 400):
        with pytest.raises(VideoError) as caught:
            VideoSource(value).open()
        assert len(str(caught.value)) < 250
        assert "secret" not in str(caught.value)
        assert "c2Vj" not in str(caught.value)


def test_a_wrong_ending_does_not_matter(made, tmp_path):
    for name in ("film.avi", "film.txt", "film", "film.jpg", "film.m3u8"):
        frames = read_frames(
            VideoSource(save(tmp_path, name, made("matroska"))), FrameSampler(num_frames=4), size_px=32
        )
        assert numbers_in(frames.pixels) == [25, 75, 125, 175]


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi"])
def test_a_film_cut_off_in_the_middle_answers_with_its_start(made, container):
    data = front_index(made) if container == "mp4" else made(container)
    film = VideoSource(data[: len(data) * 2 // 3])
    frames = read_frames(film, FrameSampler(num_frames=4), size_px=32)
    assert len(frames) == 4
    assert 2.0 < frames.times_s[-1] < 8.0
    assert numbers_in(frames.pixels)[0] == round(frames.times_s[0] * 20) or container == "avi"
    assert any("cut off" in note for note in frames.notes)
    assert any("cut off" in note for note in plan_frames(film, ALL).notes)


def test_damage_in_the_middle_is_noted_and_the_rest_is_exact(made):
    frames = read_frames(VideoSource(overwrite(front_index(made), 0.5, 0.6)), ALL, size_px=32)
    whole = read_frames(VideoSource(front_index(made)), ALL, size_px=32)
    sound_rows = [int(np.abs(whole.times_s - time_s).argmin()) for time_s in frames.times_s]
    assert (frames.times_s == whole.times_s[sound_rows]).all()
    same = (frames.pixels == whole.pixels[sound_rows]).all(axis=(1, 2, 3))
    assert 120 < same.sum() <= len(frames) < 200
    assert same[:20].all()
    assert same[-120:].all()
    assert any("damaged" in note for note in frames.notes)


def test_lost_transport_packets_are_noted(made):
    data = made("mpegts")
    third = len(data) // 3 // 188 * 188
    frames = read_frames(VideoSource(data[:third] + data[third + 20 * 188 :]), ALL, size_px=32)
    assert 150 < len(frames) < 200
    assert any("damaged" in note for note in frames.notes)


def test_half_a_jpeg_answers_and_says_so(tmp_path):
    jpeg = encode_image(overwrite_picture(), codec="mjpeg", pixel_format="yuvj420p")
    assert read_frames(VideoSource(jpeg), ALL, size_px=32).notes == ()
    assert read_frames(VideoSource(jpeg[: len(jpeg) // 2]), ALL, size_px=32).notes == ("the picture is cut off",)


def overwrite_picture():
    return np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)


def test_half_a_gif_answers_and_says_so():
    gif = encode(num_frames=30, codec="gif", container="gif", pixel_format="rgb8", fps=10)
    frames = read_frames(VideoSource(gif[: len(gif) // 2]), ALL, size_px=32)
    assert numbers_in(frames.pixels)[:10] == list(range(10))
    assert any("cut off" in note for note in frames.notes)


@pytest.mark.parametrize("second_start_s", [0.5, 3.0])
def test_timestamps_that_go_backwards_are_laid_end_to_end(second_start_s):
    parts = [
        encode(num_frames=50, container="mpegts", start_s=start_s, options=GROUPS)
        for start_s in (100.0, second_start_s)
    ]
    film = VideoSource(b"".join(parts))
    frames = read_frames(film, ALL, size_px=32)
    assert numbers_in(frames.pixels) == [*range(50), *range(50)]
    assert (np.diff(frames.times_s) > 0).all()
    assert frames.times_s[-1] == pytest.approx(4.95, abs=0.1)
    assert any("times from there on are guessed" in note for note in frames.notes)
    sparse = read_frames(film, FrameSampler(num_frames=4), size_px=32)
    assert numbers_in(sparse.pixels) == [12, 37, 12, 37]


def test_an_unknown_duration_is_measured():
    live = encode(num_frames=60, codec="libvpx-vp9", container="webm", container_options={"live": "1"})
    assert VideoSource(live).open().duration_s == pytest.approx(3.0)
    frames = read_frames(VideoSource(live), FrameSampler(num_frames=3), size_px=32)
    assert numbers_in(frames.pixels) == [10, 30, 50]
    assert frames.notes == ()


def test_a_header_that_claims_a_giant_picture_is_refused():
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    with pytest.raises(VideoError, match="decoded"):
        read_frames(VideoSource(bomb), ALL, size_px=8)


def test_a_folder_that_holds_a_link_to_nothing_is_told(tmp_path):
    (tmp_path / "1.png").symlink_to("nowhere")
    with pytest.raises(VideoError, match="cannot be looked at"):
        VideoSource(tmp_path).fingerprint()
