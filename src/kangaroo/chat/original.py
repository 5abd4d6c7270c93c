"""The authors' own way to ask, kept working: `out, history = model.chat(video_path=..., query=..., tokenizer=...)`.

A subclass, so that the network itself knows no films. The film is seen once, and a later round reads only what is new.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import PreTrainedTokenizerFast

from kangaroo.chat.answerer import Sampling
from kangaroo.chat.local import LocalAnswerer
from kangaroo.chat.memory import Memory
from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.dialogue.films import as_source
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.dialogue.video_processor import KangarooVideoProcessor
from kangaroo.errors import OptionError
from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.modeling import KangarooForConditionalGeneration


@dataclass(frozen=True, kw_only=True)
class History:
    """What was said so far; hand it to the next round. An earlier one goes on from there.

    Attributes:
        conversation: The turns, with their film.
        shown: Each film as it was handed over, and its number of frames.
        memory: What the network has read, which need not be read again. Serves one answer at a time.
    """

    conversation: Conversation = field(default_factory=Conversation)
    shown: tuple[tuple[Any, int | None], ...] = ()
    memory: Memory = field(default_factory=Memory, repr=False, compare=False)


class KangarooForCausalLM(KangarooForConditionalGeneration):
    """The network with the authors' `chat`.

    >>> model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to("cuda").eval()
    >>> out, history = model.chat(video_path="film.mp4", query="What happens?", tokenizer=tokenizer)
    """

    def __init__(self, config: KangarooConfig) -> None:
        super().__init__(config)
        self._answers: tuple[tuple[Any, ...], LocalAnswerer] | None = None

    def chat(
        self,
        video_path: Any,
        query: str,
        tokenizer: PreTrainedTokenizerFast,
        history: History | None = None,
        **options: Any,
    ) -> tuple[str, History]:
        """Return the answer to a question about a film, and the history that the next round wants.

        Args:
            video_path: The film, in every round: a path, URL, folder of frames, bytes or arrays. The one that was
                shown already is not shown again; another one is, beside it.
            query: The question.
            tokenizer: The model's own.
            history: None in the first round, then what the last one returned.
            options: As `stream_chat` names them.

        Raises:
            KangarooError: The film cannot be read, the conversation does not fit, or an option is impossible.
        """
        said = ""
        for text, new in self.stream_chat(video_path, query, tokenizer, history, **options):
            said, history = said + text, new
        assert history is not None
        return said, history

    def stream_chat(
        self,
        video_path: Any,
        query: str,
        tokenizer: PreTrainedTokenizerFast,
        history: History | None = None,
        *,
        max_new_tokens: int = 512,
        eos_token_id: int | Sequence[int] | Tensor | None = None,
        do_sample: bool = True,
        temperature: float = 0.6,
        top_p: float = 0.9,
        seed: int | None = None,
        num_frames: int | None = None,
    ) -> Iterator[tuple[str, History]]:
        """Yield an answer piece by piece, each with the history that ends with it: leave at any piece.

        Args:
            video_path: See `chat`.
            query: See `chat`.
            tokenizer: See `chat`.
            history: See `chat`.
            max_new_tokens: The longest answer.
            eos_token_id: What ends an answer, one id or several; None for the model's own ends.
            do_sample: False always picks the likeliest word.
            temperature: Below 1 sharpens the choice.
            top_p: Pick among the likeliest words of this share.
            seed: Makes the choice repeatable.
            num_frames: An exact number of frames of this film; None for the model's own rule, and for a film that was
                shown already, however many it had.

        Raises:
            KangarooError: See `chat`.
        """
        answerer = self._answerer(tokenizer, eos_token_id)
        history = history or History()
        film, sampler = (video_path, num_frames), None
        if num_frames is not None:
            sampler = answerer.frame_sampler.with_options(num_frames=num_frames)
        is_new = not any(_same(film, one) for one in history.shown)
        asked = history.conversation.ask(query, *([Video(as_source(video_path), sampler)] if is_new else []))
        shown = (*history.shown, film) if is_new else history.shown
        sampling = Sampling(
            temperature=temperature if do_sample else 0.0, top_p=top_p, seed=seed, max_new_tokens=max_new_tokens
        )
        answer = answerer.answer(asked, sampling, memory=history.memory)
        for text in answer:
            yield text, History(conversation=asked.reply(answer.text), shown=shown, memory=history.memory)
        if not answer.text:
            yield "", History(conversation=asked.reply(""), shown=shown, memory=history.memory)

    def _apply(self, *args: Any, **kwargs: Any) -> "KangarooForCausalLM":
        """Move or cast, and forget who answered: the weights of before are no longer the model's."""
        self._answers = None
        return super()._apply(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Load as every module does, and forget who answered."""
        self._answers = None
        return super().load_state_dict(*args, **kwargs)

    def _answerer(
        self, tokenizer: PreTrainedTokenizerFast, eos_token_id: int | Sequence[int] | Tensor | None
    ) -> LocalAnswerer:
        """Return who answers: the one of before, unless the tokenizer, the place or the kinds of layers changed."""
        if self.training:
            raise OptionError("the model is in training mode; call model.eval() first")
        ends = None if eos_token_id is None else _ends(eos_token_id, vocab_size=self.config.text_config.vocab_size)
        # what adapts layers puts others in their places
        key = (tokenizer, self.device, self.dtype, ends, frozenset(map(type, self.modules())))
        if self._answers is None or self._answers[0] != key:
            self._answers = (key, LocalAnswerer(self, self._processor(tokenizer), name=self.name_or_path, ends=ends))
        return self._answers[1]

    def _processor(self, tokenizer: PreTrainedTokenizerFast) -> KangarooProcessor:
        """Return what the model's folder says of films, with the tokenizer that was handed over."""
        if not self.name_or_path:
            return KangarooProcessor.for_model(self.config, tokenizer)
        films = KangarooVideoProcessor.from_pretrained(self.name_or_path)
        return KangarooProcessor.for_model(
            self.config,
            tokenizer,
            image_size_px=films.size_px[0],
            frame_sampler=films.frame_sampler,
            resize_rule=films.resize_rule,
        )


def _ends(given: Any, *, vocab_size: int) -> frozenset[int]:
    ids = given.tolist() if isinstance(given, Tensor) else given
    ids = list(ids) if isinstance(ids, Iterable) else [ids]
    if not all(isinstance(id, int) and 0 <= id < vocab_size for id in ids):
        raise OptionError(f"eos_token_id is {given!r}; give an id below {vocab_size}, or several")
    return frozenset(ids)


def _same(one: tuple[Any, int | None], other: tuple[Any, int | None]) -> bool:
    """Whether a film is one of before, with as many frames where a number is given; arrays only as the same object."""
    (film, frames), (before, frames_before) = one, other
    if isinstance(film, str | Path) and isinstance(before, str | Path):
        is_one = Path(film) == Path(before)
    else:
        is_one = film is before or (isinstance(film, bytes) and isinstance(before, bytes) and film == before)
    return is_one and frames in (None, frames_before)
