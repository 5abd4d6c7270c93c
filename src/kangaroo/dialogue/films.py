"""Name a film however callers give one: path, URL, bytes, picture, array or list of pictures. Imports without torch.

Axes: frame, height, width.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kangaroo.errors import VideoError
from kangaroo.video.frames import Frames
from kangaroo.video.source import VideoSource

_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def as_source(value: Any, times_s: "Sequence[float] | np.ndarray | None" = None) -> VideoSource:
    """Return the source that a value means.

    Args:
        value: A `VideoSource`, path, URL, data URL, bytes or `Frames`; a PIL image; a uint8 RGB array or tensor of
            one picture or of several, channels first or last; or a list of such pictures of one size.
        times_s: When each picture is shown, in seconds. A single picture needs none.

    Raises:
        VideoError: The value is none of these, or several pictures come without times.
    """
    if isinstance(value, VideoSource):
        return value
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, str | Path | bytes | Frames):
        return VideoSource(value)
    if _is_picture_file(value):
        # PNG takes a PIL image through the decoder that files take: transparency and 16 bits come out the same
        file = io.BytesIO()
        value = value if value.mode in _PNG_MODES else value.convert("RGB")
        value.save(file, format="PNG")
        return VideoSource(file.getvalue())
    pixels = _array(value)
    if times_s is None and len(pixels) > 1:
        raise VideoError(f"{len(pixels)} frames come without their times; give times_s, or a VideoSource.from_arrays")
    return VideoSource.from_arrays(pixels, times_s=np.zeros(1) if times_s is None else np.asarray(times_s))


def list_sources(values: Any) -> list[Any]:
    """Return the single films in what a caller gave transformers: one film, a list, or a list for each prompt."""
    if not isinstance(values, list | tuple):
        return list(values) if getattr(values, "ndim", 0) == 5 else [values]
    if values and all(getattr(value, "ndim", 0) == 3 or _is_picture_file(value) for value in values):
        return [values]  # the pictures of one film
    return [film for value in values for film in (list_sources(value) if isinstance(value, list | tuple) else [value])]


def list_images(values: Any) -> list[Any]:
    """Return the single pictures in what a caller gave transformers: one, a list, or a list for each prompt."""
    if not isinstance(values, list | tuple):
        return [values]
    return [picture for value in values for picture in list_images(value)]


def _is_picture_file(value: Any) -> bool:
    return hasattr(value, "save") and hasattr(value, "getbands")  # PIL need not be imported to know its images


def _array(value: Any) -> np.ndarray:
    if isinstance(value, list | tuple) and value:
        pictures = [_array(picture) for picture in value]
        if len({picture.shape for picture in pictures}) > 1:
            raise VideoError("the pictures of one film differ in size; give them one size, or a folder of files")
        return np.concatenate(pictures)
    if _is_picture_file(value):
        return np.asarray(value.convert("RGB"))[None]
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if not isinstance(value, np.ndarray):
        raise VideoError(f"a film cannot be a {type(value).__name__}; give a path, URL, bytes, frames or an array")
    pixels = value[None] if value.ndim == 3 else value
    if pixels.ndim == 4 and pixels.shape[-1] != 3 and pixels.shape[1] == 3:
        pixels = np.moveaxis(pixels, 1, -1)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
        raise VideoError(f"frames must be uint8 RGB, values 0 to 255, not {pixels.dtype} of shape {value.shape}")
    return np.ascontiguousarray(pixels)
