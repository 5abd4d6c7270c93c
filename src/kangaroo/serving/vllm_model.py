"""What vLLM must be told of films: how they are read, how many tokens they take, how their times reach the network.

vLLM samples and decodes films before its processor sees them. The loader here is our own reader, so frames, times and
pixels are those of `kangaroo chat`, and one film may hold as many frames as fit the context.
Axes: frame, height, width; token, text (the language model's width).
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from vllm.exceptions import VLLMValidationError
from vllm.model_executor.models.transformers import (
    CausalMixin,
    MultiModalDummyInputsBuilder,
    MultiModalMixin,
    MultiModalProcessingInfo,
    MultiModalProcessor,
)
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.video import VIDEO_LOADER_REGISTRY, VideoLoader

from kangaroo.dialogue.batch import ModelInputs
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.dialogue.video_processor import KangarooVideoProcessor
from kangaroo.errors import KangarooError, OptionError
from kangaroo.serving.vllm_command import max_frames
from kangaroo.video.isolate import Limits
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

_log = logging.getLogger(__name__)

_NOT_ASKED = 32  # the num_frames that vLLM fills in where neither the command nor the request gives one
_SAMPLER_FIELDS = FrameSampler().to_dict().keys()
_AS_SAVED = -1  # the num_frames that we fill in: the model's own rule


class FilmLoader(VideoLoader):
    """Reads films for vLLM as the model's own processor does, each in a worker process under limits.

    Args:
        video_processor: The served model's.
        most_frames: What its context holds beside words. The saved rule is lowered to it, as chat lowers it too.
        limits: What a worker process may use.
    """

    def __init__(self, video_processor: KangarooVideoProcessor, *, most_frames: int, limits: Limits = Limits()) -> None:
        self.video_processor = video_processor
        self.most_frames = most_frames
        self.limits = limits

    def load_bytes(self, data: bytes, **asked: Any) -> tuple[Any, dict[str, Any]]:  # type: ignore[override]
        """Return a film's frames at the model's size, uint8 `[frame, height, width, 3]`, and their times.

        What is asked goes before the saved `FrameSampler`'s fields; it comes from `media_io_kwargs["video"]`.

        Raises:
            VLLMValidationError: The film cannot be read, or an option is unknown or impossible: HTTP status 400.
        """
        try:
            film = VideoSource(data, label="the video")
            frames = self.video_processor.read(film, self._sampler(asked), limits=self.limits)
        except KangarooError as error:
            raise VLLMValidationError(str(error), parameter="video_url") from error
        for note in frames.notes:
            _log.warning("%s", note)
        return frames.pixels, {"times_s": frames.times_s.tolist(), "do_sample_frames": False}

    def _sampler(self, asked: Mapping[str, Any]) -> FrameSampler:
        wanted = {name: value for name, value in asked.items() if value is not None}
        # a request that gives a rate alone comes with vLLM's own count
        if wanted.get("num_frames") == _AS_SAVED or ("fps" in wanted and wanted.get("num_frames") == _NOT_ASKED):
            del wanted["num_frames"]
        saved = self.video_processor.frame_sampler.to_dict()
        if wanted.keys() & {"fps", "num_frames"}:
            saved |= {"fps": None, "num_frames": None}
        sampler = FrameSampler.from_dict({**saved, **wanted})
        if sampler.num_frames is None:
            return sampler.with_options(max_frames=min(sampler.max_frames, self.most_frames))
        if sampler.num_frames > self.most_frames and "num_frames" in wanted:
            raise OptionError(
                f"num_frames is {sampler.num_frames} but the context holds {self.most_frames} beside words; give fewer"
            )
        return sampler.with_options(num_frames=min(sampler.num_frames, self.most_frames))


class ServedProcessor(KangarooProcessor):
    """The processor in the form that vLLM keeps: each film on its own, so that what is cached knows no neighbours."""

    def __call__(self, *args: Any, **kwargs: Any) -> ModelInputs:
        """Return model inputs with one tensor per film; times are the bits of float32 seconds, as int32.

        vLLM rounds every float to the model's precision, and half precision would round seconds.
        """
        inputs = super().__call__(*args, **kwargs)
        if "video_times_s" in inputs:
            lengths = inputs["video_times_s"].isfinite().sum(dim=1).tolist()
            for name in ("pixel_values_videos", "video_times_s"):
                inputs[name] = [film[:length] for film, length in zip(inputs[name], lengths, strict=True)]
            inputs["video_times_s"] = [times_s.view(torch.int32) for times_s in inputs["video_times_s"]]
        return inputs


class FilmInfo(MultiModalProcessingInfo):
    """Tells vLLM how many tokens films take, and makes our loader the one that reads them."""

    def __init__(self, ctx: Any) -> None:
        super().__init__(ctx)
        processor = self.get_hf_processor()
        most_frames = max_frames(processor.layout, ctx.model_config.max_model_len)
        rule = json.dumps([processor.video_processor.to_dict(), most_frames], sort_keys=True)
        # one loader for each way of reading, since one process may hold several models
        name = f"kangaroo-{hashlib.sha256(rule.encode()).hexdigest()[:8]}"
        VIDEO_LOADER_REGISTRY.register(name)(partial(FilmLoader, processor.video_processor, most_frames=most_frames))
        options = ctx.get_mm_config().media_io_kwargs.setdefault("video", {})
        options.setdefault("video_backend", name)
        if "fps" not in options:
            options.setdefault("num_frames", _AS_SAVED)

    def get_hf_processor(self, **kwargs: object) -> ServedProcessor:
        """Return the processor of the served folder.

        Raises:
            VLLMValidationError: A request's `mm_processor_kwargs` would pick frames, which are picked before.
        """
        if late := sorted(kwargs.keys() & _SAMPLER_FIELDS):
            raise VLLMValidationError(f"mm_processor_kwargs come too late for {late[0]}; put it into media_io_kwargs")
        return self.ctx.get_hf_processor(ServedProcessor, **kwargs)

    def get_num_frames_with_most_features(self, seq_len: int, mm_counts: Mapping[str, int]) -> int:
        """Return the most frames that a film may have: what fits the context, so no request meets a lower limit."""
        layout = self.get_hf_processor().layout
        return max(layout.kernel[0], layout.most_frames(seq_len // max(1, mm_counts.get("video", 0))))


class FilmDummies(MultiModalDummyInputsBuilder):
    """Makes the films with which vLLM measures memory before it serves."""

    def get_dummy_mm_data(self, *args: Any, **kwargs: Any) -> Any:
        """Return vLLM's own blank films, with the times that ours always have."""
        data = super().get_dummy_mm_data(*args, **kwargs)
        for frames, metadata in data.get("video", ()):
            metadata["times_s"] = list(range(len(frames)))
        return data


@MULTIMODAL_REGISTRY.register_processor(MultiModalProcessor, info=FilmInfo, dummy_inputs=FilmDummies)
class KangarooForConditionalGeneration(MultiModalMixin, CausalMixin):
    """The network as vLLM runs it: its language model in vLLM's engine, its vision tower in PyTorch."""

    def recursive_replace(self) -> None:
        """Put vLLM's layers in place of ours, in all parts but the vision tower, which stays whole on each GPU.

        vLLM shares out any two linear layers that read the same, and the tower normalises across their outputs.
        """
        tower, self.model.vision_tower = self.model.vision_tower, torch.nn.Identity()
        super().recursive_replace()
        self.model.vision_tower = tower

    def embed_multimodal(
        self, *, pixel_values_videos: Sequence[Tensor], video_times_s: Sequence[Tensor], **_: Any
    ) -> list[Tensor]:
        """Return each film's rows `[token, text]`."""
        times_s = [bits.view(torch.float32) for bits in video_times_s]
        return list(self.model.get_video_features(pixel_values_videos, times_s, return_dict=True).pooler_output)

    def compute_logits(self, hidden_states: Tensor) -> Tensor | None:
        """Return logits, those of visual tokens at minus infinity: they are read, never spoken."""
        logits = super().compute_logits(hidden_states)
        if logits is not None:
            logits[..., sorted(self.config.visual_token_ids.values())] = float("-inf")
        return logits
