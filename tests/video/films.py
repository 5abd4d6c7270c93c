"""Films drawn on the fly whose every frame says its own number, in black and white blocks that survive any codec.

Axes: frame, height, width.
"""

import struct
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame

NUM_BITS = 8


def picture(number: int, *, height: int = 48, width: int = 64) -> np.ndarray:
    """A frame that shows `number` as 8 blocks in its upper half, and a red left and blue right lower half."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    edges = np.linspace(0, width, NUM_BITS + 1).round().astype(int)
    for bit in range(NUM_BITS):
        pixels[: height // 2, edges[bit] : edges[bit + 1]] = 235 if number >> bit & 1 else 20
    pixels[height // 2 :, : width // 2] = (200, 30, 30)
    pixels[height // 2 :, width // 2 :] = (30, 30, 200)
    return pixels


def number_in(pixels: np.ndarray) -> int:
    """The number that a frame shows, whatever its size; asserts that it is upright."""
    height, width = pixels.shape[:2]
    row = pixels[height // 4 - height // 16 : height // 4 + height // 16 + 1].astype(float).mean(axis=(0, 2))
    centres = ((np.arange(NUM_BITS) + 0.5) * width / NUM_BITS).astype(int)
    left, right = pixels[3 * height // 4, width // 4].astype(int), pixels[3 * height // 4, 3 * width // 4].astype(int)
    assert left[0] > left[2], f"the lower left is not red but {left}"
    assert right[2] > right[0], f"the lower right is not blue but {right}"
    return sum(1 << bit for bit, centre in enumerate(centres) if row[centre] > 110)


def numbers_in(pixels: np.ndarray) -> list[int]:
    return [number_in(frame) for frame in pixels]


def encode_to(
    path: Path,
    *,
    num_frames: int = 40,
    codec: str = "libx264",
    container: str = "mp4",
    pixel_format: str = "yuv420p",
    fps: int = 20,
    times_s: Sequence[float] | None = None,
    height: int = 48,
    width: int = 64,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    start_s: float = 0.0,
    rotate_deg: int = 0,
    pixel_aspect: Fraction | None = None,
    colour: tuple[int, int, int, int] | None = None,
    pictures: Sequence[np.ndarray] | None = None,
    layout: str = "rgb24",
    with_sound: bool = False,
    tag_colour: bool = True,
    matrix: tuple[float, bool] | None = None,
) -> None:
    """Encode frames 0, 1, ... (or `pictures`).

    `colour` is FFmpeg's (matrix, primaries, transfer, range), which the pixels are converted to by matrix and
    range and tagged with. `matrix` turns the shown picture clockwise and then mirrors it.
    """
    with av.open(str(path), "w", format=container, options=container_options or {}) as output:
        rate = Fraction(fps)
        stream = output.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        clock = Fraction(1, fps) if times_s is None and not start_s else Fraction(1, 1000)
        stream.codec_context.time_base = clock
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if colour and tag_colour:
            context = stream.codec_context
            context.colorspace, context.color_primaries, context.color_trc, context.color_range = colour
        if rotate_deg:
            stream.set_display_rotation(rotate_deg)
        if matrix:
            stream.set_display_rotation(-matrix[0], hflip=matrix[1])
        sound = output.add_stream("aac", rate=16000, layout="mono") if with_sound else None
        count = num_frames if pictures is None else len(pictures)
        for index in range(count):
            pixels = picture(index, height=height, width=width) if pictures is None else pictures[index]
            if rotate_deg:
                pixels = picture(index, height=width, width=height) if rotate_deg % 180 else pixels
                pixels = np.rot90(pixels, -rotate_deg // 90)
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=layout)
            matrix_name = {1: "ITU709", 9: "BT2020"}.get(colour[0], "ITU601") if colour else "ITU601"
            frame = frame.reformat(
                format=pixel_format, dst_colorspace=matrix_name, dst_color_range=colour[3] if colour else None
            )
            at_s = times_s[index] if times_s is not None else index / fps
            frame.pts, frame.time_base = round((at_s + start_s) / clock), clock
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound is not None:
            add_silence(output, sound)


def encode(**options: Any) -> bytes:
    """What `encode_to` writes with these options, as bytes."""
    with tempfile.TemporaryDirectory() as folder:  # a file, since moving an index to the front reads what was written
        path = Path(folder) / "film"
        encode_to(path, **options)
        return path.read_bytes()


def with_edits(film: bytes, *edits: tuple[float, float]) -> bytes:
    """An MP4 of `encode` whose edit list shows these stretches alone, each (start, length) in seconds."""
    data = bytearray(film)
    (clock,) = struct.unpack_from(">I", data, data.find(b"mdhd") + 16)
    old = data.find(b"elst") - 4
    (old_size, offset) = struct.unpack_from(">I", data, old) + struct.unpack_from(">i", data, old + 20)
    rows = (struct.pack(">iiI", round(1000 * long_s), offset + round(at_s * clock), 1 << 16) for at_s, long_s in edits)
    new = struct.pack(">I4sII", 16 + 12 * len(edits), b"elst", 0, len(edits)) + b"".join(rows)
    data[old : old + old_size] = new
    for parent in (b"edts", b"trak", b"moov"):
        place = data.find(parent) - 4
        (size,) = struct.unpack_from(">I", data, place)
        struct.pack_into(">I", data, place, size + len(new) - old_size)
    return bytes(data)


def tiled_avif() -> bytes:
    """The index of an AVIF of two tiles side by side, whose bytes are no pictures."""

    def box(kind: bytes, *parts: bytes) -> bytes:
        return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)

    def item(number: int, kind: bytes) -> bytes:
        return box(b"infe", struct.pack(">IHH4sx", 2 << 24, number, 0, kind))

    grid = struct.pack(">BBBBHH", 0, 0, 0, 1, 128, 64)
    # of each item: its number, whether its bytes lie in this index, where, and how many
    places = [(1, 1, 0, len(grid)), (2, 0, 16, 16), (3, 0, 16, 16)]
    rows = [struct.pack(">HHHHII", number, inside, 0, 1, at, size) for number, inside, at, size in places]
    sizes = [box(b"ispe", struct.pack(">III", 0, width, 64)) for width in (128, 64)]
    of_items = struct.pack(">IIHBBHBBHBB", 0, 3, 1, 1, 1, 2, 1, 2, 3, 1, 2)
    index = box(
        b"meta",
        bytes(4),
        box(b"hdlr", struct.pack(">II4s13x", 0, 0, b"pict")),
        box(b"pitm", struct.pack(">IH", 0, 1)),
        box(b"iloc", struct.pack(">IBBH", 1 << 24, 0x44, 0, len(rows)), *rows),
        box(b"iinf", struct.pack(">IH", 0, 3), item(1, b"grid"), item(2, b"av01"), item(3, b"av01")),
        box(b"iref", bytes(4), box(b"dimg", struct.pack(">HHHH", 1, 2, 2, 3))),
        box(b"iprp", box(b"ipco", *sizes), box(b"ipma", of_items)),
        box(b"idat", grid),
    )
    return box(b"ftyp", b"avif\0\0\0\0avifmif1miaf") + index + box(b"mdat", bytes(64))


def save(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def encode_image(
    pixels: np.ndarray, *, codec: str = "png", layout: str = "rgb24", pixel_format: str | None = None
) -> bytes:
    """One picture as the bytes of an image file."""
    context = av.CodecContext.create(codec, "w")
    context.width, context.height = pixels.shape[1], pixels.shape[0]
    context.pix_fmt, context.time_base = pixel_format or layout, Fraction(1, 25)
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=layout).reformat(format=pixel_format or layout)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def encode_sound(container: str, codec: str) -> bytes:
    """A second of silence, as the bytes of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound"
        with av.open(str(path), "w", format=container) as output:
            stream = output.add_stream(codec, rate=16000, layout="mono")
            add_silence(output, stream)
        return path.read_bytes()


def add_silence(output: av.container.OutputContainer, stream: av.AudioStream) -> None:
    for block in range(14):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16000, block * 1152
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
