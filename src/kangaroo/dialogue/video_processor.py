"""Films become the vision tower's input: read by `kangaroo.video`, moved to the device as bytes, normalised there.

transformers' video-processor interface without torchvision: the frame sampler and the resize rule are saved in
`processor_config.json`, and every road into the model goes through them.
Axes: video, frame (padded to the batch's longest film), height, width.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Float32
from torch import Tensor
from transformers import BatchFeature
from transformers.processing_utils import VideosKwargs
from transformers.video_processing_utils import BaseVideoProcessor
from transformers.video_utils import VideoMetadata

from kangaroo.dialogue.films import as_source, list_sources
from kangaroo.errors import OptionError, VideoError
from kangaroo.video.decode import Resize, read_frames
from kangaroo.video.frames import Frames
from kangaroo.video.isolate import Limits, read_frames_isolated
from kangaroo.video.plan import choose_frames
from kangaroo.video.runs import Watch
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

EVA_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
EVA_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def normalise(
    pixels: Float[Tensor, "*frame 3 height width"],
    *,
    mean: Sequence[float] | Tensor = EVA_CLIP_MEAN,
    std: Sequence[float] | Tensor = EVA_CLIP_STD,
) -> Float[Tensor, "*frame 3 height width"]:
    """Return pixels, 0 to 1, with each channel's mean and deviation taken out."""
    centre, scale = (torch.as_tensor(value, device=pixels.device, dtype=pixels.dtype) for value in (mean, std))
    return (pixels - centre[:, None, None]) / scale[:, None, None]


class KangarooVideosKwargs(VideosKwargs, total=False):  # type: ignore[call-arg]
    """Options of `KangarooVideoProcessor` beyond those of transformers."""

    frame_sampler: dict[str, Any] | FrameSampler | None
    resize_rule: str | None


class FlatFilms(NamedTuple):
    """Frames of several films, one after the other."""

    pixels: Float[Tensor, "frame 3 height width"]
    times_s: Float32[Tensor, " frame"]


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """What one call asks of the video processor.

    Attributes:
        frame_sampler: Picks the frames of films that name no sampler of their own.
        do_sample_frames: False keeps all frames of films given as arrays.
        video_metadata: transformers' description of arrays: their `times_s`, or `frames_indices` and `fps`.
        device: Where pixels are normalised.
        return_metadata: Whether the batch says which frames were taken.
        return_tensors: "pt" or "np"; None is "pt".
    """

    frame_sampler: FrameSampler
    do_sample_frames: bool = True
    video_metadata: Any = None
    device: Any = None
    return_metadata: bool = False
    return_tensors: str | None = None


class KangarooVideoProcessor(BaseVideoProcessor):
    """Reads films and makes them the model's input.

    >>> KangarooVideoProcessor(size={"height": 224, "width": 224})(["film.mp4"])["pixel_values_videos"].shape

    Calling it gives `pixel_values_videos`, normalised float `[video, frame, 3, height, width]`, and
    `video_times_s`, float32 `[video, frame]`. Shorter films are padded with zeros and NaN; the NaN alone say how
    many frames a film has. An image is a film of one frame.

    Options at call: `fps` or `num_frames` (instead of the saved sampler's), `frame_sampler`, `do_sample_frames=False`
    (arrays keep all their frames), `video_metadata` (times or rate of arrays), `device`, `return_metadata`,
    `return_tensors`. Others of transformers' options do not exist here and are refused.
    """

    size: ClassVar[dict[str, int]] = {"height": 448, "width": 448}
    image_mean = EVA_CLIP_MEAN
    image_std = EVA_CLIP_STD
    resize_rule = Resize.STRETCH
    frame_sampler: FrameSampler = FrameSampler()
    do_sample_frames = True
    valid_kwargs = KangarooVideosKwargs
    model_input_names: ClassVar[list[str]] = ["pixel_values_videos", "video_times_s"]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.frame_sampler = _sampler(self.frame_sampler)
        self.resize_rule = Resize(self.resize_rule)

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width that the model sees."""
        return self.size["height"], self.size["width"]

    def read(
        self,
        source: VideoSource,
        sampler: FrameSampler | None = None,
        *,
        limits: Limits | None = None,
        watch: Watch | None = None,
    ) -> Frames:
        """Return a film's frames at the model's size.

        Args:
            source: The film.
            sampler: Picks the frames; None for the saved one.
            limits: What a worker process may use that decodes the film; None decodes here.
            watch: As `read_frames` takes it; a worker process tells nobody.

        Raises:
            VideoError: The film cannot be read.
        """
        sampler, size_px, resize = sampler or self.frame_sampler, self.size_px, self.resize_rule
        if limits is None:
            return read_frames(source, sampler, size_px=size_px, resize=resize, watch=watch)
        return read_frames_isolated(source, sampler, size_px=size_px, resize=resize, limits=limits)

    def flat(
        self, films: Sequence[Frames], *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> FlatFilms:
        """Return the frames of films at the model's size one after the other, normalised on the device."""
        height, width = self.size_px
        pixels = [self._normalise(frames, device, dtype) for frames in films]
        times_s = np.concatenate([frames.times_s for frames in films]) if films else np.empty(0)
        return FlatFilms(
            torch.cat(pixels) if pixels else torch.empty(0, 3, height, width, device=device, dtype=dtype),
            torch.as_tensor(times_s, dtype=torch.float32, device=device),
        )

    def padded(
        self, films: Sequence[Frames], *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> dict[str, Tensor]:
        """Return films at the model's size as the model's keyword arguments, padded to the longest."""
        height, width = self.size_px
        longest = max((len(frames) for frames in films), default=0)
        pixels = torch.zeros(len(films), longest, 3, height, width, device=device, dtype=dtype)
        times_s = torch.full((len(films), longest), float("nan"), device=device)
        for row, frames in enumerate(films):
            pixels[row, : len(frames)] = self._normalise(frames, device, dtype)
            times_s[row, : len(frames)] = torch.from_numpy(frames.times_s).to(times_s)
        return {"pixel_values_videos": pixels, "video_times_s": times_s}

    def _normalise(
        self, frames: Frames, device: torch.device | str, dtype: torch.dtype
    ) -> Float[Tensor, "frame 3 height width"]:
        assert frames.pixels.shape[1:3] == self.size_px, f"frames of {frames.pixels.shape[1:3]}, not {self.size_px} px"
        # a quarter of the bytes of float32 cross to the device
        pixels = rearrange(
            torch.from_numpy(frames.pixels).to(device), "frame height width rgb -> frame rgb height width"
        )
        return normalise(pixels.float() / 255, mean=self.image_mean, std=self.image_std).to(dtype)

    def preprocess(self, videos: Any, **kwargs: Any) -> BatchFeature:
        """Read films and return the model's keyword arguments; the class says which options there are.

        Raises:
            VideoError: A film cannot be read, or frames at hand have no times.
            OptionError: An option is unknown or asks for what is not done here.
        """
        options = self.options(kwargs)
        sources = _sources(list_sources(videos), options.video_metadata)
        return self.batch([self.film(source, options) for source in sources], options)

    def options(self, given: Mapping[str, Any]) -> "VideoOptions":
        """Return the options of a call, those left out as saved.

        Raises:
            OptionError: An option is unknown or asks for what is not done here.
        """
        known = {field.name for field in fields(VideoOptions)} | {"fps", "num_frames"}
        values = {name: value for name, value in given.items() if value is not None}
        for name in set(values) - known:
            if values.pop(name) != getattr(self, name, None):  # transformers repeats what is saved
                raise OptionError(f"the video processor does not do {name}={given[name]!r}; it knows {sorted(known)}")
        picking = {name: values.pop(name) for name in ("fps", "num_frames") if name in values}
        sampler = _sampler(values.pop("frame_sampler", self.frame_sampler)).with_options(**picking)
        options = VideoOptions(**{"do_sample_frames": self.do_sample_frames, **values, "frame_sampler": sampler})
        if picking and not options.do_sample_frames:
            raise OptionError(f"do_sample_frames=False keeps all frames; leave out {' and '.join(picking)}")
        return options

    def film(self, source: VideoSource, options: "VideoOptions", sampler: FrameSampler | None = None) -> Frames:
        """Return a film's frames at the model's size; `sampler`, where given, goes before the options'."""
        if options.do_sample_frames:
            return self.read(source, sampler or options.frame_sampler)
        if not isinstance(source.value, Frames):
            raise OptionError(f"{source.name}: do_sample_frames=False keeps all frames at hand; files need the sampler")
        # who picked them may have begun anywhere in the film, so their times stay as they are
        return replace(self.read(source, FrameSampler(num_frames=len(source.value))), times_s=source.value.times_s)

    def batch(self, films: Sequence[Frames], options: "VideoOptions") -> BatchFeature:
        """Return films at the model's size in transformers' form."""
        features = BatchFeature(self.padded(films, device=options.device or "cpu"), tensor_type=options.return_tensors)
        if options.return_metadata:
            features["video_metadata"] = [_described(frames) for frames in films]
        return features

    def fetch_videos(self, video_url_or_urls: Any, sample_indices_fn: Callable[..., Any] | None = None) -> Any:
        """Return a film's pixels and metadata, or lists of both; the saved sampler picks the frames.

        Raises:
            OptionError: A function is given to pick frames: here only a `FrameSampler` does.
        """
        if sample_indices_fn is not None:
            raise OptionError("a film's frames are picked by its frame sampler; leave out sample_indices_fn")
        if isinstance(video_url_or_urls, list):
            return [list(column) for column in zip(*map(self.fetch_videos, video_url_or_urls), strict=True)]
        frames = self.read(as_source(video_url_or_urls))
        return frames.pixels, _described(frames)

    def sample_frames(
        self, metadata: VideoMetadata, num_frames: int | None = None, fps: float | None = None, **_: Any
    ) -> np.ndarray:
        """Return which of a film's frames the sampler takes, as positions in a film of known frame times."""
        sampler = self.frame_sampler.with_options(fps=fps, num_frames=num_frames)
        times_s = _times(metadata, metadata.total_num_frames)
        rest_s = times_s[-1] - times_s[-2] if len(times_s) > 1 else 0.0
        return choose_frames(sampler, times_s, float(times_s[-1] + rest_s))

    def to_dict(self) -> dict[str, Any]:
        """Return what `processor_config.json` holds of this processor: all that shapes its output."""
        return {
            "video_processor_type": type(self).__name__,
            "size": {"height": self.size["height"], "width": self.size["width"]},
            "image_mean": list(self.image_mean),
            "image_std": list(self.image_std),
            "resize_rule": str(self.resize_rule),
            "frame_sampler": self.frame_sampler.to_dict(),
        }


def _sources(values: Sequence[Any], metadata: Any) -> list[VideoSource]:
    if metadata is None:
        return [as_source(value) for value in values]
    listed = metadata if isinstance(metadata, list | tuple) else [metadata]
    if any(isinstance(row, list | tuple) for row in listed):  # transformers also nests them by prompt
        listed = [data for row in listed for data in (row if isinstance(row, list | tuple) else [row])]
    if len(listed) != len(values):
        raise VideoError(f"{len(values)} films come with metadata of {len(listed)}; give one for each, or none")
    return [
        as_source(value, _times(data, len(value)) if data is not None and hasattr(value, "__len__") else None)
        for value, data in zip(values, listed, strict=True)
    ]


def _sampler(value: FrameSampler | Mapping[str, Any]) -> FrameSampler:
    return value if isinstance(value, FrameSampler) else FrameSampler.from_dict(value)


def _times(metadata: VideoMetadata | Mapping[str, Any], num_frames: int) -> np.ndarray:
    """Return each frame's second, from transformers' metadata: its own `times_s` or index over rate."""
    data = dict(metadata) if isinstance(metadata, Mapping) else vars(metadata)
    if data.get("times_s") is not None:
        return np.asarray(data["times_s"], dtype=np.float64)
    indices = data.get("frames_indices")
    if indices is None:
        indices = np.arange(num_frames)
    if not data.get("fps"):
        raise VideoError(f"the metadata of {num_frames} frames has no fps; give it, or times_s")
    return np.asarray(indices, dtype=np.float64) / data["fps"]


def _described(frames: Frames) -> VideoMetadata:
    """Return transformers' description of frames. It knows no times, so the rate is left open and times are added."""
    height, width = frames.pixels.shape[1:3]
    described = VideoMetadata(total_num_frames=len(frames), height=height, width=width, video_backend="pyav")
    described.times_s = frames.times_s.tolist()
    return described
