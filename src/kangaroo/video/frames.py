"""What decoding yields: pixels and the second at which each was shown.

Axes: frame, height, width, channel.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8


@dataclass(frozen=True, kw_only=True, eq=False)
class Frames:
    """Pixels in RGB order and each frame's presentation time in seconds.

    Times come from the container, never from index over rate. `notes` says in plain words what a reader
    should know of how these frames came about: a damaged part left out, a time that had to be guessed.
    """

    pixels: UInt8[np.ndarray, "frame height width 3"]
    times_s: Float64[np.ndarray, " frame"]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.pixels.dtype == np.uint8, f"pixels must be uint8, not {self.pixels.dtype}"
        assert self.pixels.ndim == 4, f"pixels are {self.pixels.shape}"
        assert self.pixels.shape[-1] == 3, f"pixels are {self.pixels.shape}"
        assert self.times_s.shape == self.pixels.shape[:1], f"{self.times_s.shape} times, {self.pixels.shape} pixels"

    def __len__(self) -> int:
        return len(self.times_s)
