"""transformers' interface to the processor: `apply_chat_template`, calling it, loading and saving it.

Conversations given as messages take the processor's own road. A prompt that is one text already (vLLM renders it so)
takes transformers', with films unfolded by `replace_video_token`; a test holds the two together.
Axes: row, token; video, frame.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from transformers import BatchFeature, PreTrainedTokenizerFast
from transformers.processing_utils import MultiModalData, ProcessingKwargs, ProcessorMixin
from transformers.video_processing_utils import BaseVideoProcessor

from kangaroo.dialogue.batch import ModelInputs, pad_rows, split_options
from kangaroo.dialogue.conversation import Conversation, Text
from kangaroo.dialogue.encoding import Encoded, Encoder
from kangaroo.dialogue.films import as_source, list_images, list_sources
from kangaroo.dialogue.tokenizer import ChatToken
from kangaroo.dialogue.video_processor import KangarooVideoProcessor, KangarooVideosKwargs
from kangaroo.errors import OptionError, PromptError
from kangaroo.model.layout import VisualLayout
from kangaroo.video.frames import Frames

_SAVED_FIELDS = ("film_layout", "chat_template")


class KangarooProcessorKwargs(ProcessingKwargs, total=False):  # type: ignore[call-arg]
    """transformers' options by part; texts of a batch are padded on the left, as generation wants them."""

    videos_kwargs: KangarooVideosKwargs
    _defaults = {"text_kwargs": {"padding": True, "padding_side": "left"}}  # noqa: RUF012, a TypedDict has no ClassVar


class TransformersInterface(ProcessorMixin):
    """What transformers, and programs built on it, call. `KangarooProcessor` adds the roads of our own."""

    valid_processor_kwargs = KangarooProcessorKwargs
    video_token: str
    video_processor: KangarooVideoProcessor
    encoder: Encoder

    @property
    def layout(self) -> VisualLayout:
        """The arithmetic of films in the context."""
        return self.encoder.layout

    def encode(self, conversation: Conversation, films: Sequence[Frames | int], *, generation_prompt: bool) -> Encoded:
        """Return the ids of a conversation, as `KangarooProcessor` says."""
        raise NotImplementedError

    def apply_chat_template(
        self,
        conversation: Any,
        chat_template: str | None = None,
        *,
        tokenize: bool = False,
        add_generation_prompt: bool = False,
        return_dict: bool = False,
        return_tensors: str | None = None,
        return_assistant_tokens_mask: bool = False,
        continue_final_message: bool = False,
        processor_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return a conversation, or a list of them, as text or (with `tokenize`) as model inputs.

        Messages are read as `Conversation.from_messages` says. Rows of a batch are padded on the left. With
        `return_assistant_tokens_mask` the inputs hold `assistant_masks`, 1 where the assistant speaks. With
        `continue_final_message` the last turn stays open, so that the model goes on with it.

        Raises:
            KangarooError: The messages or a film cannot be read, or an option is not known.
        """
        for name in ("tools", "documents"):
            if kwargs.pop(name, None):
                raise OptionError(f"the chat template has no {name}; write them into a message")
        if add_generation_prompt and continue_final_message:
            raise OptionError("add_generation_prompt opens a new turn, continue_final_message the last; choose one")
        conversations = conversation if _is_batch(conversation) else [conversation]
        if not tokenize:
            rendered = super().apply_chat_template(
                [_messages(messages) for messages in conversations],
                chat_template=chat_template,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=continue_final_message,
                **kwargs,
            )
            return rendered if _is_batch(conversation) else rendered[0]
        if chat_template is not None:
            raise OptionError("a template of your own makes text: leave out tokenize, then call the processor with it")
        inputs = self._inputs(
            [_conversation(messages) for messages in conversations],
            {**(processor_kwargs or {}), **kwargs, "return_tensors": return_tensors},
            generation_prompt=add_generation_prompt,
            open_end=continue_final_message,
        )
        if not return_assistant_tokens_mask:
            del inputs["assistant_masks"]
        return inputs if return_dict else inputs["input_ids"]

    def _inputs(
        self,
        conversations: Sequence[Conversation],
        given: Mapping[str, Any],
        *,
        generation_prompt: bool,
        open_end: bool,
    ) -> ModelInputs:
        text_options, video_options = split_options(given)
        options = self.video_processor.options(video_options)
        rows, films = [], []
        for conversation in conversations:
            frames = [self.video_processor.film(video.source, options, video.sampler) for video in conversation.videos]
            row = self.encode(conversation, frames, generation_prompt=generation_prompt)
            rows.append(row.without_end() if open_end else row)
            films += frames
        inputs = ModelInputs(
            pad_rows(rows, text_options, pad_id=self.tokenizer.pad_token_id), tensor_type=options.return_tensors
        )
        if text_options.return_mm_token_type_ids:
            inputs["mm_token_type_ids"] = self.create_mm_token_type_ids(inputs["input_ids"])
            inputs.convert_to_tensors(options.return_tensors)
        if films:
            inputs.update(self.video_processor.batch(films, options))
        return inputs

    def __call__(
        self, images: Any = None, text: Any = None, videos: Any = None, audio: Any = None, **kwargs: Any
    ) -> Any:
        """Return model inputs of prompts that are text already, each `<vi_pad>` in them standing for one film.

        Images are films of one frame: give them as `images`, or among the `videos` where a prompt has both.

        Raises:
            PromptError: There are more or fewer films than placeholders, or both images and videos.
        """
        if images is not None and videos is not None:
            raise PromptError("images and videos come apart, so their order is lost; give all as videos, in order")
        if audio is not None:
            raise PromptError("the model does not hear; leave out the audio")
        films = None if videos is None else list_sources(videos)
        if images is not None:
            films = [as_source(image) for image in list_images(images)]
        texts = [text] if isinstance(text, str) else text
        if texts is not None:
            asked = sum(one.count(self.video_token) for one in texts)
            if films is not None and asked != len(films):  # vLLM gives the text without its films, too
                raise PromptError(
                    f"the prompt holds {asked} {self.video_token} but {len(films)} films were given; "
                    f"write one {self.video_token} for each"
                )
            if kwargs.get("truncation") or kwargs.get("text_kwargs", {}).get("truncation"):
                raise OptionError("truncation might cut a film in two; use plan to fit a prompt into the context")
            if any(one.startswith(str(ChatToken.BEGIN_OF_TEXT)) for one in texts):
                kwargs.setdefault("add_special_tokens", False)
        inputs = super().__call__(text=texts, videos=films, **kwargs)
        return ModelInputs(inputs.data, tensor_type=None)

    def _process_videos(self, videos: Sequence[Any], **kwargs: Any) -> tuple[BatchFeature, list[str]]:
        features = self.video_processor(videos, **kwargs)
        rows = range(len(features["video_times_s"]))
        return features, [self.replace_video_token(features, video_idx=row) for row in rows]

    def replace_video_token(self, video_inputs: Mapping[str, Any], video_idx: int, **_: Any) -> str:
        """Return what stands in a text for a film of the batch."""
        times_s = np.asarray(video_inputs["video_times_s"][video_idx])
        return "".join(self.layout.tokens(int(np.isfinite(times_s).sum())))

    def _get_num_multimodal_tokens(
        self, image_sizes: Any = None, video_sizes: Sequence[Sequence[int]] | None = None, **_: Any
    ) -> MultiModalData:
        """Return how many placeholders films of (frames, height, width) and images become; their size is ours."""
        counts: dict[str, list[int]] = {}
        if video_sizes is not None:
            counts["num_video_tokens"] = [self.layout.num_visual_tokens(size[0]) for size in video_sizes]
        if image_sizes is not None:
            counts["num_image_tokens"] = [self.layout.num_visual_tokens(1) for _ in image_sizes]
            counts["num_image_patches"] = [1 for _ in image_sizes]
        return MultiModalData(**counts)

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
        """Accept our video processor where transformers knows only a stand-in for its base class.

        Without torchvision `transformers.BaseVideoProcessor` is a dummy that nothing is an instance of. This may go
        when transformers looks the class up where it is defined.
        """
        if argument_name == "video_processor" and isinstance(argument, BaseVideoProcessor):
            return BaseVideoProcessor
        return super().check_argument_for_proper_class(argument_name, argument)

    @classmethod
    def from_args_and_dict(cls, args: Sequence[Any], processor_dict: Mapping[str, Any], **kwargs: Any) -> Any:
        """Make a processor of what was saved.

        transformers reads the names of our fields off `__init__`'s code, where a decorator hides them, and then drops
        them without a word. This may go when it asks for the signature.
        """
        values = {**processor_dict, **kwargs}
        return_unused_kwargs = values.pop("return_unused_kwargs", False)
        processor = cls(*args, **{name: values.pop(name) for name in _SAVED_FIELDS if name in values})
        return (processor, values) if return_unused_kwargs else processor

    @classmethod
    def _get_arguments_from_pretrained(
        cls,
        pretrained_model_name_or_path: Any,
        processor_dict: Any = None,  # noqa: ARG003, transformers passes it by name
        **kwargs: Any,
    ) -> list[Any]:
        """Load the two parts by their own classes: transformers' Auto classes need not know ours."""
        return [
            PreTrainedTokenizerFast.from_pretrained(pretrained_model_name_or_path, **kwargs),
            KangarooVideoProcessor.from_pretrained(pretrained_model_name_or_path, **kwargs),
        ]


def _conversation(messages: Any) -> Conversation:
    return messages if isinstance(messages, Conversation) else Conversation.from_messages(messages)


def _is_batch(conversation: Any) -> bool:
    """Say whether this is a list of conversations rather than one, which is a list of messages or a value."""
    return (
        not isinstance(conversation, Conversation)
        and len(conversation) > 0
        and isinstance(conversation[0], list | tuple | Conversation)
    )


def _messages(messages: Any) -> list[dict[str, Any]]:
    """Return messages as the template reads them, in lists of their own: transformers changes what it is given."""
    if not isinstance(messages, Conversation):
        return [dict(message) for message in messages]
    return [
        {
            "role": str(turn.role),
            "content": [
                {"type": "text", "text": part.text} if isinstance(part, Text) else {"type": "video"}
                for part in turn.parts
            ],
        }
        for turn in messages.turns
    ]
