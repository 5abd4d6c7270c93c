"""A loopback OpenAI-compatible server whose answers a test decides and whose questions it counts."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Talk:
    """What a server was asked, and what it says: a function of the request's text, or a status that is no 200."""

    def __init__(self, say):
        self.say = say
        self.asked = []
        self.keys = []
        self.url = ""
        self.lock = threading.Lock()


def text_of(request):
    content = request["messages"][-1]["content"]
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


@contextmanager
def talking(say, *, model="talker"):
    """Lend a server; `say` gets the text of each question and returns an answer or a status."""
    talk = Talk(say)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_args):
            pass

        def do_GET(self):
            talk.keys.append(self.headers["authorization"])
            self.send(200, json.dumps({"object": "list", "data": [{"id": model, "object": "model"}]}))

        def do_POST(self):
            talk.keys.append(self.headers["authorization"])
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with talk.lock:
                talk.asked.append(request)
                said = talk.say(text_of(request))
            if isinstance(said, int):
                self.send(said, json.dumps({"error": {"message": "not now"}}))
                return
            reason = "length" if said.endswith(" ...") else "stop"
            chunks = [
                {"choices": [{"index": 0, "delta": {"content": said.removesuffix(" ...")}, "finish_reason": None}]},
                {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
                {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}},
            ]
            common = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": model}
            lines = "".join(f"data: {json.dumps(common | one)}\n\n" for one in chunks)
            self.send(200, f"{lines}data: [DONE]\n\n", kind="text/event-stream")

        def send(self, status, text, kind="application/json"):
            body = text.encode()
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        talk.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield talk
        finally:
            server.shutdown()
