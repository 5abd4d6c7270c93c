"""Answer with a model elsewhere: any OpenAI-compatible server that takes pictures. Imports without torch.

A film goes as its sampled frames, each a JPEG with its time as text before it: the widest supported form. The
frames are picked by our own sampler, so they are those that a model here would see.
"""

import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from kangaroo.chat.answerer import Answer, FinishReason, Likelihood, Sampling
from kangaroo.chat.pictures import LONGEST_SIDE_PX, Pictures, take_pictures
from kangaroo.chat.session import Ask, OpensSessions
from kangaroo.chat.store import BoundedStore
from kangaroo.dialogue.conversation import Conversation, Role, Text, Turn
from kangaroo.errors import EndpointError, OptionError, PromptError
from kangaroo.video.decode import FramePlan, plan_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

_MAX_PICTURE_BYTES = 256 << 20
_MAX_PLANS = 4096
_MAX_THREADS = 16
# an answer is given up where it is beyond doubt that its server does not count tokens
_LONGEST_TOKEN, _SHORTEST_PIECE, _SPARE_TOKENS = 256, 16, 4  # characters, and tokens


@dataclass(frozen=True, kw_only=True)
class _Film:
    """A film that will be looked at; a key tells two looks apart."""

    key: tuple[str, FrameSampler]
    source: VideoSource
    plan: FramePlan

    @property
    def sampler(self) -> FrameSampler:
        return self.key[1]


class RemoteAnswerer(OpensSessions):
    """An `Answerer` behind an OpenAI-compatible endpoint. Safe to call from several threads.

    >>> RemoteAnswerer("http://localhost:8000/v1").chat("film.mp4").ask("What happens?").read().text

    Args:
        endpoint: The server's URL; `/v1` is added where the URL has no path.
        model: What the server calls the model; None for the first that it lists.
        api_key: None for the environment's OPENAI_API_KEY, which local servers do not ask for.
        frame_sampler: Picks the frames of a film that names no sampler.
        timeout_s: The longest that the server may say nothing.

    Raises:
        EndpointError: The `openai` package is not installed.
        OptionError: The endpoint is no http(s) URL.
    """

    def __init__(
        self,
        endpoint: str,
        model: str | None = None,
        *,
        api_key: str | None = None,
        frame_sampler: FrameSampler = FrameSampler(),
        timeout_s: float = 600.0,
    ) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OptionError(f"endpoint {endpoint!r} is no URL; give one such as http://localhost:8000/v1")
        try:
            import openai
        except ImportError:
            raise EndpointError(
                "the openai package, which speaks to endpoints, is missing; pip install 'kangaroo-video[remote]'"
            ) from None
        self.endpoint = endpoint.rstrip("/") if parts.path.strip("/") else f"{endpoint.rstrip('/')}/v1"
        self._openai = openai
        # openai 2 speaks through httpx and 3 through its successor; a stream that breaks off may raise theirs
        transport = openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]
        self._transport_error: type[Exception] = importlib.import_module(transport).HTTPError
        self._client = openai.OpenAI(
            base_url=self.endpoint,
            api_key=api_key or os.environ.get("OPENAI_API_KEY") or "none",
            timeout=openai.Timeout(timeout_s, connect=10.0),
        )
        self._model = model
        self._frame_sampler = frame_sampler
        self._plans: BoundedStore[FramePlan] = BoundedStore(max_size=_MAX_PLANS)
        self._pictures: BoundedStore[Pictures] = BoundedStore(max_size=_MAX_PICTURE_BYTES)

    @cached_property
    def name(self) -> str:
        """What the server calls the model.

        Raises:
            EndpointError: The server does not say.
        """
        if self._model is not None:
            return self._model
        with self._reported(None):
            names = [str(model.id) for model in self._client.models.list().data or []]
        if not names:
            raise EndpointError(f"{self.endpoint} lists no model; name one with --model")
        return names[0]

    @property
    def picture_px(self) -> int:
        """The longer side of the frames that are sent; smaller films are sent as they are."""
        return LONGEST_SIDE_PX

    @property
    def frame_sampler(self) -> FrameSampler:
        """The rule that picks the frames of a film that names no other."""
        return self._frame_sampler

    def remembering(self) -> Ask:
        """Return `answer`: what was read before is the server's to remember."""
        return self.answer

    def answer(self, conversation: Conversation, sampling: Sampling = Sampling()) -> Answer:
        """Answer the last user turn. Films are opened now; all other work happens as the answer is read.

        Raises:
            VideoError: A film cannot be opened.
            PromptError: Nothing is asked.
            EndpointError: The server names no model; what fails later raises while the answer is read.
        """
        if not conversation.turns or conversation.turns[-1].role is not Role.USER:
            raise PromptError("nothing is asked; end with a user's question")
        began = perf_counter()
        name = self.name
        with ExitStack() as stack:
            films = [self._plan(video.source, video.sampler, stack) for video in conversation.videos]
            lent = stack.pop_all()
        timings_s = dict.fromkeys(("open", "decode", "vision", "prefill", "generate"), 0.0)
        timings_s["open"] = perf_counter() - began
        answer = Answer(stream=iter(()), model=name, preflight=f"{_seen(films)} -> {name}", timings_s=timings_s)
        answer.stream = self._stream(answer, conversation, films, lent, sampling)
        return answer

    def answer_batch(self, conversations: Sequence[Conversation], sampling: Sampling = Sampling()) -> list[Answer]:
        """Answer several conversations side by side, and wait for all.

        Raises:
            KangarooError: As `answer`, for the first conversation that cannot be answered.
        """
        with ThreadPoolExecutor(_MAX_THREADS) as threads:
            return list(threads.map(lambda conversation: self.answer(conversation, sampling).read(), conversations))

    def prepare(self, conversation: Conversation, sampling: Sampling = Sampling()) -> None:  # noqa: ARG002
        """Read the films now, so that an answer about them finds them read.

        Raises:
            VideoError: A film cannot be read.
        """
        with ExitStack() as lent:
            for video in conversation.videos:
                self._show(self._plan(video.source, video.sampler, lent))

    def score(self, conversation: Conversation, continuations: Sequence[str]) -> list[Likelihood]:  # noqa: ARG002
        """Refuse.

        Raises:
            OptionError: Always: this protocol does not tell how likely a given text is.
        """
        raise OptionError(f"{self.endpoint} cannot score continuations; load a model here for that")

    def _plan(self, source: VideoSource, sampler: FrameSampler | None, stack: ExitStack) -> _Film:
        key = source.fingerprint(), sampler or self._frame_sampler
        plan = self._plans.get(key)
        if plan is None:
            source = stack.enter_context(source.fetched())
            plan = plan_frames(source, key[1])
            self._plans.put(key, plan, size=1)
        return _Film(key=key, source=source, plan=plan)

    def _stream(
        self, answer: Answer, conversation: Conversation, films: Sequence[_Film], lent: ExitStack, sampling: Sampling
    ) -> Iterator[str]:
        began = perf_counter()
        with lent:
            shown = [self._show(film) for film in films]
        answer.timings_s["decode"] = perf_counter() - began
        answer.times_s = [list(pictures.times_s) for pictures in shown]
        for film, pictures in zip(films, shown, strict=True):
            answer.notes += tuple(f"{film.source.name}: {note}" for note in pictures.notes)
        left = iter(shown)
        messages = [_message(turn, left) for turn in conversation.turns]
        asked = perf_counter()
        with self._reported(answer.model):
            create: Any = self._client.chat.completions.create  # its overloads know no plain dictionaries
            with create(model=answer.model, messages=messages, stream=True, **_options(sampling)) as chunks:
                for text in _joined(self._ended(_read(chunks, answer), sampling)):
                    if not answer.timings_s["prefill"]:
                        answer.timings_s["prefill"] = perf_counter() - asked
                    yield text
        if answer.finish_reason is None:
            raise EndpointError(
                f"{self.endpoint} broke off or sent no chat completion; is it an OpenAI-compatible server?"
            )
        answer.timings_s["generate"] = perf_counter() - asked - answer.timings_s["prefill"]

    def _ended(self, pieces: Iterator[str], sampling: Sampling) -> Iterator[str]:
        """Yield the pieces of an answer, and refuse one that goes far beyond what was asked for."""
        left = _LONGEST_TOKEN * (sampling.max_new_tokens + _SPARE_TOKENS)
        for piece in pieces:
            left -= max(len(piece), _SHORTEST_PIECE)
            if left < 0:
                raise EndpointError(
                    f"{self.endpoint} does not stop after {sampling.max_new_tokens} tokens; does it heed max_tokens?"
                )
            yield piece

    def _show(self, film: _Film) -> Pictures:
        pictures = self._pictures.get(film.key)
        if pictures is None:
            pictures = take_pictures(film.source, film.sampler)
            self._pictures.put(film.key, pictures, size=pictures.num_bytes)
        return pictures

    @contextmanager
    def _reported(self, model: str | None) -> Iterator[None]:
        """Turn what goes wrong between us and the server into one line that says what to do."""
        openai = self._openai
        try:
            yield
        except openai.APITimeoutError:
            raise EndpointError(f"{self.endpoint} did not answer in time; try again or with fewer --frames") from None
        except openai.APIConnectionError as error:
            reason = str(error.__cause__ or error)
            raise EndpointError(
                f"{self.endpoint} cannot be reached or broke off ({reason}); is the server running?"
            ) from None
        except openai.APIStatusError as error:
            raise EndpointError(f"{self.endpoint} {_refusal(error.status_code, model)} ({_said(error)})") from None
        except (openai.OpenAIError, self._transport_error) as error:
            raise EndpointError(f"{self.endpoint} broke off: {_said(error)}; try again") from None
        except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError) as error:
            raise EndpointError(
                f"{self.endpoint} sent something that is no chat completion ({type(error).__name__}); "
                "is it an OpenAI-compatible server?"
            ) from None


def _seen(films: Sequence[_Film]) -> str:
    """Return in words what will be looked at, as a plan for a model here says it."""
    moving = [film for film in films if film.plan.duration_s]
    frames, images = sum(len(film.plan.times_s) for film in moving), len(films) - len(moving)
    clips = [film.sampler.clip_s(film.plan.duration_s) for film in moving]
    seconds = sum(end_s - start_s for start_s, end_s in clips)
    seen = [f"{frames} frame{'s' * (frames != 1)} over {seconds:.1f} s"] if moving else []
    seen += [f"{images} image{'s' * (images != 1)}"] if images else []
    return " and ".join(seen) or "no film"


def _message(turn: Turn, films: Iterator[Pictures]) -> dict[str, Any]:
    if turn.role is not Role.USER:
        return {"role": str(turn.role), "content": turn.text}
    parts: list[dict[str, Any]] = []
    for part in turn.parts:
        parts += [{"type": "text", "text": part.text}] if isinstance(part, Text) else next(films).parts
    return {"role": str(turn.role), "content": parts}


def _options(sampling: Sampling) -> dict[str, Any]:
    options: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_new_tokens,
        "stream_options": {"include_usage": True},
    }
    if sampling.seed is not None:
        options["seed"] = sampling.seed
    if sampling.stop:
        options["stop"] = list(sampling.stop)
    return options


def _read(chunks: Iterator[Any], answer: Answer) -> Iterator[str]:
    """Yield a piece of text for each chunk, empty where it holds none, and note what else it tells."""
    for chunk in chunks:
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            answer.prompt_tokens, answer.new_tokens = _told(usage, "prompt_tokens"), _told(usage, "completion_tokens")
        choice = next(iter(chunk.choices), None)
        piece = (choice and choice.delta and choice.delta.content) or ""
        if not isinstance(piece, str):
            raise TypeError(f"expected text, found {piece!r:.60}")
        yield piece
        if choice is not None and choice.finish_reason is not None:
            answer.finish_reason = FinishReason.LENGTH if choice.finish_reason == "length" else FinishReason.STOP
            if choice.finish_reason not in ("stop", "length"):
                answer.notes += (f"the server ended the answer: {choice.finish_reason}",)


def _told(usage: Any, name: str) -> int | None:
    """Return how many tokens the server counts, None where it gives no number."""
    number = getattr(usage, name, None)
    return number if isinstance(number, int) else None


def _joined(pieces: Iterator[str]) -> Iterator[str]:
    """Yield text with the halves of a character (UTF-16 surrogates) joined: a server may cut an emoji in two.

    A half that stays alone, which no file can hold, is replaced.
    """
    half = ""
    for piece in pieces:
        text = half + piece
        half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        if whole := text[: len(text) - len(half)]:
            yield whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if half:
        yield "\ufffd"


def _refusal(status: int, model: str | None) -> str:
    if status == 401:
        return "refuses the key; set OPENAI_API_KEY"
    if status == 403:
        return "forbids this; check that the key in OPENAI_API_KEY may use it"
    if status == 404:
        return (
            f"does not know the model {model!r}; check --model"
            if model
            else "has no list of models; name one with --model"
        )
    if status == 413:
        return "finds the request too large; ask for fewer --frames"
    if status in (400, 422):
        return "refuses the request; if the prompt is too long, ask for fewer --frames"
    if status == 429:
        return "is too busy or the quota is spent; try again later"
    return f"failed with status {status}; see the server's log"


def _said(error: Exception) -> str:
    """Return the server's own words, shortened to part of a line."""
    body = getattr(error, "body", None)
    words = body.get("message") if isinstance(body, Mapping) else None
    return " ".join(str(words or error).split())[:300] or type(error).__name__
