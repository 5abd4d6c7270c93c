"""The sample film, captioned by joey in this process: once for all tests that look at it."""

from functools import cache
from pathlib import Path

from kangaroo.curation.measures.key_frames import pick_key_frames
from kangaroo.curation.words.asking import ModelSettings, open_asker
from kangaroo.curation.words.captioning import CaptionerSettings, caption
from kangaroo.playground.vocabulary import Language
from kangaroo.video.decode import read_frames
from kangaroo.video.frames import Frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

FILM = Path(__file__).parents[2] / "examples" / "kangaroo.mp4"


@cache
def key_frames():
    frames = read_frames(VideoSource(FILM), FrameSampler(num_frames=20), size_px=(224, 224))
    places = [one.place for one in pick_key_frames(frames, start_s=0.0, end_s=24.0)]
    return Frames(pixels=frames.pixels[places], times_s=frames.times_s[places])


@cache
def joey():
    return open_asker(ModelSettings())


@cache
def joey_says(language):
    return caption(key_frames(), CaptionerSettings(), joey(), language=Language(language))
