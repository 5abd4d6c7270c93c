"""The laws of the one rule that picks times."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kangaroo.errors import OptionError
from kangaroo.video.sampler import Align, FrameSampler, Parity

durations = st.floats(0.0, 20_000.0)


@st.composite
def samplers(draw):
    min_frames = draw(st.integers(1, 64))
    counted = draw(st.booleans())
    start_s = draw(st.none() | st.floats(0, 50))
    return FrameSampler(
        fps=None if counted else draw(st.floats(0.05, 30)),
        num_frames=draw(st.integers(1, 200)) if counted else None,
        min_frames=min_frames,
        max_frames=draw(st.integers(max(2, min_frames), 300)),
        align=draw(st.sampled_from(Align)),
        parity=draw(st.sampled_from(Parity)),
        start_s=start_s,
        end_s=draw(st.none() | st.floats((start_s or 0) + 0.1, 100)),
        snap_s=draw(st.floats(0, 2)),
    )


@given(samplers(), durations)
def test_times_rise_and_stay_in_the_clip(sampler, duration_s):
    try:
        times_s = sampler.wanted_times(duration_s)
    except OptionError:
        assert sampler.start_s >= duration_s
        return
    start_s, end_s = sampler.clip_s(duration_s)
    assert (np.diff(times_s) >= 0).all()
    assert (times_s >= start_s).all()
    assert (times_s <= end_s + 1e-9).all()


@given(samplers(), durations)
def test_the_count_is_the_asked_one_or_within_bounds(sampler, duration_s):
    if sampler.start_s is not None and sampler.start_s >= duration_s:
        return
    count = len(sampler.wanted_times(duration_s))
    if sampler.num_frames is not None:
        assert count == sampler.num_frames
        return
    assert count <= sampler.max_frames
    assert count >= sampler.min_frames - (sampler.parity is Parity.EVEN and sampler.min_frames == sampler.max_frames)
    if sampler.parity is Parity.EVEN:
        assert count % 2 == 0


@given(samplers())
def test_plain_values_give_the_sampler_back(sampler):
    assert FrameSampler.from_dict(sampler.to_dict()) == sampler


@given(st.floats(0.1, 5000))
def test_the_default_equals_the_original_two_part_rule(duration_s):
    seconds = int(duration_s + 0.5)
    inferred = min(max(seconds, 16), 64) if duration_s <= 64 else min(max(seconds, 64), 160)
    assert len(FrameSampler(parity=Parity.ANY).wanted_times(duration_s)) == inferred


def test_each_alignment_of_four_frames_over_eight_seconds():
    def wanted(align):
        return FrameSampler(num_frames=4, align=align).wanted_times(8.0).tolist()

    assert wanted(Align.LEFT) == [0, 2, 4, 6]
    assert wanted(Align.MIDDLE) == [1, 3, 5, 7]
    assert wanted(Align.EDGES) == pytest.approx([0, 8 / 3, 16 / 3, 8])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fps": 0.0}, ["fps", "0"]),
        ({"fps": 2.0, "num_frames": 8}, ["2", "8"]),
        ({"fps": None}, ["neither"]),
        ({"num_frames": 0}, ["0"]),
        ({"min_frames": 20, "max_frames": 10}, ["20", "10"]),
        ({"min_frames": 0}, ["min_frames"]),
        ({"start_s": 5.0, "end_s": 3.0}, ["5", "3"]),
        ({"start_s": -1.0}, ["-1"]),
        ({"snap_s": float("nan")}, ["nan"]),
        ({"min_frames": 1, "max_frames": 1}, ["1", "parity"]),
    ],
)
def test_impossible_options_name_the_numbers(options, words):
    with pytest.raises(OptionError) as caught:
        FrameSampler(**options)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"align": "centre"}, ["centre", "middle"]),
        ({"parity": "odd"}, ["odd", "even"]),
        ({"fps": "fast"}, ["fps", "fast"]),
        ({"num_frames": 2.5}, ["2.5", "whole"]),
        ({"snap_s": None}, ["snap_s"]),
        ({"min_frames": True}, ["True"]),
    ],
)
def test_stored_values_of_the_wrong_kind_are_refused(values, words):
    with pytest.raises(OptionError) as caught:
        FrameSampler.from_dict(values)
    assert all(word in str(caught.value) for word in words)


def test_stored_whole_numbers_do_for_seconds():
    assert FrameSampler.from_dict({"fps": 2, "start_s": 3}) == FrameSampler(fps=2.0, start_s=3.0)


def test_a_clip_after_the_end_names_both_times():
    with pytest.raises(OptionError, match=r"12 s .* 9\.500 s"):
        FrameSampler(start_s=12.0).wanted_times(9.5)


def test_an_unknown_option_is_refused_with_the_nearest_name():
    with pytest.raises(OptionError, match=r"'max_frame'.*'max_frames'"):
        FrameSampler.from_dict({"max_frame": 3})


def test_options_of_a_person_replace_what_they_contradict():
    base = FrameSampler(fps=2.0, max_frames=32)
    assert base.with_options(num_frames=5) == FrameSampler(num_frames=5, max_frames=32)
    assert base.with_options(num_frames=5).with_options(fps=3.0) == FrameSampler(fps=3.0, max_frames=32)
    assert base.with_options(max_frames=4).min_frames == 4
    assert base.with_options() == base
    with pytest.raises(OptionError, match="give one"):
        base.with_options(fps=1.0, num_frames=4)


def test_numbers_beyond_any_film_cost_neither_memory_nor_a_crash():
    for name in ("num_frames", "min_frames"):
        with pytest.raises(OptionError, match=f"{name} is 1000000000; give 1048576 or fewer"):
            FrameSampler(**{name: 10**9, "max_frames": 10**9})
    assert len(FrameSampler(fps=1e308, max_frames=64).wanted_times(24.0)) == 64
