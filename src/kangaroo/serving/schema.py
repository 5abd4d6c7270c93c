"""What a request may hold. Whatever is not named here is refused by name; what would change nothing is let pass."""

from typing import Annotated, Any, Literal

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from kangaroo.chat.answerer import Sampling
from kangaroo.video.sampler import FrameSampler

# clients spell these out though they mean "nothing special"
_NEUTRAL: dict[str, Any] = {
    "n": 1,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logprobs": False,
    "logit_bias": {},
    "store": False,
    "tools": [],
    "response_format": {"type": "text"},
}


def _like(value: object, neutral: object) -> bool:
    """Say whether a value is of the neutral one's kind: to Python true is 1, and 1.0 is."""
    return isinstance(value, type(neutral) | float) and isinstance(value, bool) == isinstance(neutral, bool)


# of each wrong item pydantic makes an error of its own, so no list may be endless
_MOST_ITEMS = 4096
_MOST_NAMES = 64


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        if len(given) > _MOST_NAMES:
            raise ValueError(f"{len(given)} names in one object; nothing here has so many")
        return {name: value for name, value in given.items() if value is not None}


class Url(_Strict):
    """Where a film is: an http(s), data or file URL, or the id of an uploaded file."""

    url: str = Field(min_length=1)


class ImageUrl(Url):
    """Where a picture is. The model sees every picture at one size, so there is one detail."""

    detail: Literal["auto"] = "auto"


class Frame(Url):
    """A picture of a film and when it is shown."""

    time_s: float = Field(ge=0, le=1e6)


class TextPart(_Strict):
    """Words."""

    type: Literal["text"]
    text: str


class VideoPart(_Strict):
    """A film."""

    type: Literal["video_url"]
    video_url: Url


class ImagePart(_Strict):
    """A picture."""

    type: Literal["image_url"]
    image_url: ImageUrl


class FramesPart(_Strict):
    """A film as a list of its pictures."""

    type: Literal["frames"]
    frames: list[Frame] = Field(min_length=1, max_length=_MOST_ITEMS)


Part = Annotated[TextPart | VideoPart | ImagePart | FramesPart, Field(discriminator="type")]


def _kind(given: Any) -> str:
    return "text" if isinstance(given, str) else "items"


# told apart by hand: pydantic would complain of text where an item is wrong
Parts = Annotated[list[Part], Field(max_length=_MOST_ITEMS)]
Content = Annotated[Annotated[str, Tag("text")] | Annotated[Parts, Tag("items")], Discriminator(_kind)]
StopText = Annotated[str, Field(min_length=1)]
Stops = Annotated[list[StopText], Field(max_length=16)]
Stop = Annotated[Annotated[StopText, Tag("text")] | Annotated[Stops, Tag("items")], Discriminator(_kind)]


class Message(_Strict):
    """What one side says."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Content


class FrameOptions(_Strict):
    """Which frames of the request's films are looked at."""

    fps: float | None = Field(default=None, gt=0, le=1000)
    num_frames: int | None = Field(default=None, ge=1, le=4096)
    start_s: float | None = Field(default=None, ge=0, le=1e6)
    end_s: float | None = Field(default=None, gt=0, le=1e6)


class MediaOptions(_Strict):
    """vLLM's options by kind of medium."""

    video: FrameOptions = FrameOptions()


class StreamOptions(_Strict):
    """What a stream tells besides its text."""

    include_usage: bool = False


class CompletionRequest(_Strict):
    """A request to /v1/chat/completions."""

    model: str
    messages: list[Message] = Field(min_length=1, max_length=_MOST_ITEMS)
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: float = Field(default=0.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    seed: int | None = Field(default=None, ge=0, lt=1 << 63)
    stop: Stop | None = None
    max_tokens: int | None = Field(default=None, ge=1, le=1 << 20)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=1 << 20)
    media_io_kwargs: MediaOptions = MediaOptions()
    mm_processor_kwargs: FrameOptions = FrameOptions()

    @model_validator(mode="before")
    @classmethod
    def _without_neutral(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {
            name: value
            for name, value in given.items()
            if not (name in _NEUTRAL and value == _NEUTRAL[name] and _like(value, _NEUTRAL[name]))
        }

    @model_validator(mode="after")
    def _agrees(self) -> "CompletionRequest":
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options are for a stream; say stream: true or leave them out")
        if None not in (self.max_tokens, self.max_completion_tokens) and self.max_tokens != self.max_completion_tokens:
            raise ValueError("max_tokens and max_completion_tokens differ; give one")
        options = self.media_io_kwargs.video, self.mm_processor_kwargs
        for name in FrameOptions.model_fields:
            first, second = (getattr(one, name) for one in options)
            if None not in (first, second) and first != second:
                raise ValueError(f"media_io_kwargs and mm_processor_kwargs give different {name}; give one")
        frames = self.frame_options
        if frames.fps is not None and frames.num_frames is not None:
            raise ValueError("fps and num_frames are both given; give one")
        if frames.end_s is not None and frames.end_s <= (frames.start_s or 0.0):
            raise ValueError("end_s is not after start_s")
        return self

    @property
    def frame_options(self) -> FrameOptions:
        """What both of vLLM's spellings ask for together."""
        first, second = self.media_io_kwargs.video, self.mm_processor_kwargs
        return FrameOptions(**(first.model_dump(exclude_none=True) | second.model_dump(exclude_none=True)))

    def sampler(self, rule: FrameSampler) -> FrameSampler | None:
        """Return the model's rule with what the request asks for; None where it asks for nothing."""
        asked = self.frame_options.model_dump(exclude_none=True)
        return rule.with_options(**asked) if asked else None

    @property
    def sampling(self) -> Sampling:
        """How tokens are picked."""
        most = self.max_completion_tokens or self.max_tokens
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
            **({} if most is None else {"max_new_tokens": most}),
        )


Purpose = Literal["vision", "user_data"]


class UploadForm(BaseModel):
    """A request to /v1/files."""

    model_config = ConfigDict(extra="forbid")
    file: UploadFile
    purpose: Purpose


class UploadsQuery(BaseModel):
    """Which uploads are listed, as OpenAI's clients page through them."""

    model_config = ConfigDict(extra="forbid")
    purpose: Purpose | None = None
    limit: int = Field(default=10_000, ge=1, le=10_000)
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
