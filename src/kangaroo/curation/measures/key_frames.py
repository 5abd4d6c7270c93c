"""Pick the frames of a clip that captioners look at: one a fifth, sharp, not black, with little text.

Axes: frame, height, width, channel; row and column of a picture made small.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64, UInt8

from kangaroo.errors import OptionError
from kangaroo.video.frames import Frames

_LUMA = np.array([0.299, 0.587, 0.114])  # BT.601
_SIDE_PX = 256


@dataclass(frozen=True, kw_only=True)
class KeyFrameSettings:
    """How key frames are picked. The paper says five and no more.

    Attributes:
        num_frames: Into so many equal spans a clip is cut; each gives one frame.
        min_brightness: A frame whose mean is lower (0 to 255) is black and never picked.
        text_weight: So much sharpness (1 is the clip's sharpest frame) does a frame full of text lose.
        side_px: Longer side of the pictures that captioners are shown; smaller films are not enlarged.
    """

    num_frames: int = 5
    min_brightness: float = 16.0
    text_weight: float = 2.0
    side_px: int = 640

    def __post_init__(self) -> None:
        if self.num_frames < 1:
            raise OptionError(f"num_frames is {self.num_frames}; give 1 or more")
        if not 0 <= self.min_brightness < 255:
            raise OptionError(f"min_brightness is {self.min_brightness}; give 0 to 254")
        if not self.text_weight >= 0:
            raise OptionError(f"text_weight is {self.text_weight}; give 0 or more")
        if not 16 <= self.side_px <= 4096:
            raise OptionError(f"side_px is {self.side_px}; give 16 to 4096")


@dataclass(frozen=True, kw_only=True)
class KeyFrame:
    """A frame that was picked.

    Attributes:
        place: Its place among the frames given.
        time_s: When it is shown.
        sharpness: Variance of its Laplacian, at no more than 256 px.
        text: Share of its area that text covers.
    """

    place: int
    time_s: float
    sharpness: float
    text: float


def pick_key_frames(
    frames: Frames,
    settings: KeyFrameSettings = KeyFrameSettings(),
    *,
    start_s: float,
    end_s: float,
    text: Sequence[float] | None = None,
) -> tuple[KeyFrame, ...]:
    """Return the best frame of each span of the clip, earliest first.

    A span without a frame, or with black ones only, gives none: a black clip has no key frames.

    Args:
        frames: Candidates, several a span; those outside the clip are not looked at.
        start_s: Where the clip begins, on the clock of the frames' times.
        end_s: Where it ends.
        text: Share (0 to 1) of each frame's area that text covers; None where nobody measured.
    """
    assert text is None or len(text) == len(frames), f"{len(text or ())} shares of text for {len(frames)} frames"
    small = [_grey(pixels) for pixels in frames.pixels]
    sharpness = [_sharpness(grey) for grey in small]
    covered = [0.0] * len(frames) if text is None else list(text)
    usable = [place for place, grey in enumerate(small) if grey.mean() >= settings.min_brightness]
    sharpest = max((sharpness[place] for place in usable), default=0.0) or 1.0
    edges = np.linspace(start_s, end_s, settings.num_frames + 1)
    picked: list[KeyFrame] = []
    for begins_s, ends_s in pairwise(edges):
        own = [place for place in usable if begins_s <= frames.times_s[place] < ends_s]
        if own:
            # of equals the first: whoever counts again picks the same
            best = max(own, key=lambda place: sharpness[place] / sharpest - settings.text_weight * covered[place])
            time_s = float(frames.times_s[best])
            picked.append(KeyFrame(place=best, time_s=time_s, sharpness=sharpness[best], text=covered[best]))
    return tuple(picked)


def _grey(pixels: UInt8[np.ndarray, "height width 3"]) -> Float64[np.ndarray, "row column"]:
    step = -(-max(pixels.shape[:2]) // _SIDE_PX)  # whole blocks are averaged, so that noise is no sharpness
    height, width = pixels.shape[0] // step * step, pixels.shape[1] // step * step
    blocks = pixels[:height, :width].reshape(height // step, step, width // step, step, 3)
    return blocks.mean(axis=(1, 3)) @ _LUMA


def _sharpness(grey: Float64[np.ndarray, "row column"]) -> float:
    if min(grey.shape) < 3:
        return 0.0
    centre = grey[1:-1, 1:-1]
    return float((grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * centre).var())
