"""A file must not open other files or the network, whatever it is called and whatever stands in it."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import pytest
from films import encode, encode_image, picture, save

from kangaroo.errors import VideoError
from kangaroo.video.container import ALLOWED_DEMUXERS
from kangaroo.video.decode import read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

CONCAT = "ffconcat version 1.0\nfile 'secret.mp4'\n"
PLAYLIST = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n{target}\n#EXT-X-ENDLIST\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S">'
    '<Period><AdaptationSet><Representation id="1" bandwidth="1"><BaseURL>{target}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>"
)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="{target}" width="9" height="9"/></svg>'
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"


@pytest.fixture
def network():
    """A server on this machine that counts who asks."""
    asked = []

    class Count(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Count)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_concat_script_is_a_real_threat(tmp_path):
    save(tmp_path, "secret.mp4", encode(num_frames=3))
    with av.open(str(save(tmp_path, "film.mp4", CONCAT.encode()))) as unfenced:
        assert unfenced.format.name == "concat"
        assert len(list(unfenced.decode(video=0))) == 3


@pytest.mark.parametrize("name", ["film.mp4", "film.ffconcat", "film.m3u8", "film.mpd", "film.svg", "film.sdp"])
@pytest.mark.parametrize("script", [CONCAT, PLAYLIST, DASH, SVG, SDP], ids=["concat", "hls", "dash", "svg", "sdp"])
def test_no_script_opens_another_file_or_the_network(tmp_path, network, name, script):
    url, asked = network
    save(tmp_path, "secret.mp4", encode(num_frames=3))
    for target in ("secret.mp4", str(tmp_path / "secret.mp4"), f"{url}/secret.mp4", f"file:{tmp_path}/secret.mp4"):
        text = script.replace("{target}", target).replace("secret.mp4", target, 1) if script is CONCAT else script
        path = save(tmp_path, name, text.replace("{target}", target).encode())
        for source in (VideoSource(path), VideoSource(path.read_bytes())):
            with pytest.raises(VideoError, match=r"not read|text|not a video|decoded"):
                read_frames(source, FrameSampler(), size_px=8)
            with pytest.raises(VideoError):
                source.open()
    assert asked == []


def test_names_with_patterns_are_plain_names(tmp_path):
    save(tmp_path, "a1.png", encode_image(picture(1)))
    for name in ("a%d.png", "a*.png", "a?.png", "concat:a1.png|a1.png", "file:a1.png", "pipe:0", "lavfi:testsrc"):
        with pytest.raises(VideoError, match="no such file"):
            VideoSource(tmp_path / name).open()
        with pytest.raises(VideoError, match="no such file"):
            VideoSource(name).open()


def test_the_allow_list_holds_no_format_that_opens_files_or_devices():
    openers = {"concat", "hls", "dash", "image2", "sdp", "rtsp", "lavfi", "imf", "webm_dash_manifest", "tty", "vobsub"}
    openers |= {
        "avs",
        "vapoursynth",
        "alsa",
        "fbdev",
        "v4l2",
        "x11grab",
        "kmsgrab",
        "svg_pipe",
        "ffmetadata",
        "nistsphere",
    }
    assert openers.isdisjoint(ALLOWED_DEMUXERS)
    assert len(set(ALLOWED_DEMUXERS)) == len(ALLOWED_DEMUXERS)


def test_cover_art_is_no_film():
    import io

    import numpy as np

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as output:
        sound = output.add_stream("libmp3lame", rate=16000)
        cover = output.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        output.start_encoding()
        frame = av.VideoFrame.from_ndarray(picture(3), format="rgb24")
        frame.pts = 0
        output.mux(cover.encode(frame))
        block = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), format="s16p", layout="mono")
        block.sample_rate, block.pts = 16000, 0
        output.mux(sound.encode(block))
        output.mux(sound.encode(None))
    with pytest.raises(VideoError, match="only sound"):
        VideoSource(buffer.getvalue()).open()
