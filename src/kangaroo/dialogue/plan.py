"""Decide what of each film is looked at before anything is decoded, so that a conversation fits its context.

When it does not fit, the largest films give frames first, down to one group each; text is never cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.dialogue.encoding import Encoder
from kangaroo.errors import ContextError
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoInfo, VideoSource


@dataclass(frozen=True, kw_only=True)
class FilmPlan:
    """What will be looked at of one film.

    Attributes:
        source: The film.
        info: What opening it told.
        sampler: The rule that picks its frames, lowered where the context asked for it.
        times_s: The seconds wanted, from the film's first frame on. Decoding may give fewer frames, where the
            film holds fewer, and the times at which they really appear.
        visual_tokens: Length of its block in the prompt, its marks included.
    """

    source: VideoSource
    info: VideoInfo
    sampler: FrameSampler
    times_s: tuple[float, ...]
    visual_tokens: int

    @property
    def num_frames(self) -> int:
        """The most frames that decoding will give."""
        return len(self.times_s)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a prompt will be, before anything is decoded; `str` says it in one line.

    Attributes:
        conversation: What was planned, word for word.
        films: One for each film, in the order in which the model reads them.
        prompt_tokens: Length of the whole prompt, films included.
        notes: What was lowered to fit, from how many frames to how many.
    """

    conversation: Conversation
    films: tuple[FilmPlan, ...]
    prompt_tokens: int
    notes: tuple[str, ...] = field(default=())

    @property
    def visual_tokens(self) -> int:
        """Tokens that stand for films, their marks included."""
        return sum(film.visual_tokens for film in self.films)

    def __str__(self) -> str:
        frames = sum(film.num_frames for film in self.films if not film.info.is_image)
        seconds = sum(_seen_s(film) for film in self.films if not film.info.is_image)
        num_images = sum(film.info.is_image for film in self.films)
        seen = [f"{frames} {'frame' if frames == 1 else 'frames'} over {seconds:.1f} s"] if frames else []
        seen += [f"{num_images} {'image' if num_images == 1 else 'images'}"] if num_images else []
        if not seen:
            return f"no film -> {self.prompt_tokens:,} tokens of text"
        return f"{' and '.join(seen)} -> {self.visual_tokens:,} tokens"


def plan_conversation(
    conversation: Conversation,
    *,
    encoder: Encoder,
    sampler: FrameSampler,
    context_tokens: int,
    reserve_tokens: int = 0,
    settled: Sequence[FilmPlan] = (),
) -> Plan:
    """Open each film and settle which frames are looked at, as `KangarooProcessor.plan` says."""
    videos = conversation.videos
    assert len(settled) <= len(videos), f"{len(settled)} films are settled, {len(videos)} are in the conversation"
    films = [*settled, *(_film(video, sampler, encoder) for video in videos[len(settled) :])]
    text_tokens = len(encoder.conversation(conversation, [1] * len(videos)) + encoder.prompt())
    text_tokens -= len(videos) * encoder.layout.num_tokens(1)
    room = context_tokens - reserve_tokens - text_tokens
    free = films[len(settled) :]
    lowered = _lower(free, encoder, room - sum(film.visual_tokens for film in settled))
    planned = [*settled, *lowered]
    visual_tokens = sum(film.visual_tokens for film in planned)
    if visual_tokens > room:
        raise ContextError(_too_long(planned, text_tokens, visual_tokens, context_tokens, reserve_tokens))
    notes = tuple(
        f"{film.source.name}: {film.num_frames} frames lowered to {less.num_frames} "
        f"to fit the context of {context_tokens:,} tokens"
        for film, less in zip(free, lowered, strict=True)
        if less.num_frames < film.num_frames
    )
    return Plan(conversation=conversation, films=tuple(planned), prompt_tokens=text_tokens + visual_tokens, notes=notes)


def _film(video: Video, default: FrameSampler, encoder: Encoder) -> FilmPlan:
    info = video.source.open()
    return _looked_at(video.source, info, video.sampler or default, encoder)


def _looked_at(source: VideoSource, info: VideoInfo, sampler: FrameSampler, encoder: Encoder) -> FilmPlan:
    times_s = (0.0,) if info.is_image else tuple(map(float, sampler.wanted_times(info.duration_s)))
    if info.num_frames is not None and info.num_frames < len(times_s):
        times_s = times_s[: max(1, info.num_frames)]
    tokens = encoder.layout.num_tokens(len(times_s))
    return FilmPlan(source=source, info=info, sampler=sampler, times_s=times_s, visual_tokens=tokens)


def _lower(films: Sequence[FilmPlan], encoder: Encoder, room: int) -> list[FilmPlan]:
    """Return the films with as many frames as fit, all capped alike; at their fewest where nothing fits."""
    fewest = encoder.layout.kernel[0]
    cap = max((film.num_frames for film in films), default=fewest)
    planned = list(films)
    while sum(film.visual_tokens for film in planned) > room and cap > fewest:
        # whole groups only: a part of a group costs as much as all of it
        cap = max(fewest, (cap - 1) // fewest * fewest)
        planned = [_capped(film, cap, encoder) for film in films]
    return planned


def _capped(film: FilmPlan, cap: int, encoder: Encoder) -> FilmPlan:
    if film.num_frames <= cap:
        return film
    exact = film.sampler.num_frames is not None
    sampler = film.sampler.with_options(**{"num_frames" if exact else "max_frames": cap})
    return _looked_at(film.source, film.info, sampler, encoder)


def _seen_s(film: FilmPlan) -> float:
    start_s, end_s = film.sampler.clip_s(film.info.duration_s)
    return end_s - start_s


def _too_long(
    films: Sequence[FilmPlan], text_tokens: int, visual_tokens: int, context_tokens: int, reserve_tokens: int
) -> str:
    parts = [f"{text_tokens:,} of text"]
    if films:
        counts = ", ".join(str(film.num_frames) for film in films)
        parts.append(f"{visual_tokens:,} of films even at their fewest frames ({counts})")
    if reserve_tokens:
        parts.append(f"{reserve_tokens:,} kept for the answer")
    total = text_tokens + visual_tokens + reserve_tokens
    return (
        f"the conversation needs {total:,} tokens ({' + '.join(parts)}) but the context holds {context_tokens:,}; "
        "shorten the text, give fewer films or ask for a shorter answer"
    )
