"""Clips end where scenes end, and are as long as was asked, however long the film."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reels import scenes

from kangaroo.curation.measures.clips import CutSettings, Cutter, Span, clip_id
from kangaroo.errors import OptionError


def cut(lengths, settings=CutSettings(), fps=10):
    cutter = Cutter(settings)
    pictures = scenes(len(lengths), len(lengths), height=90, width=160)
    frames = [picture for picture, count in zip(pictures, lengths, strict=True) for _ in range(count)]
    spans = []
    for number, frame in enumerate(frames):
        spans += cutter.add(frame, number / fps)
        cutter.forget(cutter.open_since_s)
    return [*spans, *cutter.end(len(frames) / fps)], cutter


def test_a_clip_ends_within_its_last_frame():
    spans, _ = cut([30, 40, 25])
    assert [span.start_s for span in spans] == pytest.approx([0.0, 3.0, 7.0])
    assert [span.end_s for span in spans] == pytest.approx([2.95, 6.95, 9.5])


def test_short_scenes_are_counted_and_left_out():
    spans, cutter = cut([30, 10, 30])
    assert [span.start_s for span in spans] == pytest.approx([0.0, 4.0])
    assert cutter.num_short == 1


@given(st.lists(st.integers(6, 90), min_size=1, max_size=4), st.floats(2.0, 5.0))
def test_clips_are_in_order_apart_and_within_their_lengths(lengths, max_s):
    spans, _ = cut(lengths, CutSettings(min_s=1.5, max_s=max_s))
    for span in spans:
        assert 1.5 - 0.11 <= span.end_s - span.start_s <= max_s + 1e-6
    for one, other in pairwise(spans):
        assert one.end_s <= other.start_s


def test_the_cuts_of_a_long_film_do_not_depend_on_when_it_is_looked_at():
    lengths = [50, 70, 30, 45, 60, 25] * 6
    spans, _ = cut(lengths)
    assert [span.start_s for span in spans] == pytest.approx(np.cumsum([0, *lengths[:-1]]) / 10)


def test_a_scene_without_end_is_split_while_it_runs():
    cutter = Cutter(CutSettings(min_s=2.0, max_s=4.0))
    still = np.zeros((90, 160, 3), np.uint8)
    early = [span for number in range(600) for span in cutter.add(still, number / 10)]
    assert early[:2] == [Span(0.0, 4.0), Span(4.0, 8.0)]
    assert cutter.open_since_s == early[-1].end_s >= 24
    late = [*early, *cutter.end(60.0)]
    assert all(one.end_s == other.start_s for one, other in pairwise(late))
    assert late[-1].end_s == 60.0


def test_ids_tell_contents_and_spans_apart():
    ids = {clip_id(content, Span(0.0, end_s)) for content in "ab" for end_s in (2.0, 2.001)}
    assert len(ids) == 4


@pytest.mark.parametrize("wrong", [{"min_s": 0.0}, {"min_s": 70.0}, {"max_s": 4000.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(OptionError):
        CutSettings(**wrong)
