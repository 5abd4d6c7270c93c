"""Turn a decoded picture into the model's pixels inside FFmpeg's scaler, whatever its colours and shape.

Every road (film, image, folder, arrays) ends here, so the same picture gives the same pixels. Scaling runs
straight from the stored format to the model's size; what remains (turning, transparency, tone) is done on
the small picture.
Axes: height, width, channel.
"""

from dataclasses import dataclass
from enum import StrEnum

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from jaxtyping import UInt8

from kangaroo.video.hdr import tone_map

BACKGROUND_RGB = (255, 255, 255)  # behind transparent pixels: such pictures are mostly drawn for white pages

# bit-exact and full chroma, so that machines agree and a grey picture stays grey
_BICUBIC = int(Interpolation.BICUBIC) | 0x2000 | 0x40000 | 0x80000  # FULL_CHR_H_INT, ACCURATE_RND, BITEXACT
_TRANSFERS = {16: "pq", 18: "hlg"}
_MATRICES = {1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU601, 6: Colorspace.ITU601,
             7: Colorspace.SMPTE240M, 9: Colorspace.BT2020, 10: Colorspace.BT2020}  # fmt: skip
_HD_WIDTH_PX, _HD_HEIGHT_PX = 1280, 577


class Resize(StrEnum):
    """How a picture comes to the model's size.

    STRETCH scales both sides on their own, PAD keeps the shown aspect and fills the rest with black.
    """

    STRETCH = "stretch"
    PAD = "pad"


@dataclass(frozen=True)
class Turn:
    """How a stored picture is shown: turned clockwise by quarters, after mirroring left to right."""

    quarters: int = 0
    mirrored: bool = False

    def apply(self, pixels: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "shown_height shown_width 3"]:
        """Return the picture as shown."""
        return np.rot90(pixels[:, ::-1] if self.mirrored else pixels, -self.quarters)


class Scaler:
    """Scales pictures of one film to one size; keeps FFmpeg's tables between pictures.

    >>> Scaler(size_px=448).pixels(frame)

    Args:
        size_px: Side of a square, or (height, width).
        transfer: "pq" or "hlg" where the film has high dynamic range.
    """

    def __init__(
        self,
        *,
        size_px: int | tuple[int, int],
        resize: Resize = Resize.STRETCH,
        pixel_aspect: float = 1.0,
        transfer: str | None = None,
    ) -> None:
        self.height, self.width = (size_px, size_px) if isinstance(size_px, int) else size_px
        self.resize = resize
        self.pixel_aspect = pixel_aspect
        self.transfer = transfer
        self._reformatter = VideoReformatter()
        self._turns: dict[int, Turn] = {}

    def turn(self, frame: VideoFrame) -> Turn:
        """Return how a frame of the film is to be turned: as those before it of the same angle."""
        # PyAV's side data and their frame hold one another: whole pictures would stay until Python looks for cycles
        if (angle := frame.rotation) not in self._turns:
            self._turns[angle] = turn_of(frame)
        return self._turns[angle]

    def pixels(self, frame: VideoFrame) -> UInt8[np.ndarray, "height width 3"]:
        """Return RGB pixels of the asked size."""
        turn = self.turn(frame)
        height, width = self._inner(frame, turn)
        stored = (width, height) if turn.quarters % 2 else (height, width)
        small = np.ascontiguousarray(turn.apply(self._scale(frame, *stored)))
        if small.shape[:2] == (self.height, self.width):
            return small
        canvas = np.zeros((self.height, self.width, 3), dtype=np.uint8)
        top, left = (self.height - height) // 2, (self.width - width) // 2
        canvas[top : top + height, left : left + width] = small
        return canvas

    def _inner(self, frame: VideoFrame, turn: Turn) -> tuple[int, int]:
        if self.resize is Resize.STRETCH:
            return self.height, self.width
        height, width = float(frame.height), frame.width * self.pixel_aspect
        if turn.quarters % 2:
            height, width = width, height
        scale = min(self.height / height, self.width / width)
        return max(1, min(self.height, round(height * scale))), max(1, min(self.width, round(width * scale)))

    def _scale(self, frame: VideoFrame, height: int, width: int) -> UInt8[np.ndarray, "height width 3"]:
        if self.transfer:
            return tone_map(self._reformat(frame, height, width, "rgb48le"), transfer=self.transfer)
        if not has_alpha(frame.format.name):
            return self._reformat(frame, height, width, "rgb24")
        rgba = self._reformat(frame, height, width, "rgba")
        alpha = rgba[..., 3:].astype(np.float32) / 255
        return np.round(rgba[..., :3] * alpha + np.array(BACKGROUND_RGB) * (1 - alpha)).astype(np.uint8)

    def _reformat(self, frame: VideoFrame, height: int, width: int, layout: str) -> np.ndarray:
        small = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=layout,
            src_colorspace=_matrix(frame),
            dst_colorspace=Colorspace.ITU709,
            interpolation=_BICUBIC,
            src_color_range=_range(frame),
            dst_color_range=ColorRange.JPEG,
        )
        return small.to_ndarray()


def _matrix(frame: VideoFrame) -> Colorspace:
    """Return the colour matrix; where the file is silent, large pictures are BT.709 and small ones BT.601."""
    large = frame.width >= _HD_WIDTH_PX or frame.height >= _HD_HEIGHT_PX
    return _MATRICES.get(int(frame.colorspace), Colorspace.ITU709 if large else Colorspace.ITU601)


def _range(frame: VideoFrame) -> ColorRange:
    if frame.format.is_rgb or frame.format.name.startswith(("yuvj", "gray", "ya", "mono", "pal8")):
        return ColorRange.JPEG
    return ColorRange.JPEG if int(frame.color_range) == ColorRange.JPEG else ColorRange.MPEG


def has_alpha(pixel_format: str) -> bool:
    """Say whether FFmpeg's pixel format may hold transparent pixels."""
    return pixel_format == "pal8" or any(c.is_alpha for c in av.VideoFormat(pixel_format).components)


def transfer_of(color_trc: int) -> str | None:
    """Return "pq" or "hlg" for a high-dynamic-range transfer, else None."""
    return _TRANSFERS.get(int(color_trc))


def turn_of(frame: VideoFrame) -> Turn:
    """Return how the frame is to be turned, from its display matrix; odd angles go to the nearest quarter."""
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV (18.1 too) cannot list side data of a kind that it has no name for, as FFmpeg 8 gives with EXIF;
        # its own angle, counted against the clock, then has to do
        return Turn(quarters=round(-frame.rotation / 90) % 4)
    if matrix is None:
        return Turn()
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32)[:5].astype(float)  # type: ignore[call-overload]
    mirrored = bool(a * d - b * c < 0)
    if mirrored:
        a, b = -a, -b
    return Turn(quarters=round(float(np.degrees(np.arctan2(b, a))) / 90) % 4, mirrored=mirrored)
