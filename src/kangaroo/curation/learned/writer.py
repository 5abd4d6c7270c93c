"""SmolLM2 in this process, for whoever has no endpoint: merges English captions, and sees no films.

135 million numbers in a file of 98 MB. It is an `Answerer` like any other, and a caption that it merged says so. torch
is imported when it is opened.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from kangaroo.chat.answerer import Answer, Likelihood, Sampling
from kangaroo.curation.learned.gguf import read_gguf
from kangaroo.curation.measures.models import WRITER, find_weights
from kangaroo.curation.words.asking import Asker, ModelSettings, open_asker
from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import ContextError, OptionError, PromptError

SMOLLM = "smollm2"  # what `ModelSettings.model` calls it
_CHINESE = re.compile("[\u4e00-\u9fff]")


def is_smollm(settings: ModelSettings) -> bool:
    """Whether settings name the model of this module."""
    return settings.endpoint is None and settings.model == SMOLLM


def open_model(settings: ModelSettings) -> Asker:
    """Return any model ready to be asked, as `open_asker` does, SmolLM2 too.

    Raises:
        KangarooError: As `open_asker`; a `ModelError` where SmolLM2 was not fetched.
    """
    if is_smollm(settings):
        return Asker(answerer=TextAnswerer(find_weights(WRITER)), settings=settings)
    return open_asker(settings)


class TextAnswerer:
    """An `Answerer` that reads and writes text alone, in English.

    >>> TextAnswerer(find_weights(WRITER)).answer(Conversation().ask("Shorten this: ...")).read().text

    Args:
        path: A small Llama as GGUF.
        name: What answers call it.

    Raises:
        ModelError: The file holds something else.
    """

    def __init__(self, path: Path, *, name: str = SMOLLM) -> None:
        from kangaroo.curation.learned.networks.llama import load_llama

        self.name = name
        self._model, self._tokenizer = load_llama(read_gguf(path))

    def answer(self, conversation: Conversation, sampling: Sampling = Sampling()) -> Answer:
        """Answer the last user turn.

        Raises:
            PromptError: The conversation holds a film or Chinese.
            ContextError: It does not fit with the longest answer.
        """
        messages = [{"role": str(turn.role), "content": turn.text} for turn in conversation.turns]
        if conversation.videos:
            raise PromptError(f"{self.name} sees no films and {len(conversation.videos)} are shown; ask in words alone")
        if any(_CHINESE.search(message["content"]) for message in messages):
            raise PromptError(f"{self.name} knows English alone and is asked in Chinese; choose another model")
        text = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        ids = self._tokenizer.encode(text, add_special_tokens=False)
        room = self._model.config.max_position_embeddings - len(ids)
        if room < sampling.max_new_tokens:
            raise ContextError(
                f"{len(ids)} tokens and an answer of {sampling.max_new_tokens} do not fit {self.name}'s "
                f"{self._model.config.max_position_embeddings}; give it fewer captions or a smaller max_new_tokens"
            )
        answer = Answer(
            stream=iter(()), model=self.name, visual_tokens=0, prompt_tokens=len(ids), new_tokens=0, films_seen=0
        )
        answer.stream = self._stream(answer, ids, sampling)
        return answer

    def answer_batch(self, conversations: Sequence[Conversation], sampling: Sampling = Sampling()) -> list[Answer]:
        """Answer several conversations one after another, and wait for all."""
        return [self.answer(conversation, sampling).read() for conversation in conversations]

    def score(self, conversation: Conversation, continuations: Sequence[str]) -> list[Likelihood]:
        """Refuse.

        Raises:
            OptionError: Always: it writes and does not score.
        """
        del conversation, continuations
        raise OptionError(f"{self.name} writes and scores nothing; choose another model")

    def _stream(self, answer: Answer, ids: Sequence[int], sampling: Sampling) -> Iterator[str]:
        import torch

        from kangaroo.chat.generate import Voice, pick

        voice = Voice(
            self._tokenizer, sampling, ends=frozenset([self._tokenizer.eos_token_id]), room=sampling.max_new_tokens
        )
        began, name = perf_counter(), "prefill"
        unread, cache = torch.tensor([list(ids)]), None
        while answer.finish_reason is None:
            with torch.inference_mode():
                read: Any = self._model(input_ids=unread, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = read.past_key_values
            (id,) = pick(read.logits[:, -1].float(), [voice])
            step = voice.say(id)
            unread = torch.tensor([[id]])
            assert answer.new_tokens is not None, "counted from the start"
            answer.new_tokens += 1
            answer.timings_s[name] = answer.timings_s.get(name, 0.0) + perf_counter() - began
            answer.finish_reason = step.finish_reason
            if step.text:
                yield step.text
            began, name = perf_counter(), "generate"
