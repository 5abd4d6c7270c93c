"""A running server as tests see it: what it answers, and what reached its vision tower."""

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Server:
    """Where it listens, and what reached its vision tower so far."""

    url: str
    folder: Path

    def answer(self, messages, **options):
        """Return the whole reply to a greedy question."""
        from openai import OpenAI

        client = OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=120)
        return client.chat.completions.create(
            model="joey", messages=messages, temperature=0, max_tokens=512, extra_body=options
        )

    def seen(self):
        """Return one file for each film that reached the vision tower, the last one last."""
        return sorted(self.folder.glob("*.pt"), key=lambda file: int(file.stem))


def film_part(path):
    return {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{b64encode(path.read_bytes()).decode()}"}}


def message(question, *films):
    parts = [film_part(film) for film in films]
    return {"role": "user", "content": [*parts, {"type": "text", "text": question}]}
