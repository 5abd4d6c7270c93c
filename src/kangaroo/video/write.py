"""Write frames to an H.264 mp4 file, at a fixed rate or each at its own time.

Axes: frame, height, width.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from jaxtyping import UInt8

from kangaroo.errors import OptionError, VideoError

_TICKS_PER_S = 90_000
_BT709 = 1


def write_video(
    path: str | Path,
    pixels: Iterable[UInt8[np.ndarray, "height width 3"]],
    *,
    fps: float | None = None,
    times_s: Iterable[float] | None = None,
    crf: int = 18,
    preset: str = "veryfast",
    gop_frames: int = 48,
) -> None:
    """Write RGB frames, taken one at a time, to an mp4 file that every player reads (yuv420p, BT.709).

    An odd last row or column is repeated, since the format stores colour for two pixels at a time.

    >>> write_video("film.mp4", frames.pixels, times_s=frames.times_s)

    Args:
        path: Replaced where it exists.
        pixels: An array [frame, height, width, 3] or any iterable of frames of one size.
        fps: A fixed rate.
        times_s: Or each frame's own rising time, in seconds. The last frame lasts as long as the one before it.
        crf: Quality: 0 is lossless, 18 looks so, 51 is worst.
        preset: libx264's trade of time for size, ultrafast to veryslow.
        gop_frames: The most frames from one key frame to the next.

    Raises:
        OptionError: Not exactly one of `fps` and `times_s` is given, or it is impossible.
        VideoError: There is no frame, the frames differ in size, or the file cannot be written.
    """
    if (fps is None) == (times_s is None):
        raise OptionError("give either fps or times_s, and not both")
    if fps is not None and not fps > 0:
        raise OptionError(f"fps is {fps:g}; give a rate above 0")
    rate = Fraction(fps).limit_denominator(1001) if fps is not None else Fraction(30)
    clock = Fraction(1, _TICKS_PER_S) if fps is None else 1 / rate
    ticks = _ticks(times_s) if times_s is not None else None
    # else x264 chooses ways by what it takes the CPU for, and under load gives other bytes now and then
    options = {"crf": str(crf), "preset": preset, "g": str(gop_frames), "x264-params": "cpu-independent=1"}
    if times_s is not None:
        options["bf"] = "0"  # mp4 stores lengths in decoding order: with reordered frames uneven ones come out wrong
    try:
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=rate, options=options)
            stream.pix_fmt = "yuv420p"
            # the threads that PyAV asks for work on slices, as many as there are cores: other bytes on other machines
            stream.codec_context.thread_count = 1
            stream.codec_context.time_base = clock
            stream.codec_context.colorspace = _BT709
            stream.codec_context.color_primaries = _BT709
            stream.codec_context.color_trc = _BT709
            stream.codec_context.color_range = ColorRange.MPEG
            reformatter = VideoReformatter()
            index, tick, length = -1, 0, 1
            for index, picture in enumerate(pixels):
                frame = _frame(picture, reformatter)
                if index == 0:
                    stream.width, stream.height = frame.width, frame.height
                elif (frame.width, frame.height) != (stream.width, stream.height):
                    raise VideoError(
                        f"{path}: frame {index} is {frame.width}x{frame.height}, "
                        f"the first was {stream.width}x{stream.height}"
                    )
                before, at = tick, index if ticks is None else next(ticks, None)
                if at is None:
                    raise OptionError("there are more frames than times; give one time for each frame")
                tick = at
                length = tick - before if index else length
                frame.pts, frame.time_base = tick, clock
                container.mux(stream.encode(frame))
            if index < 0:
                raise VideoError(f"{path}: there is no frame to write")
            if ticks is not None and next(ticks, None) is not None:
                raise OptionError("there are more times than frames; give one time for each frame")
            container.mux(_with_length(stream.encode(None), tick, length))
    except OSError as error:
        raise VideoError(f"{path}: cannot be written ({error.strerror})") from None


def _frame(picture: UInt8[np.ndarray, "height width 3"], reformatter: VideoReformatter) -> VideoFrame:
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24")
    return reformatter.reformat(
        frame,
        format="yuv420p",
        interpolation=int(Interpolation.BICUBIC) | 0x40000 | 0x80000,  # ACCURATE_RND, BITEXACT
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
    )


def _ticks(times_s: Iterable[float]) -> Iterator[int]:
    before: int | None = None
    for time_s in times_s:
        tick = round(time_s * _TICKS_PER_S)
        if tick < 0 or (before is not None and tick <= before):
            raise OptionError(f"times must rise from 0 on, but {time_s:g} s does not")
        yield tick
        before = tick


def _with_length(packets: list[av.Packet], tick: int, length: int) -> list[av.Packet]:
    """Give the film's last frame a length: H.264 does not say it, and mp4 would end with the frame's start."""
    for packet in packets:
        if packet.pts == tick:
            packet.duration = length
    return packets
