"""Messages become model inputs: ids, placeholders, pixels, times, and the mask of what the assistant said.

The only such place: training, chat and serving share it, so they cannot disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from kangaroo.dialogue.conversation import Conversation
from kangaroo.dialogue.encoding import Encoded, Encoder
from kangaroo.dialogue.plan import FilmPlan, Plan, check_awaits_answer, plan_conversation
from kangaroo.dialogue.template import chat_template as shipped_template
from kangaroo.dialogue.transformers_interface import TransformersInterface
from kangaroo.dialogue.video_processor import FlatFilms, KangarooVideoProcessor
from kangaroo.errors import ModelError, OptionError
from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.layout import VisualLayout, VisualToken
from kangaroo.video.decode import Resize
from kangaroo.video.frames import Frames
from kangaroo.video.isolate import Limits
from kangaroo.video.sampler import FrameSampler


class KangarooProcessor(TransformersInterface):
    """Turns conversations into what `KangarooForConditionalGeneration` takes.

    >>> plan = processor.plan(conversation, context_tokens=8192, reserve_tokens=512)
    >>> frames = processor.read(plan)
    >>> encoded = processor.encode(conversation, frames, generation_prompt=True)

    or, the transformers way, `processor.apply_chat_template(messages, tokenize=True, return_dict=True)`.

    Args:
        tokenizer: Holds the five chat tokens and the five visual tokens by name.
        video_processor: Reads films and says at what size.
        film_layout: The fields of `VisualLayout` but its image size, which is the video processor's.
        chat_template: None for the one that ships.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        video_processor: KangarooVideoProcessor,
        film_layout: Mapping[str, Any] | None = None,
        chat_template: str | None = None,
    ) -> None:
        height, width = video_processor.size_px
        if height != width:
            raise OptionError(f"films are {height} x {width} px, but the vision tower takes squares; give one side")
        super().__init__(tokenizer, video_processor, chat_template=chat_template or shipped_template())
        layout = VisualLayout.from_dict(film_layout or {}, image_size_px=height)
        self.film_layout = {name: value for name, value in asdict(layout).items() if name != "image_size_px"}
        self.encoder = Encoder(tokenizer, layout)
        self.video_token = str(VisualToken.PATCH)
        self.video_token_id = self.encoder.ids[VisualToken.PATCH]

    @classmethod
    def for_model(
        cls,
        config: KangarooConfig,
        tokenizer: PreTrainedTokenizerFast,
        *,
        image_size_px: int | None = None,
        frame_sampler: FrameSampler = FrameSampler(),
        resize_rule: Resize = Resize.STRETCH,
    ) -> "KangarooProcessor":
        """Return the processor of a model.

        Args:
            config: The model's, which says how films fold and which ids it takes for visual tokens.
            tokenizer: Must give the visual tokens the same ids.
            image_size_px: Side that the model sees; None for the vision tower's own.
            frame_sampler: What is looked at of a film that names no sampler.
            resize_rule: How frames come to a square.

        Raises:
            ModelError: Tokenizer and config disagree on an id.
        """
        layout = config.layout(image_size_px=image_size_px)
        size = {"height": layout.image_size_px, "width": layout.image_size_px}
        video_processor = KangarooVideoProcessor(size=size, frame_sampler=frame_sampler, resize_rule=resize_rule)
        fields = {name: value for name, value in asdict(layout).items() if name != "image_size_px"}
        processor = cls(tokenizer, video_processor, film_layout=fields)
        for token, id in config.visual_token_ids.items():
            if processor.encoder.ids[token] != id:
                raise ModelError(
                    f"{token} has id {processor.encoder.ids[token]} in the tokenizer but {id} in the model's config; "
                    "give both the same"
                )
        return processor

    @cached_property
    def visual_token_ids(self) -> tuple[int, ...]:
        """The ids that must never be generated."""
        return tuple(self.encoder.ids[token] for token in VisualToken)

    def plan(
        self,
        conversation: Conversation,
        *,
        context_tokens: int,
        reserve_tokens: int = 0,
        settled: Sequence[FilmPlan] = (),
    ) -> Plan:
        """Settle which frames of each film are looked at, without decoding them.

        Films with most frames are lowered first where the prompt does not fit; the plan's notes say so.

        Args:
            conversation: What is asked.
            context_tokens: What the model's context holds.
            reserve_tokens: What of it stays free for the answer.
            settled: Plans of the first films, kept as they are: an open session has their features.

        Raises:
            VideoError: A film cannot be opened.
            ContextError: The prompt does not fit even with the fewest frames.
        """
        return plan_conversation(
            conversation,
            encoder=self.encoder,
            sampler=self.video_processor.frame_sampler,
            context_tokens=context_tokens,
            reserve_tokens=reserve_tokens,
            settled=settled,
        )

    def read(self, plan: Plan, *, limits: Limits | None = None) -> list[Frames]:
        """Decode a plan's films at the model's size; with `limits` in a worker process that a bad film cannot hang.

        Raises:
            VideoError: A film cannot be read.
        """
        return [self.video_processor.read(film.source, film.sampler, limits=limits) for film in plan.films]

    def encode(self, conversation: Conversation, films: Sequence[Frames | int], *, generation_prompt: bool) -> Encoded:
        """Return the ids of a conversation and the mask of what the assistant says in it.

        Args:
            conversation: Turns, oldest first.
            films: The frames of each film in order, or how many there are of them.
            generation_prompt: Whether the header of an answer to come follows.

        Raises:
            PromptError: There are more or fewer films than the conversation holds, or nobody waits for an answer.
        """
        if generation_prompt:
            check_awaits_answer(conversation)
        counts = [film if isinstance(film, int) else len(film) for film in films]
        encoded = self.encoder.conversation(conversation, counts)
        return encoded + self.encoder.prompt() if generation_prompt else encoded

    def pixels(
        self, films: Sequence[Frames], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> FlatFilms:
        """Return the frames of films one after the other, normalised on the device, and their times in seconds."""
        return self.video_processor.flat(films, device=device, dtype=dtype)
