"""An `Answerer` that asks no question twice: what was answered is in the run's ledger before anybody sees it.

The key is a hash of whom is asked, how, and every word and pixel of the conversation. So a run that was killed asks
again at most what was in flight.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from kangaroo.chat.answerer import Answer, Answerer, FinishReason, Sampling
from kangaroo.curation.engine.ledger import told_of
from kangaroo.curation.engine.step import dumps
from kangaroo.dialogue.conversation import Conversation, Text

_TABLE = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, told TEXT NOT NULL) WITHOUT ROWID"
_KEPT = ("text", "prompt_tokens", "new_tokens", "visual_tokens")


class Remembered:
    """Answers of another `Answerer`, each asked for once. Safe to call from several threads.

    >>> Remembered(RemoteAnswerer("http://localhost:8000/v1"), Path("out/ledger.sqlite"), who="qwen at 8000")

    Args:
        answerer: Asked what is not known yet.
        path: The ledger.
        who: Tells this model from others; changed where its answers would be others.
    """

    def __init__(self, answerer: Answerer, path: Path, *, who: str) -> None:
        self._answerer, self._path, self._who = answerer, path, who
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """What answers call the model."""
        return self._answerer.name

    def answer(self, conversation: Conversation, sampling: Sampling = Sampling()) -> Answer:
        """Answer the last user turn; the whole answer is there at once."""
        key = self._key(conversation, sampling)
        told = self._find(key)
        if told is None:
            answer = self._answerer.answer(conversation, sampling).read()
            if answer.finish_reason is FinishReason.CANCELLED:
                return answer
            told = {name: getattr(answer, name) for name in _KEPT} | {"finish_reason": answer.finish_reason}
            self._keep(key, told)
        return _answer(told, self.name)

    def answer_batch(self, conversations: Sequence[Conversation], sampling: Sampling = Sampling()) -> list[Answer]:
        """Answer several conversations, one after another where they are not known."""
        return [self.answer(conversation, sampling) for conversation in conversations]

    def score(self, conversation: Conversation, continuations: Sequence[str]) -> list[float]:
        """Return what the other returns; scores are not remembered."""
        return self._answerer.score(conversation, continuations)

    def _key(self, conversation: Conversation, sampling: Sampling) -> str:
        turns = [
            [turn.role, [part.text if isinstance(part, Text) else
                         {"film": part.source.fingerprint(), "sampler": part.sampler and part.sampler.to_dict()}
                         for part in turn.parts]]
            for turn in conversation.turns
        ]  # fmt: skip
        return hashlib.sha256(dumps([self._who, self.name, sampling, turns]).encode()).hexdigest()

    @cached_property
    def _base(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        base = sqlite3.connect(self._path, timeout=60.0, check_same_thread=False)
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")
        base.execute(_TABLE)
        return base

    def _find(self, key: str) -> dict[str, Any] | None:
        with self._lock:
            row = self._base.execute("SELECT told FROM answers WHERE key = ?", (key,)).fetchone()
        return row and json.loads(row[0])

    def _keep(self, key: str, told: dict[str, Any]) -> None:
        try:
            with self._lock, self._base:
                self._base.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, dumps(told)))
        except sqlite3.Error as error:
            raise told_of(self._path, error) from None


def _answer(told: dict[str, Any], model: str) -> Answer:
    kept = {name: told[name] for name in _KEPT if name != "text"}
    answer = Answer(stream=iter([told["text"]]), model=model, **kept)
    answer.finish_reason = FinishReason(told["finish_reason"])
    return answer
