"""Caption the key frames of a clip with one captioner. Imports without torch.

A captioner is a step of its own: a changed prompt asks that captioner again and no other. Refining what was said is
another step, which asks nobody. An image is captioned by the same call, as a clip of one frame.
"""

from dataclasses import dataclass, field
from typing import Any

from kangaroo.curation.words.asking import NOTHING, Asker, Cost, ModelSettings
from kangaroo.curation.words.refining import Refined, RefineSettings, refine
from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.errors import OptionError
from kangaroo.playground.vocabulary import Language
from kangaroo.video.frames import Frames
from kangaroo.video.source import VideoSource


@dataclass(frozen=True, kw_only=True)
class CaptionerSettings:
    """A captioner: who, and in which words it is asked.

    >>> CaptionerSettings(model=ModelSettings(name="qwen", endpoint="http://localhost:8000/v1"))
    """

    model: ModelSettings = field(default_factory=ModelSettings)
    prompt_en: str = "Describe the image."
    prompt_zh: str = "描述这张图片。"

    def __post_init__(self) -> None:
        if not (self.prompt_en.strip() and self.prompt_zh.strip()):
            raise OptionError(f"{self.model.name} has an empty prompt; write what it is to do")

    def prompt(self, language: Language) -> str:
        """Return its prompt in a language."""
        return self.prompt_zh if language is Language.ZH else self.prompt_en

    def asked(self, language: Language) -> dict[str, Any]:
        """Return what its captions in a language depend on, for whoever remembers them."""
        return {**self.model.asked, "prompt": self.prompt(language)}


@dataclass(frozen=True, kw_only=True)
class CaptionSettings:
    """Who captions: each of them every key frame."""

    captioners: tuple[CaptionerSettings, ...] = (CaptionerSettings(),)

    def __post_init__(self) -> None:
        names = [one.model.name for one in self.captioners]
        if not names:
            raise OptionError("captioners is empty; name one, or leave it out for joey")
        for name in names:
            if names.count(name) > 1:
                raise OptionError(f"two captioners are called {name!r}; give each a name of its own")


@dataclass(frozen=True, kw_only=True)
class FrameCaption:
    """What a captioner says of one key frame, word for word; `time_s` counts in the source video."""

    time_s: float
    said: str
    is_cut_off: bool


@dataclass(frozen=True, kw_only=True)
class Captions:
    """What a captioner says of a clip.

    Attributes:
        captioner: Its name in the recipe.
        model: What it calls itself.
        language: The language that it was asked in.
        frames: One for each key frame, earliest first.
        cost: Of all of them.
    """

    captioner: str
    model: str
    language: Language
    frames: tuple[FrameCaption, ...]
    cost: Cost


@dataclass(frozen=True, kw_only=True)
class Told:
    """A caption of one key frame, refined; `time_s` counts in the source video."""

    time_s: float
    refined: Refined


@dataclass(frozen=True, kw_only=True)
class RefinedCaptions:
    """What is left of a captioner's words on a clip; captions that were rejected are here too, and empty."""

    captioner: str
    language: Language
    frames: tuple[Told, ...]

    @property
    def told(self) -> tuple[tuple[float, str], ...]:
        """The second and the words of each caption that is worth something."""
        return tuple((told.time_s, told.refined.text) for told in self.frames if told.refined.text)


def caption(frames: Frames, settings: CaptionerSettings, asker: Asker, *, language: Language = Language.EN) -> Captions:
    """Return what a captioner says of each key frame.

    Args:
        frames: The key frames of a clip, decoded.
        settings: Its name and prompts.
        asker: The captioner, opened.
        language: What it is asked to speak.

    Raises:
        BlockedError: The captioner cannot be asked now; the clip waits.
    """
    prompt = settings.prompt(language)
    pictures = [VideoSource.from_arrays(pixels[None], times_s=[0.0]) for pixels in frames.pixels]
    replies = asker.ask_all([Conversation().ask(prompt, Video(picture)) for picture in pictures])
    return Captions(
        captioner=settings.model.name,
        model=asker.answerer.name,
        language=language,
        frames=tuple(
            FrameCaption(time_s=time_s, said=reply.text, is_cut_off=reply.is_cut_off)
            for time_s, reply in zip(frames.times_s.tolist(), replies, strict=True)
        ),
        cost=sum((reply.cost for reply in replies), NOTHING),
    )


def refine_captions(captions: Captions, settings: RefineSettings = RefineSettings()) -> RefinedCaptions:
    """Return what is left of a captioner's words, and what was cut and why."""
    return RefinedCaptions(
        captioner=captions.captioner,
        language=captions.language,
        frames=tuple(
            Told(time_s=one.time_s, refined=refine(one.said, settings, is_cut_off=one.is_cut_off))
            for one in captions.frames
        ),
    )
