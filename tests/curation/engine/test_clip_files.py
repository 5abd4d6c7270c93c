"""Clips of one video become films of their own, the same whether they are written together or apart."""

import numpy as np
import pytest

from kangaroo.curation.clip import Clip
from kangaroo.curation.engine.export import MediaSettings, export, file_of
from kangaroo.errors import VideoError
from kangaroo.video.source import VideoSource
from kangaroo.video.stream import Streamed
from kangaroo.video.write import write_video

SETTINGS = MediaSettings()


@pytest.fixture
def video(tmp_path):
    """Three seconds of eight frames each, every frame a grey of its own."""
    greys = np.linspace(16, 240, 24, dtype=np.uint8)
    write_video(tmp_path / "film.mp4", (np.full((48, 64, 3), grey, np.uint8) for grey in greys), fps=8.0)
    return tmp_path / "film.mp4"


def clip(video, name, start_s, end_s):
    return Clip(id=name, video=video, start_s=start_s, end_s=end_s)


def test_neighbours_share_no_frame_and_lose_none_written_together_or_apart(video, tmp_path):
    clips = clip(video, "a", 0.0, 1.0), clip(video, "b", 1.0, 2.0), clip(video, "c", 2.0, 3.0)
    together, apart = tmp_path / "together", tmp_path / "apart"
    for folder in (together, apart):
        folder.mkdir()
    export(video, clips, together, SETTINGS)
    for one in clips:
        export(video, (one,), apart, SETTINGS)
        name = file_of(one, SETTINGS)
        assert (together / name).read_bytes() == (apart / name).read_bytes()
        shown = [time_s for time_s, _ in Streamed.open(VideoSource(together / name))]
        assert shown == pytest.approx(np.arange(8) / 8)


def test_a_clip_without_a_frame_is_told(video, tmp_path):
    with pytest.raises(VideoError, match=r"no frame from 7\.000 to 9\.000 s"):
        export(video, (clip(video, "late", 7.0, 9.0),), tmp_path, SETTINGS)
