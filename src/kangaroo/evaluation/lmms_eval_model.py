"""An `Answerer` as lmms-eval's model: its tasks, prompts and scores, with our frames and our batching.

Imported by lmms-eval alone. Options of a task that we do not have are refused, never dropped.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms

from kangaroo.chat.answerer import Answer, Answerer, Sampling
from kangaroo.dialogue.conversation import Conversation, Role, Text, Turn, Video
from kangaroo.dialogue.films import as_source
from kangaroo.errors import OptionError
from kangaroo.evaluation.asking import sampler_of
from kangaroo.video.sampler import FrameSampler

_IGNORED = {
    "num_beams": (None, 1),
    "top_k": (None, 1, 50),
    "repetition_penalty": (None, 1.0),
    "use_cache": (None, True),
}


class LmmsEvalModel(lmms):
    """What `lmms-eval --model kangaroo --model_args pretrained=joey,fps=1` asks.

    Args:
        pretrained: joey, a folder, or a hub id; with `endpoint`, the server's name for the model.
        endpoint: URL of an OpenAI-compatible server to ask instead.
        fps: Frames a second instead of the model's own rule.
        frames: An exact number of frames instead.
        device: Where the model runs; by default the GPU if there is one.
        batch_size: Questions asked at once.
        max_batch_size: Not ours to choose from; None.

    Raises:
        OptionError: An option is impossible.
        ModelError: There is no such model.
    """

    is_simple = False  # it takes messages

    def __init__(
        self,
        pretrained: str | None = None,
        endpoint: str | None = None,
        fps: float | None = None,
        frames: int | None = None,
        device: str | None = None,
        batch_size: int | str = 1,
        max_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        if not str(batch_size).isdecimal() or int(batch_size) < 1 or max_batch_size is not None:
            raise OptionError(f"batch_size is {batch_size!r}, max_batch_size {max_batch_size!r}; give one number")
        self.batch_size = int(batch_size)
        self.answerer = _answerer(pretrained, endpoint, device)
        rule = sampler_of(self.answerer) or FrameSampler()
        self.sampler = rule.with_options(fps=fps, num_frames=frames)

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """Answer every request, in order."""
        results: list[GenerationResult] = []
        for sampling, group in groupby(requests, key=lambda one: sampling_of(one.args[2])):
            own = list(group)
            for first in range(0, len(own), self.batch_size):
                asked = [self._conversation(one) for one in own[first : first + self.batch_size]]
                if len(asked) == 1:
                    answers = [self.answerer.answer(asked[0], sampling).read()]
                else:
                    answers = self.answerer.answer_batch(asked, sampling)
                results += map(_result, answers)
        return results

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Refuse.

        Raises:
            OptionError: Always; lmms-eval itself asks models that take messages for words alone.
        """
        raise OptionError(f"{len(requests)} likelihoods are asked for; take a task of output type generate_until")

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Refuse.

        Raises:
            OptionError: Always.
        """
        raise OptionError(f"{len(requests)} talks of several rounds are asked for; take a task of generate_until")

    def _conversation(self, request: Instance) -> Conversation:
        _, messages_of, _, doc_id, task, split = request.args
        return conversation_of(messages_of(self.task_dict[task][split][doc_id]), self.sampler)


def conversation_of(messages: Sequence[Mapping[str, Any]], sampler: FrameSampler) -> Conversation:
    """Return lmms-eval's messages as a conversation: parts of type text, video or image.

    Raises:
        OptionError: A part is of another type.
    """
    return Conversation(
        tuple(
            Turn(Role(message["role"]), tuple(_part(part, sampler) for part in message["content"]))
            for message in messages
        )
    )


def _part(part: Mapping[str, Any], sampler: FrameSampler) -> Text | Video:
    match part["type"]:
        case "text":
            return Text(part["text"])
        case "image":
            return Video(as_source(part["url"]))
        case "video":
            url = part["url"]
            clip = {"start_s": part.get("start_time"), "end_s": part.get("end_time")}
            if isinstance(url, Mapping):  # a film with its clip, as some tasks give it
                clip = {"start_s": url.get("video_start"), "end_s": url.get("video_end")}
                url = url.get("url") or url["path"]
            return Video(as_source(url), sampler.with_options(**clip))
    raise OptionError(f"the task shows a part of type {part['type']!r}; known: text, image, video")


def sampling_of(options: Mapping[str, Any]) -> Sampling:
    """Return a task's `generation_kwargs` as ours.

    Raises:
        OptionError: An option has no counterpart, so that ignoring it would change the answers.
    """
    left = dict(options)
    until = left.pop("until", None) or ()
    samples = left.pop("do_sample", None)
    temperature, top_p = left.pop("temperature", None) or 0.0, left.pop("top_p", None)
    max_new_tokens = left.pop("max_new_tokens", None)
    for name, value in left.items():
        if value not in _IGNORED.get(name, ()):
            raise OptionError(f"the task generates with {name} = {value!r}, which Kangaroo does not have")
    return Sampling(
        temperature=0.0 if samples is False else temperature,
        top_p=top_p or 1.0,
        max_new_tokens=max_new_tokens or Sampling().max_new_tokens,
        stop=tuple(stop for stop in ([until] if isinstance(until, str) else until) if stop),
    )


def _answerer(pretrained: str | None, endpoint: str | None, device: str | None) -> Answerer:
    if endpoint is not None:
        from kangaroo.chat.remote import RemoteAnswerer

        return RemoteAnswerer(endpoint, pretrained)
    from kangaroo.chat.load import JOEY, load

    return load(pretrained or JOEY, device=device)


def _result(answer: Answer) -> GenerationResult:
    return GenerationResult(text=answer.text, token_counts=TokenCounts(answer.prompt_tokens, answer.new_tokens))
