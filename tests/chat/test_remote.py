"""What goes to a server is what every such server takes; whatever it does wrong is one clear line."""

import base64
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from taught import ANSWERS, BLUE, FIRST, RED, SECOND, colour_pixels, film

from kangaroo.chat.answerer import FinishReason, Sampling
from kangaroo.chat.remote import RemoteAnswerer
from kangaroo.cli import run
from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.errors import EndpointError, OptionError
from kangaroo.video.decode import read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource
from kangaroo.video.write import write_video

ASKED = Conversation().ask("Who are you?")


def chunk(**choice):
    return b"data: " + json.dumps({"choices": [{"index": 0, **choice}]}).encode() + b"\n\n"


@pytest.fixture
def scripted(monkeypatch):
    """Make a server that answers every question with the same bytes, and note what it was asked."""
    monkeypatch.setattr("openai._constants.INITIAL_RETRY_DELAY", 0.0)
    servers, requests = [], []

    def make(body, *, status=200, kind="text/event-stream", models=("roo",), length=None):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                names = json.dumps({"data": [{"id": name} for name in models]}).encode()
                self.answer(200, names, "application/json")

            def do_POST(self):
                requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.answer(status, body, kind, length)

            def answer(self, status, body, kind, length=None):
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(length or len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    make.requests = requests
    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


GOOD = chunk(delta={"content": "Hi"}) + chunk(delta={}, finish_reason="stop") + b"data: [DONE]\n\n"


def test_a_film_goes_as_timed_pictures_in_its_own_shape(scripted, tmp_path):
    path = tmp_path / "wide.mp4"
    write_video(path, colour_pixels(RED).repeat(20, axis=2)[:, :40], fps=2.0)
    answerer = RemoteAnswerer(scripted(GOOD))
    session = answerer.chat(path, num_frames=3)
    assert session.ask(FIRST).preflight == "3 frames over 3.0 s -> roo"
    assert session.last.read().text == "Hi"
    session.ask(SECOND).read()
    first, second = scripted.requests
    (message,) = first["messages"]
    assert [part["type"] for part in message["content"]] == ["text", "image_url"] * 3 + ["text"]
    assert [part["text"] for part in message["content"] if "text" in part] == ["[0.5 s]", "[1.5 s]", "[2.5 s]", FIRST]
    assert second["messages"][:2] == [message, {"role": "assistant", "content": "Hi"}]
    url = message["content"][1]["image_url"]["url"]
    jpeg = base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))
    info = VideoSource(jpeg).open()
    assert (info.width_px, info.height_px) == (448, 16)
    seen = read_frames(VideoSource(jpeg), FrameSampler(), size_px=(16, 448)).pixels[0]
    sent = read_frames(VideoSource(path), FrameSampler(num_frames=3), size_px=(16, 448)).pixels[0]
    assert abs(seen.astype(int) - sent.astype(int)).max() < 12


def test_a_picture_goes_without_a_time(scripted):
    answerer = RemoteAnswerer(scripted(GOOD))
    picture = VideoSource.from_arrays(colour_pixels(BLUE, 1), times_s=[0.0])
    assert answerer.chat(picture).ask(FIRST).read().preflight == "1 image -> roo"
    assert [part["type"] for part in scripted.requests[0]["messages"][0]["content"]] == ["image_url", "text"]


def test_a_server_that_does_not_count_tokens_is_not_counted_for(scripted):
    answer = RemoteAnswerer(scripted(GOOD)).answer(ASKED).read()
    assert (answer.prompt_tokens, answer.new_tokens, answer.visual_tokens) == (None, None, None)


def test_all_options_reach_the_server(scripted):
    answerer = RemoteAnswerer(scripted(GOOD), "big")
    answerer.answer(ASKED, Sampling(temperature=0.5, top_p=0.8, seed=3, max_new_tokens=7, stop=("x",))).read()
    request = scripted.requests[0]
    assert request["model"] == "big"
    wanted = {"temperature": 0.5, "top_p": 0.8, "seed": 3, "max_tokens": 7, "stop": ["x"], "stream": True}
    assert {name: request[name] for name in wanted} == wanted


def test_other_ends_than_stop_and_length_are_noted(scripted):
    ended = chunk(delta={"content": "I"}) + chunk(delta={}, finish_reason="content_filter") + b"data: [DONE]\n\n"
    answer = RemoteAnswerer(scripted(ended)).answer(ASKED).read()
    assert answer.finish_reason is FinishReason.STOP
    assert answer.notes == ("the server ended the answer: content_filter",)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "fewer --frames"),
        (401, "set OPENAI_API_KEY"),
        (403, "forbids this"),
        (404, "does not know the model 'roo'"),
        (413, "too large"),
        (429, "try again later"),
        (500, "failed with status 500"),
    ],
)
def test_a_refusal_is_one_line_with_the_servers_own_words(scripted, status, message):
    body = json.dumps({"error": {"message": "own\nwords"}}).encode()
    answer = RemoteAnswerer(scripted(body, status=status, kind="application/json")).answer(ASKED)
    with pytest.raises(EndpointError, match=message) as caught:
        answer.read()
    assert "own words" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "kind", "length"),
    [
        (b"<html>hello</html>", "text/html", None),
        (b"", "text/event-stream", None),
        (b"data: {not json}\n\n", "text/event-stream", None),
        (b'data: {"error": {"message": "out of memory"}}\n\n', "text/event-stream", None),
        (b'data: {"choices": 5}\n\n', "text/event-stream", None),
        (b"data: " + b"[" * 200_000 + b"\n\n", "text/event-stream", None),
        (chunk(delta={"content": 5}, finish_reason="stop"), "text/event-stream", None),
        (chunk(delta={"content": [{"type": "text", "text": "B"}]}), "text/event-stream", None),
        (b'{"choices": [{"message": {"content": "Hi"}}]}', "application/json", None),
        (chunk(delta={"content": "Hi"}), "text/event-stream", None),
        (chunk(delta={"content": "Hi"}), "text/event-stream", 9999),
    ],
)
def test_what_is_no_whole_chat_completion_is_an_error(scripted, body, kind, length):
    answer = RemoteAnswerer(scripted(body, kind=kind, length=length)).answer(ASKED)
    with pytest.raises(EndpointError, match="http://127") as caught:
        answer.read()
    assert "\n" not in str(caught.value)
    assert answer.finish_reason is FinishReason.CANCELLED


END = chunk(delta={}, finish_reason="stop") + b"data: [DONE]\n\n"


def test_characters_cut_in_two_are_joined_and_halves_replaced(scripted):
    pieces = ("a\ud83d", "", "\ude00b", "\ud83d", "c", "\ude00", "\ud83d")
    body = b"".join(chunk(delta={"content": piece}) for piece in pieces)
    assert RemoteAnswerer(scripted(body + END)).answer(ASKED).read().text == "a\U0001f600b\ufffdc\ufffd\ufffd"


@pytest.mark.parametrize("delta", [{"content": "A" * 1000}, {"content": "A"}, {"reasoning": "A"}])
def test_an_answer_that_does_not_stop_is_given_up(scripted, delta):
    answer = RemoteAnswerer(scripted(chunk(delta=delta) * 2000 + END)).answer(ASKED, Sampling(max_new_tokens=8))
    with pytest.raises(EndpointError, match="does not stop after 8 tokens; does it heed max_tokens"):
        answer.read()
    assert len(answer.text) <= 12 * 256


def test_an_answer_of_the_longest_tokens_comes_whole(scripted):
    answer = RemoteAnswerer(scripted(chunk(delta={"content": " " * 128}) * 8 + END)).answer(
        ASKED, Sampling(max_new_tokens=8)
    )
    assert len(answer.read().text) == 8 * 128


@pytest.mark.parametrize("usage", [{}, {"prompt_tokens": "many", "completion_tokens": None}])
def test_a_number_of_tokens_that_is_none_is_left_out(scripted, usage):
    counted = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
    answer = RemoteAnswerer(scripted(chunk(delta={"content": "Hi"}) + counted + END)).answer(ASKED).read()
    assert (answer.text, answer.prompt_tokens, answer.new_tokens) == ("Hi", None, None)


def test_what_was_said_before_a_break_stays_in_the_session(scripted):
    session = RemoteAnswerer(scripted(chunk(delta={"content": "Hi"}))).chat()
    with pytest.raises(EndpointError):
        session.ask("Who are you?").read()
    assert session.conversation.turns[-1].text == "Hi"


def test_a_server_that_lists_no_model_must_be_told_one(scripted):
    url = scripted(GOOD, models=())
    with pytest.raises(EndpointError, match="lists no model; name one with --model"):
        RemoteAnswerer(url).answer(ASKED)
    assert RemoteAnswerer(url, "roo").answer(ASKED).read().text == "Hi"


def test_an_endpoint_must_be_a_url_and_there(scripted):
    for endpoint in ("localhost:8000", "ftp://x", "http://", ""):
        with pytest.raises(OptionError, match="is no URL"):
            RemoteAnswerer(endpoint)
    with pytest.raises(EndpointError, match=r"cannot be reached .* is the server running"):
        RemoteAnswerer("http://127.0.0.1:9").answer(ASKED)
    assert RemoteAnswerer("http://x").endpoint == "http://x/v1"
    assert RemoteAnswerer("http://x/api/").endpoint == "http://x/api"


def test_pictures_are_made_once(scripted, monkeypatch):
    answerer = RemoteAnswerer(scripted(GOOD))
    session = answerer.chat(film(RED).source)
    session.ask(FIRST).read()
    monkeypatch.setattr("kangaroo.chat.remote.take_pictures", None)
    session.ask(SECOND).read()
    assert scripted.requests[1]["messages"][0] == scripted.requests[0]["messages"][0]


def test_the_command_line_asks_an_endpoint(endpoint, films, capsys):
    arguments = ["chat", str(films[RED]), FIRST, "--endpoint", endpoint]
    assert run(arguments) == 0
    assert capsys.readouterr() == (f"{ANSWERS[RED, FIRST]}\n", "6 frames over 3.0 s -> taught\n")
    assert run([*arguments, "--frames", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["model"], told["frames"], told["times_s"]) == ("taught", 2, [0.5, 2.0])
    assert told["visual_tokens"] is None
    assert told["prompt_tokens"] > told["new_tokens"] > 0
    assert run([*arguments, "--model", "other", "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error == f"{endpoint}/v1 does not know the model 'other'; check --model (no model is called other)"


def test_a_film_that_was_prepared_is_not_read_again(scripted, tmp_path):
    path = tmp_path / "film.mp4"
    write_video(path, colour_pixels(RED), fps=2.0)
    answer = chunk(delta={"content": "well"}) + chunk(delta={}, finish_reason="stop") + b"data: [DONE]\n\n"
    remote = RemoteAnswerer(scripted(answer))
    asked = Conversation().ask(FIRST, Video(VideoSource(path)))
    remote.prepare(asked)
    state = path.stat()
    path.write_bytes(bytes(state.st_size))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # nobody can tell that its pictures are gone
    assert remote.answer(asked).read().text == "well"
    assert len(scripted.requests) == 1
