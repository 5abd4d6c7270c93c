"""One suite over all that a film can be: the right frame comes back, at its right time, by every road."""

import subprocess
import sys
import time
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from films import encode, encode_image, number_in, numbers_in, picture, save, with_edits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kangaroo.errors import OptionError, VideoError
from kangaroo.video.container import open_container
from kangaroo.video.decode import Resize, plan_frames, read_frames
from kangaroo.video.sampler import Align, FrameSampler
from kangaroo.video.source import VideoSource
from kangaroo.video.timeline import read_timeline
from kangaroo.video.write import write_video

QUIET_X265 = "log-level=none"
UNEVEN_S = tuple(np.cumsum(np.tile([0.04, 0.2, 0.01, 0.5, 0.06], 24)).round(3) - 0.04)
NUM = 120
ALL = FrameSampler(num_frames=10_000)

FILMS = {
    "h264": {},
    "h264 open gop": {"options": {"x264-params": "open-gop=1:keyint=15:bframes=3:b-pyramid=normal:scenecut=0"}},
    "h264 intra refresh": {"container": "mpegts", "options": {"x264-params": "intra-refresh=1:keyint=20"}},
    "h264 intra only": {"options": {"g": "1"}},
    "h264 ten bit": {"pixel_format": "yuv420p10le", "options": {"g": "20"}},
    "h264 in avi, which stores no order": {"container": "avi", "options": {"g": "20"}},
    "h264 in flv": {"container": "flv", "options": {"g": "20"}},
    "h264 without container": {"container": "h264", "fps": 25, "options": {"g": "20"}},
    "h264 without container, ten a second": {"container": "h264", "fps": 10, "options": {"g": "20"}},
    "h264 in fragments": {"container_options": {"movflags": "frag_keyframe+empty_moov"}, "options": {"g": "20"}},
    "h264 with sound": {"with_sound": True, "options": {"g": "20"}},
    "hevc": {"codec": "libx265", "options": {"x265-params": f"{QUIET_X265}:keyint=20"}},
    "hevc ten bit": {
        "codec": "libx265",
        "pixel_format": "yuv420p10le",
        "options": {"x265-params": f"{QUIET_X265}:keyint=20:open-gop=1"},
    },
    "vp8 with hidden frames": {
        "codec": "libvpx",
        "container": "webm",
        "options": {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "12", "cpu-used": "8", "deadline": "realtime"},
    },
    "vp9": {
        "codec": "libvpx-vp9",
        "container": "webm",
        "options": {"g": "20", "deadline": "realtime", "cpu-used": "8"},
    },
    "av1": {"codec": "libsvtav1", "options": {"g": "20", "preset": "13"}},
    "mpeg4 in avi": {"codec": "mpeg4", "container": "avi", "options": {"g": "12", "bf": "2"}},
    "mpeg2 programme stream": {
        "codec": "mpeg2video",
        "container": "mpeg",
        "fps": 25,
        "options": {"g": "12", "bf": "2"},
    },
    "mjpeg": {"codec": "mjpeg", "container": "avi", "pixel_format": "yuvj420p"},
    "prores": {"codec": "prores_ks", "container": "mov", "pixel_format": "yuv422p10le"},
    "ffv1 ten bit": {"codec": "ffv1", "container": "matroska", "pixel_format": "yuv420p10le"},
    "gif": {"codec": "gif", "container": "gif", "pixel_format": "rgb8", "fps": 10},
    "apng": {"codec": "apng", "container": "apng", "pixel_format": "rgb24"},
    "odd size": {"pixel_format": "yuv444p", "height": 47, "width": 65, "options": {"g": "20"}},
    "uneven rate in mp4": {"times_s": UNEVEN_S, "options": {"g": "20"}},
    "uneven rate in mkv": {"times_s": UNEVEN_S, "container": "matroska", "options": {"g": "20"}},
    "late start in ts": {"start_s": 5.0, "container": "mpegts", "options": {"g": "20"}},
    "late start in mkv": {"start_s": 5.0, "container": "matroska", "options": {"g": "20"}},
    "late start in mp4": {"start_s": 5.0, "options": {"g": "20"}},
    "turned 90": {"rotate_deg": 90, "options": {"g": "20"}},
    "turned 180": {"rotate_deg": 180, "options": {"g": "20"}},
    "turned 270": {"rotate_deg": 270, "options": {"g": "20"}},
    "one frame": {"num_frames": 1},
    "two frames": {"num_frames": 2},
}
WITHOUT_TIMES = {"h264 without container", "h264 without container, ten a second"}


@pytest.fixture(scope="module")
def film():
    """Encode each film once."""
    made = {}

    def make(name):
        if name not in made:
            made[name] = encode(**{"num_frames": NUM, **FILMS[name]})
        return VideoSource(made[name])

    return make


def shown_at(name):
    """The times at which the frames of a film were meant to be shown."""
    values = {"fps": 20, "num_frames": NUM, **FILMS[name]}
    return np.array(values.get("times_s", np.arange(values["num_frames"]) / values["fps"]))


@pytest.mark.parametrize("name", FILMS)
def test_every_frame_comes_once_and_at_its_time(film, name):
    frames = read_frames(film(name), ALL, size_px=32)
    times_s = shown_at(name)
    assert numbers_in(frames.pixels) == list(range(len(times_s)))
    assert frames.times_s == pytest.approx(times_s, abs=1e-3)
    assert bool(frames.notes) == (name in WITHOUT_TIMES)


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("num_frames", [1, 3, 8])
def test_sparse_reading_gives_the_frame_on_screen(film, name, num_frames):
    sampler = FrameSampler(num_frames=num_frames)
    frames = read_frames(film(name), sampler, size_px=32)
    times_s = shown_at(name)
    duration_s = plan_frames(film(name), sampler).duration_s
    on_screen = np.searchsorted(times_s, sampler.wanted_times(duration_s) + 1e-6, side="right") - 1
    assert numbers_in(frames.pixels) == np.unique(on_screen).tolist()[: len(times_s)]
    assert frames.times_s == pytest.approx(times_s[np.unique(on_screen)], abs=1e-3)


@pytest.mark.parametrize("name", FILMS)
def test_the_plan_is_what_decoding_gives(film, name):
    sampler = FrameSampler(num_frames=7, align=Align.EDGES)
    plan = plan_frames(film(name), sampler)
    assert plan.times_s == pytest.approx(read_frames(film(name), sampler, size_px=16).times_s)
    assert plan.num_decoded <= plan.num_frames == len(shown_at(name))


@pytest.mark.parametrize("name", ["h264 open gop", "hevc ten bit", "uneven rate in mkv", "late start in ts"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_clip_gives_the_pixels_of_decoding_everything(film, name, data):
    everything = read_frames(film(name), ALL, size_px=24)
    start_s = data.draw(st.floats(0, 5.5))
    sampler = FrameSampler(
        num_frames=data.draw(st.integers(1, 6)),
        align=data.draw(st.sampled_from(Align)),
        start_s=start_s,
        end_s=start_s + data.draw(st.floats(0.01, 6)),
    )
    frames = read_frames(film(name), sampler, size_px=24)
    rows = [int(np.abs(everything.times_s - time_s).argmin()) for time_s in frames.times_s]
    assert (frames.times_s == everything.times_s[rows]).all()
    assert (frames.pixels == everything.pixels[rows]).all()


def test_sparse_reading_decodes_only_the_groups_it_needs():
    film = VideoSource(encode(num_frames=200, options={"g": "20", "sc_threshold": "0"}))
    plan = plan_frames(film, FrameSampler(num_frames=4, align=Align.LEFT))
    assert plan.num_decoded < 80
    assert numbers_in(read_frames(film, FrameSampler(num_frames=4, align=Align.LEFT), size_px=32).pixels) == [
        0,
        50,
        100,
        150,
    ]


def test_snapping_takes_key_frames_within_its_tolerance():
    film = VideoSource(encode(num_frames=200, options={"g": "40", "sc_threshold": "0"}))  # a key frame every 2 s
    exact = FrameSampler(num_frames=5)  # wanted 1, 3, 5, 7, 9 s
    snapped = read_frames(film, FrameSampler(num_frames=5, snap_s=1.0), size_px=32)
    assert snapped.times_s.tolist() == pytest.approx([0, 2, 4, 6, 8])
    assert numbers_in(snapped.pixels) == [0, 40, 80, 120, 160]
    assert plan_frames(film, FrameSampler(num_frames=5, snap_s=1.0)).num_decoded == 5
    unmoved = read_frames(film, FrameSampler(num_frames=5, snap_s=0.9), size_px=32)
    assert (unmoved.times_s == read_frames(film, exact, size_px=32).times_s).all()


def test_a_clip_counts_from_the_films_first_frame():
    film = VideoSource(encode(num_frames=100, start_s=7.0, container="mpegts"))
    frames = read_frames(film, FrameSampler(num_frames=4, start_s=2.0, end_s=3.0, align=Align.LEFT), size_px=32)
    assert frames.times_s == pytest.approx([2.0, 2.25, 2.5, 2.75])
    assert numbers_in(frames.pixels) == [40, 45, 50, 55]


def test_a_clip_of_fewer_frames_than_wanted_gives_each_once():
    film = VideoSource(encode(num_frames=100))
    frames = read_frames(film, FrameSampler(start_s=1.0, end_s=1.25), size_px=32)
    assert numbers_in(frames.pixels) == [20, 21, 22, 23, 24]


def test_a_clip_past_the_end_is_noted_and_one_beyond_it_refused():
    film = VideoSource(encode(num_frames=40))
    assert any("ends at 2.0 s" in note for note in read_frames(film, FrameSampler(end_s=60.0), size_px=16).notes)
    with pytest.raises(OptionError, match=r"60 s .* 2\.000 s"):
        read_frames(film, FrameSampler(start_s=60.0), size_px=16)


def test_every_road_gives_the_same_tensor(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 50, 70, 3), dtype=np.uint8)
    expected = read_frames(VideoSource.from_arrays(pixels, fps=1.0), ALL, size_px=32)
    for index, frame in enumerate(pixels):
        save(tmp_path, f"frame{index}.png", encode_image(frame))
    import base64

    lossless = encode(pictures=list(pixels), codec="png", container="mov", pixel_format="rgb24", height=50, width=70)
    x264 = encode(
        pictures=list(pixels), codec="libx264rgb", pixel_format="bgr24", height=50, width=70, options={"qp": "0"}
    )
    film = save(tmp_path, "film.mov", lossless)
    roads = [film, str(film), film.as_uri(), lossless, x264, tmp_path]
    roads.append("data:video/quicktime;base64," + base64.b64encode(lossless).decode())
    for road in roads:
        frames = read_frames(VideoSource(road), ALL, size_px=32)
        assert (frames.pixels == expected.pixels).all(), road
    image = read_frames(VideoSource(tmp_path / "frame0.png"), ALL, size_px=32)
    assert (image.pixels[0] == expected.pixels[0]).all()
    assert image.times_s.tolist() == [0.0]


def test_an_image_is_one_frame_whatever_the_sampler_says(tmp_path):
    image = VideoSource(save(tmp_path, "a.png", encode_image(picture(9))))
    frames = read_frames(image, FrameSampler(start_s=30.0, num_frames=4), size_px=32)
    assert numbers_in(frames.pixels) == [9]
    assert plan_frames(image, FrameSampler()).times_s.tolist() == [0.0]


def test_a_folder_is_counted_as_a_person_counts(tmp_path):
    for number in range(12):
        save(tmp_path, f"frame{number}.png", encode_image(picture(number)))
    save(tmp_path, "notes.txt", b"not a picture")
    frames = read_frames(VideoSource(tmp_path, folder_fps=4.0), ALL, size_px=32)
    assert numbers_in(frames.pixels) == list(range(12))
    assert frames.times_s == pytest.approx(np.arange(12) / 4)


def test_a_folder_with_a_broken_image_answers_with_the_rest(tmp_path):
    for number in range(3):
        save(tmp_path, f"{number}.png", encode_image(picture(number)) if number != 1 else b"broken")
    frames = read_frames(VideoSource(tmp_path), ALL, size_px=32)
    assert numbers_in(frames.pixels) == [0, 2]
    assert frames.times_s.tolist() == [0.0, 2.0]
    assert any("1.png" in note for note in frames.notes)


def test_padding_keeps_the_shown_aspect_with_black_beside_it():
    wide = VideoSource(encode(num_frames=1, height=48, width=96))
    pixels = read_frames(wide, ALL, size_px=64, resize=Resize.PAD).pixels[0]
    assert pixels[:16].max() == 0
    assert pixels[48:].max() == 0
    assert number_in(pixels[16:48]) == 0
    tall_pixels = VideoSource(encode(num_frames=1, height=48, width=48, pixel_aspect=Fraction(2, 1)))
    pixels = read_frames(tall_pixels, ALL, size_px=64, resize=Resize.PAD).pixels[0]
    assert pixels[:15].max() == 0
    assert number_in(pixels[16:48]) == 0


def test_a_turned_film_is_padded_as_it_is_shown():
    film = VideoSource(encode(num_frames=3, height=48, width=96, rotate_deg=90))  # shown 48 wide, 96 high
    pixels = read_frames(film, ALL, size_px=(64, 64), resize=Resize.PAD).pixels[2]
    assert pixels[:, :16].max() == 0
    assert number_in(pixels[:, 16:48]) == 2


def test_memory_does_not_grow_with_the_film():
    def peak(num_frames):
        film = VideoSource(encode(num_frames=num_frames, height=96, width=128, options={"preset": "ultrafast"}))
        tracemalloc.start()
        read_frames(film, FrameSampler(num_frames=4), size_px=64)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak_bytes

    peak(50)
    short, long = peak(100), peak(1500)
    # what grows is the timeline: a few dozen bytes a frame, where a decoded frame has 18,000
    assert long - short < 1400 * 600


def test_a_film_that_cannot_seek_is_read_from_its_start(monkeypatch):
    from kangaroo.video import runs

    film = VideoSource(encode(num_frames=200, options={"g": "20"}))
    expected = read_frames(film, FrameSampler(num_frames=4), size_px=32)
    monkeypatch.setattr(runs.RunDecoder, "_arrived", lambda *_: (_ for _ in ()).throw(runs.SeekError))
    assert (read_frames(film, FrameSampler(num_frames=4), size_px=32).pixels == expected.pixels).all()


def test_the_timeline_equals_the_decoders_own_times(film):
    for name in ("h264 open gop", "hevc", "uneven rate in mp4"):
        with open_container(film(name)) as (container, stream):
            timeline = read_timeline(container, stream, name=name)
        with open_container(film(name)) as (container, stream):
            own = [float(frame.pts * stream.time_base) for frame in container.decode(stream)]
        assert timeline.times_s[timeline.shown] + timeline.start_s == pytest.approx(own)


@pytest.mark.parametrize(
    "late",
    [
        {"container": "flv"},
        {"container": "asf", "codec": "msmpeg4"},
        {"container": "avi", "codec": "mpeg4", "times_s": (0.0, *(5 + np.arange(1, 40) / 20))},
    ],
    ids=lambda late: late["container"],
)
def test_a_late_start_makes_no_film_longer_or_shorter(late):
    film = VideoSource(encode(**{"num_frames": 40, "start_s": 0.0 if "times_s" in late else 5.0, **late}))
    plan = plan_frames(film, ALL)
    assert plan.notes == ()
    assert plan.duration_s == pytest.approx(7.0 if "times_s" in late else 2.0, abs=0.06)
    assert film.open().duration_s == pytest.approx(plan.duration_s, abs=0.06)


def test_a_film_without_times_lasts_as_long_as_its_frames():
    film = VideoSource(encode(num_frames=30, container="h264", fps=10))
    assert plan_frames(film, ALL).duration_s == pytest.approx(3.0)
    assert film.open().fps == pytest.approx(10.0)


EDITS = {
    "its end": ((1.5, 3.5),),
    "its start": ((0.0, 2.0),),
    "two parts": ((1.5, 1.0), (3.0, 1.0)),
    "a part twice": ((0.0, 1.0), (0.0, 1.0)),
    "parts in another order": ((3.0, 1.5), (0.0, 2.0)),
}


@pytest.mark.parametrize("edits", EDITS.values(), ids=EDITS)
def test_an_edit_list_shows_its_stretches_one_after_another(edits):
    whole = encode(num_frames=100, options={"x264-params": "keyint=30:bframes=2:scenecut=0"})
    film = VideoSource(with_edits(whole, *edits))
    frames = read_frames(film, ALL, size_px=32)
    expected = [round(20 * at_s) + index for at_s, long_s in edits for index in range(round(20 * long_s))]
    assert numbers_in(frames.pixels) == expected
    assert frames.times_s == pytest.approx(np.arange(len(expected)) / 20)
    assert frames.notes == ()
    sparse = read_frames(film, FrameSampler(num_frames=4), size_px=32)
    assert numbers_in(sparse.pixels) == [expected[round(20 * time_s)] for time_s in sparse.times_s]


def test_whoever_gives_up_does_not_wait_for_the_other_decoders(monkeypatch):
    from kangaroo.video import decode

    monkeypatch.setattr(decode, "num_cores", lambda: 2)
    film = VideoSource(encode(num_frames=200, options={"g": "10"}))
    seen_s = []

    def interrupt(time_s, _):
        if time_s == 0:
            raise KeyboardInterrupt
        seen_s.append(time_s)
        time.sleep(0.02)

    with pytest.raises(KeyboardInterrupt):
        read_frames(film, ALL, size_px=16, watch=interrupt)
    assert len(seen_s) < 60  # of the 150 frames of the others


def test_an_unreadable_folder_names_a_reason(tmp_path):
    save(tmp_path, "a.png", b"broken")
    with pytest.raises(VideoError, match=r"no image of the folder can be read.*a\.png"):
        read_frames(VideoSource(tmp_path), ALL, size_px=32)


GROWN = """
import gc, sys
from pathlib import Path

from kangaroo.video.decode import read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

def peak_mib():
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024

gc.disable()
before = peak_mib()
read_frames(VideoSource(sys.argv[1]), FrameSampler(num_frames=120, fps=None), size_px=32)
print(peak_mib() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak of a process's memory there")
def test_pictures_of_the_films_size_are_let_go_of_one_by_one(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 255, (4, 720, 1280, 3), dtype=np.uint8)
    write_video(
        tmp_path / "film.mp4",
        (pictures[n % 4] for n in range(120)),
        fps=30.0,
        crf=40,
        preset="ultrafast",
        gop_frames=120,
    )
    grown = subprocess.run(
        [sys.executable, "-c", GROWN, str(tmp_path / "film.mp4")], capture_output=True, text=True, check=True
    )
    assert float(grown.stdout) < 80  # all 120 together are 158 MiB
