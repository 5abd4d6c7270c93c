"""Ask a judge what rules cannot tell, and never twice the same: its replies are kept by the content of what was asked.

`judgements.jsonl` in a run's folder holds them, so that scoring again asks no judge. Imports without torch.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from kangaroo.chat.answerer import Answerer
from kangaroo.dialogue.conversation import Conversation, Role, Text, Turn, Video
from kangaroo.evaluation.asking import Asked, OnFailure, one_by_one
from kangaroo.evaluation.benchmark import Prompt
from kangaroo.evaluation.json_files import Line, adding
from kangaroo.evaluation.runner import read_answers

JUDGEMENTS = "judgements.jsonl"
_AT_ONCE = 8


class Referee:
    """A judge, or what one said before.

    >>> Referee(Path("runs/mmb"), RemoteAnswerer("http://localhost:8000/v1", "judge")).hear([Prompt(text="...")])

    Args:
        folder: The run's folder.
        answerer: Who judges, greedily; None for no calls: what the last judge of this folder said must do.

    Raises:
        OptionError: The folder's file is damaged.
        EndpointError: The judge's server cannot be reached.
    """

    def __init__(self, folder: Path, answerer: Answerer | None = None) -> None:
        self._path = folder / JUDGEMENTS
        self._answerer = answerer
        self._kept: dict[str, Line] = {line["id"]: line for line in read_answers(self._path)}
        self._asked = self._failed = 0
        judges = [str(line.get("judge")) for line in self._kept.values()]
        self.name = answerer.name if answerer is not None else judges[-1] if judges else None

    def hear(self, prompts: Sequence[Prompt]) -> dict[Prompt, str]:
        """Return the judge's reply to each prompt; one that it did not manage is missing, and asked again next time."""
        keys = {self._key(prompt): prompt for prompt in prompts}
        left = [key for key in keys if self._kept.get(key, {"failure": ""})["failure"] is not None]
        if self._answerer is not None and left:
            self._ask(self._answerer, {key: keys[key] for key in left})
        found = {prompt: self._kept.get(key) for key, prompt in keys.items()}
        self._failed = sum(line is None or line["failure"] is not None for line in found.values())
        return {prompt: line["output"] for prompt, line in found.items() if line and line["failure"] is None}

    def told(self) -> dict[str, Any]:
        """Return who judged, how many calls that took now, and how many prompts have no reply."""
        return {"name": self.name, "calls": self._asked, "without_reply": self._failed}

    def _ask(self, judge: Answerer, prompts: Mapping[str, Prompt]) -> None:
        asked = [
            Asked(id=key, film=key, conversation=partial(put, prompt), max_new_tokens=prompt.max_new_tokens)
            for key, prompt in prompts.items()
        ]
        with adding(self._path) as add, ThreadPoolExecutor(_AT_ONCE) as threads:
            # each call by itself: one that fails costs no other
            for (reply,) in threads.map(lambda one: list(one_by_one(judge, [one], OnFailure.GO_ON)), asked):
                self._kept[reply.id] = line = {**asdict(reply), "judge": self.name, "prompt": prompts[reply.id].text}
                add(line)
                self._asked += 1

    def _key(self, prompt: Prompt) -> str:
        return hashlib.sha256(json.dumps([self.name, asdict(prompt)]).encode()).hexdigest()[:32]


def put(prompt: Prompt, *films: Video) -> Conversation:
    """Return the conversation that asks a prompt about films, or about none."""
    system = (Turn(Role.SYSTEM, (Text(prompt.system),)),) if prompt.system else ()
    return Conversation(system).ask(prompt.text, *films)
