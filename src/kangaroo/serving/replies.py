"""What a client gets, in OpenAI's form. The key `kangaroo` adds what OpenAI has no name for: which frames were seen."""

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from kangaroo.chat.answerer import Answer, FinishReason
from kangaroo.serving.shelf import Upload


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One completion's name and form."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created_s: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return an answer that has ended."""
        message = {"role": "assistant", "content": answer.text}
        choice = {"index": 0, "message": message, "finish_reason": _reason(answer), "logprobs": None}
        return self._named("chat.completion", [choice]) | {"usage": _usage(answer), "kangaroo": _seen(answer)}

    def begin(self) -> bytes:
        """Return the chunk that says who speaks."""
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, text: str) -> bytes:
        """Return a chunk of text."""
        return self._chunk({"content": text})

    def end(self, answer: Answer, *, usage: bool) -> bytes:
        """Return the last chunks and the mark that ends a stream."""
        last = self._chunk({}, finish_reason=_reason(answer), kangaroo=_seen(answer))
        if usage:
            last += event(self._named("chat.completion.chunk", []) | {"usage": _usage(answer)})
        return last + b"data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, str], *, finish_reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return event(self._named("chat.completion.chunk", [choice]) | more)

    def _named(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created_s, "model": self.model, "choices": choices}


def event(value: dict[str, Any]) -> bytes:
    """Return a value as one event of a stream."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def file_object(upload: Upload) -> dict[str, Any]:
    """Return an upload as clients read it."""
    return {
        "id": upload.id,
        "object": "file",
        "bytes": upload.film.num_bytes,
        "created_at": int(upload.created_s),
        "expires_at": int(upload.expires_s),
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": "processed",
    }


def _reason(answer: Answer) -> str:
    return "length" if answer.finish_reason is FinishReason.LENGTH else "stop"


def _usage(answer: Answer) -> dict[str, Any]:
    prompt, new = answer.prompt_tokens or 0, answer.new_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": new,
        "total_tokens": prompt + new,
        "prompt_tokens_details": {
            "cached_tokens": answer.cached_tokens or 0,
            "visual_tokens": answer.visual_tokens or 0,
        },
    }


def _seen(answer: Answer) -> dict[str, Any]:
    times_s = [[round(time_s, 6) for time_s in film] for film in answer.times_s]
    return {"seen": answer.preflight, "times_s": times_s, "notes": list(answer.notes)}
