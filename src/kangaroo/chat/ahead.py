"""See frames of a film while others of it are still being decoded: a GPU would wait for the last of them.

Axes: frame, height, width, token, vision (the tower's width).
"""

from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from kangaroo.video.frames import Frames
from kangaroo.video.runs import Watch

Pixels = UInt8[np.ndarray, "frame height width 3"]
Features = Float[Tensor, "frame token vision"]


class Ahead:
    """Sees what decoders hand over, in a thread of its own; to be closed, which `with` does.

    Args:
        see: Turns frames into features.
        at_once: It is given so many at a time, but for the films that are fewer.
    """

    def __init__(self, see: Callable[[Pixels], Features], *, at_once: int) -> None:
        self._see = see
        self._at_once = at_once
        self._lock = Lock()
        self._waiting: dict[Hashable, UInt8[np.ndarray, "height width 3"]] = {}
        self._seen: dict[Hashable, tuple[Future[Features], int]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kangaroo-ahead")

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *_error: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def watch(self, film: Hashable) -> Watch:
        """Return what a film's decoders tell of its frames."""
        return partial(self._take, film)

    def features(self, film: Hashable, frames: Frames) -> list[Float[Tensor, "token vision"]]:
        """Return the features of each of a film's frames once all are seen; those that nobody told of are seen now.

        Raises:
            torch.OutOfMemoryError: The device has no memory for them.
        """
        names = [(film, time_s) for time_s in frames.times_s.tolist()]
        with self._lock:
            for name, pixels in zip(names, frames.pixels, strict=True):
                if name not in self._seen:
                    self._waiting[name] = pixels
            while self._waiting:
                self._send()
        return [future.result()[place] for future, place in map(self._seen.__getitem__, names)]

    def _take(self, film: Hashable, time_s: float, pixels: UInt8[np.ndarray, "height width 3"]) -> None:
        with self._lock:
            self._waiting[film, time_s] = pixels
            if len(self._waiting) >= self._at_once:
                self._send()

    def _send(self) -> None:
        names = list(self._waiting)[: self._at_once]
        pixels = [self._waiting.pop(name) for name in names]
        if self._seen:
            # which frames come last is chance, and fewer at a time might be rounded in another way
            pixels += pixels[-1:] * (self._at_once - len(pixels))
        future = self._thread.submit(self._see, np.stack(pixels))
        self._seen |= {name: (future, place) for place, name in enumerate(names)}
