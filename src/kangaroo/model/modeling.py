"""The Kangaroo network: films and words in, the next word's logits out.

Frames pass the vision tower one by one, get their time, are folded in groups and projected; the rows that come out
take the places of the `<vi_pad>` tokens, and transformers' Llama reads on. An image is a film of one frame.
Axes: batch, position (in the prompt), video, frame, height, width, token (feature rows of all films), vision and text
(the encoder's and the language model's widths).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoModel, GenerationMixin
from transformers.cache_utils import Cache
from transformers.modeling_outputs import (
    BaseModelOutputWithPast,
    BaseModelOutputWithPooling,
    CausalLMOutputWithPast,
)
from transformers.utils.generic import can_return_tuple

from kangaroo.errors import PromptError
from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.patchify import Patchify
from kangaroo.model.pretrained import KangarooPreTrainedModel
from kangaroo.model.projector import build_projector
from kangaroo.model.temporal import temporal_embedding
from kangaroo.model.transfer import sent
from kangaroo.model.vision import KangarooVisionTower

__all__ = ["KangarooForConditionalGeneration", "KangarooModel", "KangarooPreTrainedModel"]

# transformers' name for features that are ready before the prompt is read
EncoderOutputs = dict[str, BaseModelOutputWithPooling]


class KangarooModel(KangarooPreTrainedModel):
    """The network without the last layer that turns states into words."""

    def __init__(self, config: KangarooConfig) -> None:
        super().__init__(config)
        vision_width, text_width = config.vision_config.hidden_size, config.text_config.hidden_size
        self.vision_tower = KangarooVisionTower._from_config(config.vision_config)
        self.patchify = _patchify(config)
        self.multi_modal_projector = build_projector(vision_width, text_width, kind=config.projector_type)
        self.language_model = AutoModel.from_config(config.text_config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Return the table of word vectors."""
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the table of word vectors."""
        self.language_model.set_input_embeddings(value)

    def set_image_size(self, image_size_px: int) -> None:
        """Move to another resolution for good: the tower's learned positions are resized and the config follows."""
        self.vision_tower.set_image_size(image_size_px)

    def set_patchify(self, kind: Literal["depthwise", "average", "none"]) -> None:
        """Fold frames and patches in another way for good; a convolution begins as the average of what it folds."""
        self.config.patchify = kind
        like = next(self.parameters())
        self.patchify = _patchify(self.config).to(device=like.device, dtype=like.dtype)
        if kind == "depthwise":
            nn.init.constant_(self.patchify.conv.weight, 1 / self.patchify.conv.weight[0].numel())
            if self.patchify.conv.bias is not None:
                nn.init.zeros_(self.patchify.conv.bias)

    def encode_films(
        self,
        frames: Float[Tensor, "frame 3 height width"],
        times_s: Float[Tensor, " frame"],
        num_frames: Sequence[int],
        *,
        chunk_frames: int | None = None,
    ) -> Float[Tensor, "token text"]:
        """Return the feature rows of all films, one film after the other, each earliest group first.

        Args:
            frames: Normalised pixels of all films on end.
            times_s: When each frame was shown, in seconds of its film.
            num_frames: How many of the frames belong to each film.
            chunk_frames: Give the tower at most so many frames at a time (None: the config's); the rows are the same.
        """
        parts = self.see_films(frames, times_s, num_frames, chunk_frames=chunk_frames)
        return torch.cat([self.multi_modal_projector(part) for part in parts])

    def see_films(
        self,
        frames: Float[Tensor, "frame 3 height width"],
        times_s: Float[Tensor, " frame"],
        num_frames: Sequence[int],
        *,
        chunk_frames: int | None = None,
    ) -> Iterator[Float[Tensor, "token vision"]]:
        """Yield the films' features before the projector, a chunk at a time; see `encode_films`."""
        assert len(frames) == len(times_s), f"{len(frames)} frames, {len(times_s)} times"
        return self.fold_films(
            lambda first, last: self.vision_tower(frames[first:last]), times_s, num_frames, chunk_frames=chunk_frames
        )

    def fold_films(
        self,
        features_of: Callable[[int, int], Float[Tensor, "frame token vision"]],
        times_s: Float[Tensor, " frame"],
        num_frames: Sequence[int],
        *,
        chunk_frames: int | None = None,
    ) -> Iterator[Float[Tensor, "token vision"]]:
        """Yield what `see_films` yields; `features_of` returns the tower's features from one frame up to another."""
        assert sum(num_frames) == len(times_s), f"{num_frames} frames, {len(times_s)} times"
        layout = self.config.layout()
        slots: list[int] = []
        for before, count in _starts(num_frames):
            slots += [before + slot for slot in layout.slots(count)]
        folded = layout.kernel[0]
        step = max(1, (chunk_frames or self.config.vision_chunk_frames) // folded) * folded
        for at in range(0, len(slots), step):
            own = slots[at : at + step]
            first, last = own[0], own[-1] + 1
            yield self._folded_slots(features_of(first, last), times_s[first:last], [slot - first for slot in own])

    def _folded_slots(
        self, features: Float[Tensor, "frame token vision"], times_s: Float[Tensor, " frame"], slots: list[int]
    ) -> Float[Tensor, "row vision"]:
        """Give features their times and fold those of the slots."""
        times = temporal_embedding(
            times_s,
            width=features.shape[-1],
            exponent=self.config.temporal_exponent,
            theta=self.config.temporal_theta,
        )
        features = features + rearrange(times, "frame vision -> frame 1 vision").to(features.dtype)
        if slots != list(range(len(features))):
            features = features.index_select(0, sent(torch.tensor(slots), features.device))
        features = rearrange(features, "(group frame) token vision -> group frame token vision", frame=self._folded)
        # frames are square, and the class token comes first
        class_token, patches = features[:, :, :1], features[:, :, 1:]
        side = round(patches.shape[2] ** 0.5)
        grid = rearrange(patches, "group frame (row column) vision -> group frame row column vision", row=side)
        tokens = rearrange(self.patchify(grid), "group row column vision -> group (row column) vision")
        if self.config.vision_config.class_token == "keep":
            tokens = torch.cat(
                [reduce(class_token, "group frame one vision -> group one vision", "mean"), tokens], dim=1
            )
        return rearrange(tokens, "group token vision -> (group token) vision")

    @property
    def _folded(self) -> int:
        return self.config.layout().kernel[0]

    @can_return_tuple
    def get_video_features(
        self,
        pixel_values_videos: Float[Tensor, "video frame 3 height width"] | Sequence[Tensor],
        video_times_s: Float[Tensor, "video frame"] | Sequence[Tensor],
        **kwargs: Any,  # noqa: ARG002 transformers reads return_dict from it
    ) -> BaseModelOutputWithPooling:
        """Return `pooler_output`: for each film its rows `[token, text]`, ready to take the placeholders' places.

        Args:
            pixel_values_videos: Normalised pixels, films padded to the longest; or one tensor per film.
            video_times_s: Seconds; NaN marks padding, which costs no work. At least float32.
            kwargs: `return_dict`, transformers' own.

        Raises:
            PromptError: A film has no frames, or times came in half precision, which would round them.
        """
        if any(times.dtype.itemsize < 4 for times in video_times_s):
            raise PromptError(
                "video_times_s came in half precision, which rounds seconds; move inputs with .to(device) alone, "
                "the model casts pixels by itself"
            )
        real = [~times.isnan() for times in video_times_s]
        num_frames = [int(count) for count in torch.stack([mask.sum() for mask in real]).tolist()]
        if 0 in num_frames:
            raise PromptError(f"film {num_frames.index(0) + 1} has no frames: all its times are NaN; leave it out")
        frames = torch.cat([film[: len(mask)][mask] for film, mask in zip(pixel_values_videos, real, strict=True)])
        times_s = torch.cat([times[mask] for times, mask in zip(video_times_s, real, strict=True)])
        rows = self.encode_films(frames, times_s, num_frames)
        layout = self.config.layout(image_size_px=frames.shape[-1])
        return BaseModelOutputWithPooling(
            pooler_output=list(rows.split([layout.num_visual_tokens(count) for count in num_frames]))
        )

    def merge(
        self,
        inputs_embeds: Float[Tensor, "batch position text"],
        features: Float[Tensor, "token text"],
        *,
        placeholders: Bool[Tensor, "batch position"],
    ) -> Float[Tensor, "batch position text"]:
        """Put feature rows in the placeholders' places, in order.

        Raises:
            PromptError: There are more placeholders than rows, or fewer.
        """
        if not torch.compiler.is_compiling() and (found := int(placeholders.sum())) != len(features):
            raise PromptError(
                f"the prompt holds {found} visual placeholders but the films give {len(features)} feature rows; "
                "let the processor write the placeholders"
            )
        mask = rearrange(placeholders, "batch position -> batch position 1")
        return inputs_embeds.masked_scatter(mask, features.to(inputs_embeds.dtype))

    def embed(
        self, input_ids: Int[Tensor, "batch position"], features: Float[Tensor, "token text"] | None = None
    ) -> Float[Tensor, "batch position text"]:
        """Return what the language model reads: word vectors, with feature rows in the placeholders' places.

        Raises:
            PromptError: There are more placeholders than rows, or fewer.
        """
        inputs_embeds = self.get_input_embeddings()(input_ids)
        placeholders = input_ids == self.config.video_token_id
        if features is not None:
            return self.merge(inputs_embeds, features, placeholders=placeholders)
        # one new token is never a placeholder, and asking a GPU would make every step of an answer wait
        if input_ids.shape[1] > 1 and not torch.compiler.is_compiling() and bool(placeholders.any()):
            raise PromptError(
                f"the prompt holds {int(placeholders.sum())} visual placeholders but 0 films were given; "
                "pass pixel_values_videos and video_times_s"
            )
        return inputs_embeds

    @can_return_tuple
    def forward(
        self,
        input_ids: Int[Tensor, "batch position"] | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Int[Tensor, "..."] | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Float[Tensor, "batch position text"] | None = None,
        use_cache: bool | None = None,
        pixel_values_videos: Float[Tensor, "video frame 3 height width"] | Sequence[Tensor] | None = None,
        video_times_s: Float[Tensor, "video frame"] | Sequence[Tensor] | None = None,
        mm_encoder_outputs: EncoderOutputs | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Return the language model's last states.

        Films come as pixels with times, or as features made earlier: `mm_encoder_outputs={"video": output}` of
        `get_video_features`, or already merged in `inputs_embeds` (see `embed`).

        Raises:
            PromptError: Both or neither of `input_ids` and `inputs_embeds`; pixels without times; placeholders
                that do not match the features.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise PromptError("give either input_ids or inputs_embeds")
        if (pixel_values_videos is None) != (video_times_s is None):
            raise PromptError("give pixel_values_videos and video_times_s together")
        features = (mm_encoder_outputs or {}).get("video")
        if pixel_values_videos is not None and video_times_s is not None:
            if features is not None:
                raise PromptError("give films as pixel_values_videos or as mm_encoder_outputs, not as both")
            features = self.get_video_features(pixel_values_videos, video_times_s, return_dict=True)
        rows = None if features is None else torch.cat(list(features.pooler_output))
        if input_ids is not None:
            inputs_embeds = self.embed(input_ids, rows)
        elif inputs_embeds is not None and rows is not None:
            pad = torch.tensor(self.config.video_token_id, device=inputs_embeds.device)
            placeholders = (inputs_embeds == self.get_input_embeddings()(pad)).all(dim=-1)
            inputs_embeds = self.merge(inputs_embeds, rows, placeholders=placeholders)
        return self.language_model(
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            return_dict=True,
            **kwargs,
        )


class KangarooForConditionalGeneration(KangarooPreTrainedModel, GenerationMixin):
    """The whole network: trains with `labels`, answers with `generate`.

    >>> model = KangarooForConditionalGeneration(tiny())
    >>> model(input_ids=torch.tensor([[0, 11, 12]])).logits.shape
    torch.Size([1, 3, 64])
    """

    _tied_weights_keys: ClassVar[dict[str, str]] = {"lm_head.weight": "model.language_model.embed_tokens.weight"}

    def __init__(self, config: KangarooConfig) -> None:
        super().__init__(config)
        self.model = KangarooModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()
        # visual tokens are read, never spoken
        self.generation_config.suppress_tokens = sorted(config.visual_token_ids.values())

    def get_input_embeddings(self) -> nn.Module:
        """Return the table of word vectors."""
        return self.model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the table of word vectors."""
        self.model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """Return the last layer, from states to logits."""
        return self.lm_head

    def get_video_features(self, *args: Any, **kwargs: Any) -> BaseModelOutputWithPooling | tuple:
        """Return what `KangarooModel.get_video_features` returns."""
        return self.model.get_video_features(*args, **kwargs)

    @can_return_tuple
    def forward(
        self,
        input_ids: Int[Tensor, "batch position"] | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Int[Tensor, "..."] | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Float[Tensor, "batch position text"] | None = None,
        labels: Int[Tensor, "batch position"] | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        pixel_values_videos: Float[Tensor, "video frame 3 height width"] | Sequence[Tensor] | None = None,
        video_times_s: Float[Tensor, "video frame"] | Sequence[Tensor] | None = None,
        mm_encoder_outputs: EncoderOutputs | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Return logits and, with `labels` (-100: not trained), the mean loss of predicting each next token.

        Films: see `KangarooModel.forward`. `logits_to_keep` computes the last so many positions' logits only
        (0: all), or those at the given indices.
        """
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            pixel_values_videos=pixel_values_videos,
            video_times_s=video_times_s,
            mm_encoder_outputs=mm_encoder_outputs,
            return_dict=True,
            **kwargs,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, kept])
        loss = None
        if labels is not None:
            vocab_size = self.config.text_config.vocab_size
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=vocab_size, **kwargs)
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def prepare_inputs_for_generation(
        self, input_ids: Tensor, is_first_iteration: bool | None = False, **kwargs: Any
    ) -> dict[str, Any]:
        """Give films to the first step alone: later ones find them in the cache."""
        if not is_first_iteration and kwargs.get("use_cache", True):
            # transformers drops only the names it knows, and 5.17 knows fewer than 5.19
            for name in ("pixel_values_videos", "video_times_s", "mm_encoder_outputs"):
                kwargs.pop(name, None)
        return super().prepare_inputs_for_generation(input_ids, is_first_iteration=is_first_iteration, **kwargs)

    def _expand_inputs_for_generation(
        self, expand_size: int = 1, is_encoder_decoder: bool = False, input_ids: Tensor | None = None, **kwargs: Any
    ) -> tuple[Tensor | None, dict[str, Any]]:
        """Repeat each prompt for beams and samples with its films in order: transformers would repeat film by film."""
        if expand_size == 1 or input_ids is None:
            return super()._expand_inputs_for_generation(expand_size, is_encoder_decoder, input_ids, **kwargs)
        pixels, times_s = kwargs.pop("pixel_values_videos", None), kwargs.pop("video_times_s", None)
        features = (kwargs.pop("mm_encoder_outputs", None) or {}).get("video")
        if pixels is not None:
            features = self.get_video_features(pixels, times_s, return_dict=True)
        num_rows = (input_ids == self.config.video_token_id).sum(dim=1).tolist()
        input_ids, kwargs = super()._expand_inputs_for_generation(expand_size, is_encoder_decoder, input_ids, **kwargs)
        if features is not None:
            prompts = torch.cat(list(features.pooler_output)).split(num_rows)
            repeated = [rows for rows in prompts for _ in range(expand_size)]
            kwargs["mm_encoder_outputs"] = {"video": BaseModelOutputWithPooling(pooler_output=repeated)}
        return input_ids, kwargs


def _patchify(config: KangarooConfig) -> Patchify:
    return Patchify(
        config.vision_config.hidden_size,
        kernel=config.layout().kernel,
        kind=config.patchify,
        bias=config.patchify_bias,
        norm=config.patchify_norm,
    )


def _starts(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Pair each length with the sum of those before it."""
    return [(sum(lengths[:index]), length) for index, length in enumerate(lengths)]
