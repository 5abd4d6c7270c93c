"""A film's tokens are counted, ordered and written by one rule."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kangaroo.model.layout import EofUnit, OddFrames, VisualLayout, VisualToken

KERNELS = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
LAYOUTS = st.builds(
    VisualLayout,
    image_size_px=st.integers(1, 40).map(lambda side: 14 * side),
    kernel=KERNELS,
    odd_frames=st.sampled_from(OddFrames),
    eof_unit=st.sampled_from(EofUnit),
    class_token=st.booleans(),
)
FRAMES = st.integers(1, 400)


@pytest.mark.parametrize(
    ("num_frames", "num_tokens", "visual"),
    [(16, 2058, 2048), (64, 8226, 8192), (160, 20562, 20480), (161, 20819, 20736), (1, 259, 256)],
)
def test_published_sizes_give_the_published_counts(num_frames: int, num_tokens: int, visual: int) -> None:
    layout = VisualLayout(image_size_px=448)
    assert layout.num_tokens(num_frames) == num_tokens
    assert layout.num_visual_tokens(num_frames) == visual


@pytest.mark.parametrize(("num_frames", "context"), [(1, 512), (8, 2560)])
def test_stages_without_patchify_fit_their_contexts(num_frames: int, context: int) -> None:
    layout = VisualLayout(image_size_px=224, kernel=(1, 1, 1))
    assert layout.num_visual_tokens(num_frames) == 256 * num_frames
    assert layout.num_tokens(num_frames) < context


def test_frame_groups_are_parted_by_eof_and_closed_by_eov() -> None:
    layout = VisualLayout(image_size_px=28)
    assert "".join(layout.tokens(5)) == "<vi_start><vi_pad><eof><vi_pad><eof><vi_pad><eov><vi_end>"
    assert "".join(layout.tokens(1)) == "<vi_start><vi_pad><eov><vi_end>"


def test_eof_per_frame_stands_once_for_each_frame_of_a_group() -> None:
    layout = VisualLayout(image_size_px=28, eof_unit=EofUnit.FRAME)
    assert "".join(layout.tokens(4)) == "<vi_start><vi_pad><eof><eof><vi_pad><eof><eov><vi_end>"


@given(layout=LAYOUTS, num_frames=FRAMES)
def test_written_tokens_are_the_counted_ones(layout: VisualLayout, num_frames: int) -> None:
    tokens = layout.tokens(num_frames)
    count = Counter(tokens)
    assert len(tokens) == layout.num_tokens(num_frames)
    assert count[VisualToken.PATCH] == layout.num_visual_tokens(num_frames) > 0
    assert (tokens[0], tokens[-2:]) == (VisualToken.START, [VisualToken.END_OF_VIDEO, VisualToken.END])
    assert count[VisualToken.START] == count[VisualToken.END_OF_VIDEO] == count[VisualToken.END] == 1


@given(layout=LAYOUTS, num_frames=FRAMES)
def test_slots_fill_whole_groups_in_order(layout: VisualLayout, num_frames: int) -> None:
    slots = layout.slots(num_frames)
    assert len(slots) == layout.num_groups(num_frames) * layout.kernel[0]
    assert slots == sorted(slots)
    assert set(slots) == set(range(slots[-1] + 1))
    if layout.odd_frames is OddFrames.REPEAT:
        assert slots[-1] == num_frames - 1


@given(layout=LAYOUTS, num_frames=FRAMES)
def test_most_frames_fits_and_one_group_more_does_not(layout: VisualLayout, num_frames: int) -> None:
    budget = layout.num_tokens(num_frames)
    most = layout.most_frames(budget)
    assert most == layout.num_groups(num_frames) * layout.kernel[0]
    assert layout.num_tokens(most) <= budget < layout.num_tokens(most + layout.kernel[0])
    assert layout.most_frames(2) == 0


def test_frames_left_over_repeat_the_last_or_drop() -> None:
    assert VisualLayout(image_size_px=28).slots(5) == [0, 1, 2, 3, 4, 4]
    dropping = VisualLayout(image_size_px=28, odd_frames=OddFrames.DROP)
    assert dropping.slots(5) == [0, 1, 2, 3]
    assert dropping.slots(1) == [0, 0], "an image keeps its one frame"


def test_layout_imports_without_torch() -> None:
    import subprocess
    import sys

    code = "import sys, kangaroo.model.layout; assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
