"""A small OpenAI-compatible server: answers streaming chat completions with a model's folder.

Run as `python openai_server.py FOLDER`; its first line of output is its URL.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch

import kangaroo
from kangaroo.chat.answerer import Sampling
from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import KangarooError


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args):
        pass

    def do_GET(self):
        self.send_json(200, {"object": "list", "data": [{"id": answerer.name, "object": "model"}]})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if request["model"] != answerer.name:
            self.send_json(404, {"error": {"message": f"no model is called {request['model']}"}})
            return
        assert request.pop("stream") is True
        assert request.pop("stream_options") == {"include_usage": True}
        try:
            sampling = Sampling(
                temperature=request.pop("temperature"),
                top_p=request.pop("top_p"),
                max_new_tokens=request.pop("max_tokens"),
                seed=request.pop("seed", None),
                stop=tuple(request.pop("stop", ())),
            )
            answer = answerer.answer(Conversation.from_messages(request.pop("messages")), sampling)
        except KangarooError as error:
            self.send_json(400, {"error": {"message": str(error)}})
            return
        assert set(request) == {"model"}, f"what is {set(request)}?"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        try:
            for text in answer:
                self.send_chunk(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}])
            self.send_chunk(choices=[{"index": 0, "delta": {}, "finish_reason": str(answer.finish_reason)}])
            usage = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.new_tokens}
            self.send_chunk(choices=[], usage=usage | {"total_tokens": sum(usage.values())})
            self.wfile.write(b"data: [DONE]\n\n")
        except ConnectionError:
            answer.close()  # who asked has left

    def send_chunk(self, **fields):
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": answerer.name, **fields}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())

    def send_json(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    torch.set_num_threads(1)
    answerer = kangaroo.load(sys.argv[1], device="cpu")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
