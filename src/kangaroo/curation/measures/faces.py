"""Find faces with CenterFace (on OpenCV's own engine, one thread enough) and measure what they cover.

Axes: face; row, column.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from kangaroo.curation.measures.areas import rectangle, union_share
from kangaroo.errors import OptionError
from kangaroo.video.frames import Frames

_STRIDE = 4  # the network's map is a quarter of its input
_SIDE_MULTIPLE = 32
_SAME_FACE = 0.3


@dataclass(frozen=True, kw_only=True)
class Face:
    """A face's rectangle in shares of the frame's sides, and how sure the detector is (0 to 1)."""

    left: float
    top: float
    right: float
    bottom: float
    score: float

    @property
    def share(self) -> float:
        """Of the frame's area."""
        return (self.right - self.left) * (self.bottom - self.top)


@dataclass(frozen=True, kw_only=True)
class FaceSettings:
    """How faces are looked for.

    Attributes:
        longer_side_px: Of the picture that the detector sees. At 320, faces from a fifteenth of it are found.
        score: Least certainty.
    """

    longer_side_px: int = 320
    score: float = 0.6

    def __post_init__(self) -> None:
        if not 32 <= self.longer_side_px <= 4096:
            raise OptionError(f"longer_side_px is {self.longer_side_px}; give 32 to 4096")
        if not 0 < self.score < 1:
            raise OptionError(f"score is {self.score:g}; give more than 0 and less than 1")


@dataclass(frozen=True, kw_only=True)
class FaceCover:
    """What faces cover in a clip.

    Attributes:
        cover: Share of the frame that faces cover together, the median over frames.
        largest: Share of the largest face, the median over frames.
        most_cover: The greatest cover of a frame.
        most_faces: The most faces in one frame.
    """

    cover: float
    largest: float
    most_cover: float
    most_faces: int


class FaceDetector:
    """Finds faces in pictures of any size.

    >>> FaceDetector(find_weights(FACES)).find(frames)

    Args:
        path: CenterFace's weights as ONNX.
        settings: How faces are looked for.
    """

    def __init__(self, path: Path, settings: FaceSettings = FaceSettings()) -> None:
        self._network = cv2.dnn.readNetFromONNX(str(path))
        self._settings = settings

    def find(self, frames: Frames) -> tuple[tuple[Face, ...], ...]:
        """Return the faces of each frame, surest first."""
        return tuple(self._find(pixels) for pixels in frames.pixels)

    def _find(self, pixels: UInt8[np.ndarray, "row column 3"]) -> tuple[Face, ...]:
        scale = self._settings.longer_side_px / max(pixels.shape[:2])
        height, width = (_SIDE_MULTIPLE * max(1, round(side * scale / _SIDE_MULTIPLE)) for side in pixels.shape[:2])
        small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        self._network.setInput(cv2.dnn.blobFromImage(small))
        # certainty, size (height, width), place (row, column) and landmarks at each point of the map
        certain, size, place, _ = self._network.forward(["537", "538", "539", "540"])
        rows, columns = np.nonzero(certain[0, 0] >= self._settings.score)
        scores = certain[0, 0, rows, columns]
        heights, widths = np.exp(size[0][:, rows, columns]) * _STRIDE
        middles_y = (rows + place[0, 0, rows, columns] + 0.5) * _STRIDE
        middles_x = (columns + place[0, 1, rows, columns] + 0.5) * _STRIDE
        boxes = np.stack([middles_x - widths / 2, middles_y - heights / 2, widths, heights], axis=1)
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), self._settings.score, _SAME_FACE)
        return tuple(_face(boxes[at], float(scores[at]), width, height) for at in np.array(kept, dtype=int).ravel())


def _face(box: np.ndarray, score: float, width: int, height: int) -> Face:
    left, top, wide, high = box
    x = np.clip(np.array([left, left + wide]) / width, 0, 1).tolist()
    y = np.clip(np.array([top, top + high]) / height, 0, 1).tolist()
    return Face(left=x[0], top=y[0], right=x[1], bottom=y[1], score=score)


def measure_faces(found: Sequence[Sequence[Face]]) -> FaceCover:
    """Return what the faces of a clip's frames cover.

    Args:
        found: The faces of each of the clip's frames, of one frame at least.
    """
    assert found, "faces are measured over at least one frame"
    covers = [
        union_share([rectangle(face.left, face.top, face.right, face.bottom) for face in faces]) for faces in found
    ]
    return FaceCover(
        cover=float(np.median(covers)),
        largest=float(np.median([max((face.share for face in faces), default=0.0) for faces in found])),
        most_cover=max(covers),
        most_faces=max(map(len, found)),
    )
