"""Find writing in frames with PP-OCR's detector and tell what it is: laid over the film, subtitle, or in the scene.

What is found is kept as shapes in shares of the picture; what they cover and what they are is arithmetic on them, so a
rule can change without looking at the film again.
Axes: frame, row, column; shape, corner, (x, y).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from kangaroo.curation.measures.areas import GRID_PX, Polygon, overlap, union_mask
from kangaroo.errors import OptionError
from kangaroo.video.frames import Frames

_SIDE_MULTIPLE = 32
_MASK_MARGIN = 0.01  # of the sides: writing that moves has edges outside its boxes


@dataclass(frozen=True, kw_only=True)
class TextRule:
    """What writing is.

    Attributes:
        same: Overlap from which two shapes are the same line in two frames.
        staying_share: Writing is laid over the film if it is in one place in so many of the frames, at least three.
        band: Height of the subtitle band at the foot of the picture.
        margin: Writing that stays in a picture that does not move is laid over it only this near an edge.
    """

    same: float = 0.6
    staying_share: float = 0.6
    band: float = 0.25
    margin: float = 0.15

    def __post_init__(self) -> None:
        for name in ("same", "staying_share", "band", "margin"):
            if not 0 < getattr(self, name) <= 1:
                raise OptionError(f"{name} is {getattr(self, name):g}; give a share above 0 and at most 1")


@dataclass(frozen=True, kw_only=True)
class TextSettings:
    """How writing is looked for.

    Attributes:
        longer_side_px: Of the picture that the detector sees. At 640, lines from a thirtieth of its height show.
        glance_px: The same of a first look, a quarter of the work; where it finds nothing there is no
            second. At 320, lines from a twenty-fifth of the height show.
        glance_certain: Least certainty that a pixel is writing, at the first look.
        certain: Least certainty that a pixel is writing.
        box_certain: Least mean certainty over a line.
        widen: How much of a line's area over its outline a found line is widened by: the detector finds the core
            of a line. Set so that drawn lines are measured at the area of their ink's rectangle.
        rule: What is made of the lines.
    """

    longer_side_px: int = 640
    glance_px: int = 320
    glance_certain: float = 0.2
    certain: float = 0.3
    box_certain: float = 0.6
    widen: float = 1.05
    rule: TextRule = TextRule()

    def __post_init__(self) -> None:
        for name in ("longer_side_px", "glance_px"):
            if not 32 <= getattr(self, name) <= 4096:
                raise OptionError(f"{name} is {getattr(self, name)}; give 32 to 4096")
        for name in ("glance_certain", "certain", "box_certain"):
            if not 0 < getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name):g}; give more than 0 and less than 1")
        if not self.widen >= 0:
            raise OptionError(f"widen is {self.widen:g}; give 0 or more")


@dataclass(frozen=True, kw_only=True)
class TextCover:
    """Shares of the picture that writing covers, overlaps counted once; the last three add up to `cover`.

    Attributes:
        cover: Mean over frames.
        most: Of the frame with most writing.
        overlay: What stays in place: captions, logos, tickers.
        subtitle: What comes and goes at the foot of the picture.
        scene: The rest: signs, packages, screens.
    """

    cover: float
    most: float
    overlay: float
    subtitle: float
    scene: float


class TextDetector:
    """Finds lines of writing, in Latin, Chinese and other scripts, in pictures of any size.

    >>> TextDetector(find_weights(TEXT)).find(frames)

    Args:
        path: The detector's weights as ONNX.
        settings: How writing is looked for.
        num_threads: Of one detection.
    """

    def __init__(self, path: Path, settings: TextSettings = TextSettings(), *, num_threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._settings = settings

    def find(self, frames: Frames) -> tuple[tuple[Polygon, ...], ...]:
        """Return each frame's lines, as quadrangles."""
        return tuple(self._find(pixels) for pixels in frames.pixels)

    def _find(self, pixels: UInt8[np.ndarray, "row column 3"]) -> tuple[Polygon, ...]:
        settings = self._settings
        if (self._certainty(pixels, settings.glance_px) < settings.glance_certain).all():
            return ()
        return self._lines(self._certainty(pixels, settings.longer_side_px))

    def _certainty(
        self, pixels: UInt8[np.ndarray, "row column 3"], longer_side_px: int
    ) -> Float32[np.ndarray, "seen_row seen_column"]:
        scale = min(1.0, longer_side_px / max(pixels.shape[:2]))
        height, width = (_SIDE_MULTIPLE * max(1, round(side * scale / _SIDE_MULTIPLE)) for side in pixels.shape[:2])
        small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        # the detector was trained on pictures in blue, green, red, from -1 to 1
        seen = np.concatenate([small, _known_line(width)])
        blob = cv2.dnn.blobFromImage(seen, scalefactor=1 / 127.5, mean=(127.5, 127.5, 127.5), swapRB=True)
        return self._session.run(None, {self._input: blob})[0][0, 0, :height]

    def _lines(self, certainty: Float32[np.ndarray, "row column"]) -> tuple[Polygon, ...]:
        height, width = certainty.shape
        core = (certainty > self._settings.certain).astype(np.uint8)
        outlines, _ = cv2.findContours(core, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        lines: list[Polygon] = []
        for outline in outlines:
            middle, (wide, high), angle = cv2.minAreaRect(outline)
            if min(wide, high) < 2 or _mean_inside(certainty, outline) < self._settings.box_certain:
                continue
            wider = self._settings.widen * wide * high / (wide + high)  # on both sides together
            corners = cv2.boxPoints((middle, (wide + wider, high + wider), angle)) + 0.5
            inside = np.clip(corners / (width, height), 0, 1)
            lines.append(tuple((float(x), float(y)) for x, y in inside))
        return tuple(lines)


@cache
def _known_line(width: int) -> UInt8[np.ndarray, "row column 3"]:
    """Words on white, to be put below a picture: shown one without any writing, the detector takes it for one."""
    strip = np.full((_SIDE_MULTIPLE, width, 3), 255, np.uint8)
    for left in range(8, width, 220):
        cv2.putText(strip, "this is a line", (left, 23), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 2, cv2.LINE_AA)
    return strip


def _mean_inside(certainty: Float32[np.ndarray, "row column"], outline: np.ndarray) -> float:
    left, top, wide, high = cv2.boundingRect(outline)
    inside = np.zeros((high, wide), np.uint8)
    cv2.fillPoly(inside, [outline - (left, top)], 1)
    return float(cv2.mean(certainty[top : top + high, left : left + wide], inside)[0])


def measure_text(frames: Frames, found: Sequence[Sequence[Polygon]], rule: TextRule = TextRule()) -> TextCover:
    """Return what the writing of a clip's frames covers.

    Args:
        frames: What was looked at, of one frame at least; tells whether the picture moves behind the writing.
        found: The lines of each frame.
        rule: What writing is.
    """
    assert len(frames) == len(found) > 0, f"{len(frames)} frames, writing of {len(found)}"
    moves = _moves(frames, found)
    height_px, width_px = GRID_PX
    shares = []
    for lines in found:
        kinds: dict[str, list[Polygon]] = {"overlay": [], "subtitle": [], "scene": []}
        for line in lines:
            kinds[_kind(line, found, rule, moves=moves)].append(line)
        masks = [union_mask(kinds[kind], height_px=height_px, width_px=width_px) for kind in kinds]
        overlay, subtitle, scene = masks
        shares.append([overlay.mean(), (subtitle & ~overlay).mean(), (scene & ~subtitle & ~overlay).mean()])
    table = np.array(shares)
    overlay_share, subtitle_share, scene_share = table.mean(axis=0).tolist()
    return TextCover(
        cover=float(table.sum(axis=1).mean()),
        most=float(table.sum(axis=1).max()),
        overlay=overlay_share,
        subtitle=subtitle_share,
        scene=scene_share,
    )


def _kind(line: Polygon, found: Sequence[Sequence[Polygon]], rule: TextRule, *, moves: bool) -> str:
    x, y = np.array(line).T
    staying = sum(any(overlap(line, other) >= rule.same for other in lines) for lines in found)
    if staying >= max(3, rule.staying_share * len(found)):
        near_edge = min(x.min(), y.min(), 1 - x.max(), 1 - y.max()) < rule.margin
        return "overlay" if moves or near_edge else "scene"
    return "subtitle" if y.mean() > 1 - rule.band else "scene"


def _moves(frames: Frames, found: Sequence[Sequence[Polygon]]) -> bool:
    """Whether the picture beside the writing changes from frame to frame."""
    height_px, width_px = frames.pixels.shape[1:3]
    beside = (~text_mask(found, height_px=height_px, width_px=width_px)).astype(np.uint8)
    changes: Float[np.ndarray, " change"] = np.array(
        [
            np.mean(cv2.mean(cv2.absdiff(before, after), beside)[:3])  # 0 where there is nothing beside
            for before, after in zip(frames.pixels[:-1], frames.pixels[1:], strict=True)
        ]
    )
    return bool(len(changes)) and float(np.median(changes)) > 4.0


def text_mask(found: Sequence[Sequence[Polygon]], *, height_px: int, width_px: int) -> Bool[np.ndarray, "row column"]:
    """Return where there is writing in any of the frames, a little widened: what motion is measured without."""
    mask = union_mask([line for lines in found for line in lines], height_px=height_px, width_px=width_px)
    reach = [2 * max(1, round(_MASK_MARGIN * side)) + 1 for side in (width_px, height_px)]
    return cv2.dilate(mask.astype(np.uint8), np.ones(reach[::-1], np.uint8)).astype(bool)
