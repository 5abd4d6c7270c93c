"""Frames give way before a conversation is refused, and what will be done is said beforehand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.errors import ContextError, OptionError, PromptError
from kangaroo.model.presets import joey
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource
from kangaroo.video.write import write_video


def film(seconds, *, fps=2.0, sampler=None):
    pixels = np.zeros((round(seconds * fps), 8, 8, 3), dtype=np.uint8)
    return Video(VideoSource.from_arrays(pixels, fps=fps), sampler)


PICTURE = Video(VideoSource.from_arrays(np.zeros((1, 8, 8, 3), dtype=np.uint8), times_s=[0.0]))


def ask(*films):
    return Conversation().ask("What happens?", *films)


def test_the_line_before_an_answer(tiny_tokenizer):
    processor = KangarooProcessor.for_model(joey(vocab_size=len(tiny_tokenizer)), tiny_tokenizer)
    assert (
        str(processor.plan(ask(film(92.3, fps=10.0)), context_tokens=8192)) == "92 frames over 92.3 s -> 2,992 tokens"
    )
    assert str(processor.plan(ask(PICTURE), context_tokens=8192)) == "1 image -> 67 tokens"
    both = processor.plan(ask(film(20), PICTURE, PICTURE, film(30)), context_tokens=8192)
    assert str(both) == f"50 frames over 50.0 s and 2 images -> {25 * 65 + 4 + 2 * 67:,} tokens"
    text = processor.plan(ask(), context_tokens=8192)
    assert str(text) == f"no film -> {text.prompt_tokens} tokens"


def test_a_clip_counts_the_seconds_that_are_seen(tiny_processor):
    sampler = FrameSampler(start_s=10.0, end_s=30.0)
    assert str(tiny_processor.plan(ask(film(60, sampler=sampler)), context_tokens=4096)).startswith(
        "20 frames over 20.0 s"
    )


@given(
    seconds=st.lists(st.integers(1, 40), max_size=3),
    context=st.integers(20, 160),
    reserve=st.integers(0, 30),
    exact=st.none() | st.integers(1, 30),
)
def test_a_plan_fits_or_says_why_not(tiny_processor, seconds, context, reserve, exact):
    sampler = None if exact is None else FrameSampler(num_frames=exact)
    conversation = ask(*(film(length, sampler=sampler) for length in seconds))
    wished = tiny_processor.plan(conversation, context_tokens=10**6)
    try:
        plan = tiny_processor.plan(conversation, context_tokens=context, reserve_tokens=reserve)
    except ContextError:
        fewest = [tiny_processor.layout.num_tokens(min(one.num_frames, 2)) for one in wished.films]
        assert wished.prompt_tokens - wished.visual_tokens + sum(fewest) + reserve > context
        return
    assert plan.prompt_tokens + reserve <= context
    frames = tiny_processor.read(plan)
    encoded = tiny_processor.encode(conversation, frames, generation_prompt=True)
    assert len(encoded) == plan.prompt_tokens
    for planned, read in zip(plan.films, frames, strict=True):
        assert planned.times_s == tuple(read.times_s)
    lowered = [
        (one, less) for one, less in zip(wished.films, plan.films, strict=True) if less.num_frames < one.num_frames
    ]
    assert len(plan.notes) == len(lowered)
    # the largest give first: none that kept its frames has more than one that was lowered
    kept = [one.num_frames for one, less in zip(wished.films, plan.films, strict=True) if one == less]
    assert not lowered or max(kept, default=0) <= min(less.num_frames for _, less in lowered) + 1


def test_notes_say_from_how_many_frames_to_how_many(tiny_processor):
    plan = tiny_processor.plan(ask(film(60), film(4)), context_tokens=150)
    assert [one.num_frames for one in plan.films] == [44, 8]
    assert plan.notes == ("<120 frames>: 60 frames lowered to 44 to fit the context of 150 tokens",)


def test_a_few_more_words_leave_lowered_frames_as_they_are(tiny_processor):
    conversation = ask(film(60))
    counts = [
        tiny_processor.plan(conversation, context_tokens=tokens).films[0].num_frames for tokens in range(150, 70, -1)
    ]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) < len(counts) / 5
    assert all(after > 0.8 * before for before, after in pairwise(counts))


def test_what_does_not_fit_is_reckoned_up(tiny_processor):
    with pytest.raises(ContextError) as error:
        tiny_processor.plan(ask(film(60), film(4)), context_tokens=36, reserve_tokens=10)
    text = tiny_processor.plan(ask(), context_tokens=4096).prompt_tokens
    assert str(error.value) == (
        f"the conversation needs {text + 24} tokens ({text} of text + 14 of films even at their fewest frames (2, 2) "
        "+ 10 kept for the answer) but the context holds 36; "
        "shorten the text, give fewer films or ask for a shorter answer"
    )


def test_films_of_an_open_session_are_left_as_they_are(tiny_processor):
    first = tiny_processor.plan(ask(film(60)), context_tokens=4096)
    conversation = first.conversation.reply("A circle moves.").ask("And here?", film(60))
    second = tiny_processor.plan(conversation, context_tokens=250, settled=first.films)
    assert second.films[0] is first.films[0]
    assert second.films[1].num_frames < 60


def test_a_file_is_planned_as_it_is_read(tiny_processor, tmp_path):
    times_s = np.cumsum([0.0, 0.1, 0.7, 0.1, 0.1, 2.0])
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 48, 3), dtype=np.uint8)
    write_video(tmp_path / "film.mp4", pixels, times_s=times_s)
    plan = tiny_processor.plan(ask(Video(VideoSource(tmp_path / "film.mp4"))), context_tokens=4096)
    (frames,) = tiny_processor.read(plan)
    assert plan.films[0].num_frames == len(frames) == 6
    np.testing.assert_allclose(frames.times_s, times_s, atol=1e-4)
    assert frames.pixels.shape == (6, 56, 56, 3)


def test_only_a_question_is_planned(tiny_processor):
    with pytest.raises(PromptError, match="the conversation is empty"):
        tiny_processor.plan(Conversation(), context_tokens=100)
    with pytest.raises(OptionError, match="the clip starts at 70 s"):
        tiny_processor.plan(ask(film(60, sampler=FrameSampler(start_s=70.0))), context_tokens=100)
