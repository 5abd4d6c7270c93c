"""Decide what of each film is looked at before anything is decoded, so that a conversation fits its context.

When it does not fit, the largest films give frames first, down to one group each; text is never cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kangaroo.dialogue.conversation import Conversation, Role
from kangaroo.dialogue.encoding import Encoder
from kangaroo.errors import ContextError, PromptError
from kangaroo.model.layout import VisualLayout
from kangaroo.video.decode import plan_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

_STEPS = 8


@dataclass(frozen=True, kw_only=True)
class FilmPlan:
    """What will be looked at of one film.

    Attributes:
        source: The film.
        sampler: The rule that picks its frames, lowered where the context asked for it.
        duration_s: How long the film is on screen; 0 for an image.
        times_s: When each frame that will be looked at appears, from the film's first frame on.
        visual_tokens: Length of its block in the prompt, its marks included.
    """

    source: VideoSource
    sampler: FrameSampler
    duration_s: float
    times_s: tuple[float, ...]
    visual_tokens: int

    @property
    def num_frames(self) -> int:
        """How many frames will be looked at; damage found in decoding may leave fewer."""
        return len(self.times_s)

    @property
    def seen_s(self) -> float:
        """How much of the film the frames stand for."""
        start_s, end_s = self.sampler.clip_s(self.duration_s) if self.duration_s else (0.0, 0.0)
        return end_s - start_s


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
        films = [film for film in self.films if film.duration_s]
        frames, images = sum(film.num_frames for film in films), len(self.films) - len(films)
        seconds = sum(film.seen_s for film in films)
        seen = [f"{frames} frame{'s' * (frames != 1)} over {seconds:.1f} s"] if films else []
        seen += [f"{images} image{'s' * (images != 1)}"] if images else []
        if not seen:
            return f"no film -> {self.prompt_tokens:,} tokens"
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
    """Settle which frames of each film are looked at, as `KangarooProcessor.plan` says."""
    check_awaits_answer(conversation)
    videos = conversation.videos
    assert len(settled) <= len(videos), f"{len(settled)} films are settled, {len(videos)} are in the conversation"
    wished = [_look(video.source, video.sampler or sampler, encoder) for video in videos[len(settled) :]]
    text_tokens = len(encoder.conversation(conversation, [1] * len(videos)) + encoder.prompt())
    text_tokens -= len(videos) * encoder.layout.num_tokens(1)
    room = context_tokens - reserve_tokens - text_tokens
    cap = _cap([film.num_frames for film in wished], encoder.layout, room - sum(film.visual_tokens for film in settled))
    planned = [_capped(film, cap, encoder) for film in wished]
    films = (*settled, *planned)
    visual_tokens = sum(film.visual_tokens for film in films)
    if visual_tokens > room:
        raise ContextError(_too_long(films, text_tokens, visual_tokens, context_tokens, reserve_tokens))
    notes = tuple(
        f"{film.source.name}: {film.num_frames} frames lowered to {less.num_frames} "
        f"to fit the context of {context_tokens:,} tokens"
        for film, less in zip(wished, planned, strict=True)
        if less.num_frames < film.num_frames
    )
    return Plan(conversation=conversation, films=films, prompt_tokens=text_tokens + visual_tokens, notes=notes)


def check_awaits_answer(conversation: Conversation) -> None:
    """Raise `PromptError` where nobody waits for an answer."""
    if not conversation.turns:
        raise PromptError("the conversation is empty; ask something")
    if conversation.turns[-1].role is not Role.USER:
        raise PromptError(f"the last turn is the {conversation.turns[-1].role}'s; end with a user's question")


def _look(source: VideoSource, sampler: FrameSampler, encoder: Encoder) -> FilmPlan:
    seen = plan_frames(source, sampler)
    return FilmPlan(
        source=source,
        sampler=sampler,
        duration_s=seen.duration_s,
        times_s=tuple(map(float, seen.times_s)),
        visual_tokens=encoder.layout.num_tokens(len(seen.times_s)),
    )


def _cap(counts: Sequence[int], layout: VisualLayout, room: int) -> int:
    """Return the most frames that any film may have so that all fit; one group where nothing fits.

    Who must be lowered is lowered by eighths of a power of two: a few more words of the same conversation then leave
    the frames as they are, which were decoded and seen.
    """
    group = layout.kernel[0]
    most = cap = max(counts, default=group)
    while cap > group and sum(layout.num_tokens(min(count, cap)) for count in counts) > room:
        # whole groups only, since a part of a group costs as much; one film alone tells where to start
        cap = max(group, min((cap - 1) // group * group, layout.most_frames(room)))
    if cap == most:
        return cap
    groups = cap // group
    step = max(1, (1 << groups.bit_length() - 1) // _STEPS)
    return groups // step * step * group


def _capped(film: FilmPlan, cap: int, encoder: Encoder) -> FilmPlan:
    return film if film.num_frames <= cap else _look(film.source, film.sampler.with_options(num_frames=cap), encoder)


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
