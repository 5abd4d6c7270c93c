"""Say what a film is, at the price of one decoded frame."""

from dataclasses import replace

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from kangaroo.errors import VideoError
from kangaroo.video.container import decoder_of, holds_one_picture, local_path, open_container
from kangaroo.video.frames import Frames
from kangaroo.video.pictures import array_times, folder_times, is_folder, list_pictures
from kangaroo.video.scale import has_alpha, transfer_of, turn_of
from kangaroo.video.source import VideoInfo, VideoSource
from kangaroo.video.timeline import read_timeline

_TRUSTED = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv", "nut", "mxf", "asf"})
_COUNTED_FROM_ZERO = frozenset({"matroska,webm", "flv", "nut", "asf"})
_LATE_S = 0.5  # more than the reordering of frames delays the first of them


def read_info(source: VideoSource) -> VideoInfo:
    """Say what the film is.

    Raises:
        VideoError: The film is missing or cannot be read.
    """
    with source.fetched() as local:
        if local.apart is not None:
            return local.apart.call(read_info, replace(local, apart=None), name=local.name)
        if isinstance(local.value, Frames):
            return _array_info(local.name, local.value)
        if is_folder(local):
            return _folder_info(local)
        return _file_info(local)


def promised_duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """Return how long the film lasts where the file's header is to be believed, else None.

    FFmpeg fills the gap of other formats with a guess from the bit rate.
    """
    name = container.format.name
    # these count from 0, not from the first frame
    start_s = (container.start_time or 0) / av.time_base if name in _COUNTED_FROM_ZERO else 0.0
    if name not in _TRUSTED or (name == "flv" and start_s > _LATE_S):  # FLV by FFmpeg counts from the first packet
        return None
    if name == "avi" and stream.frames and stream.time_base:  # FFmpeg shortens the duration of one that is cut off
        return float(stream.frames * stream.time_base)
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base) - start_s
    if not container.duration or container.streams.audio:
        return None
    return container.duration / av.time_base - start_s


def _file_info(source: VideoSource) -> VideoInfo:
    is_image = holds_one_picture(source)
    with open_container(source) as (container, stream):
        frame = first_frame(container, stream, name=source.name)
        duration_s = 0.0 if is_image else promised_duration_s(container, stream)
        turn = turn_of(frame)
        height, width = frame.height, round(frame.width * float(stream.sample_aspect_ratio or 1))
        shown = (width, height) if turn.quarters % 2 else (height, width)
        info = VideoInfo(
            name=source.name,
            container=container.format.name,
            codec=stream.codec_context.codec.canonical_name,
            pixel_format=frame.format.name,
            width_px=shown[1],
            height_px=shown[0],
            duration_s=duration_s or 0.0,
            start_s=float((frame.pts or 0) * stream.time_base) if stream.time_base else 0.0,
            fps=None if is_image or not stream.average_rate else float(stream.average_rate),
            num_frames=1 if is_image else stream.frames or None,
            rotation_deg=90 * turn.quarters,
            is_image=is_image,
            hdr=transfer_of(stream.codec_context.color_trc),
            has_alpha=has_alpha(frame.format.name),
            has_audio=bool(container.streams.audio),
            size_bytes=len(source.value) if isinstance(source.value, bytes) else local_path(source).stat().st_size,
        )
    return info if duration_s is not None else _measured(source, info)


def _measured(source: VideoSource, info: VideoInfo) -> VideoInfo:
    """Fill in what the container does not say from the times of all its packets."""
    with open_container(source) as (container, stream):
        timeline = read_timeline(container, stream, name=source.name)
    num_frames = len(timeline.shown)
    return replace(
        info, duration_s=timeline.duration_s, num_frames=num_frames, fps=num_frames / max(timeline.duration_s, 1e-9)
    )


def first_frame(container: InputContainer, stream: VideoStream, *, name: str) -> VideoFrame:
    """Return the first frame that decodes.

    Raises:
        VideoError: None does.
    """
    reason = "the file may be cut off"
    decoder = decoder_of(stream)
    try:
        for packet in container.demux(stream):
            try:
                for frame in decoder.decode(packet):
                    return frame
            except av.FFmpegError as error:
                reason = f"FFmpeg: {(error.strerror or 'unknown').lower()}"
    except av.FFmpegError as error:
        reason = f"FFmpeg: {(error.strerror or 'unknown').lower()}"
    raise VideoError(f"{name}: not one frame can be decoded ({reason})")


def _array_info(name: str, frames: Frames) -> VideoInfo:
    _, duration_s = array_times(frames)
    count, height, width, _ = frames.pixels.shape
    return VideoInfo(
        name=name,
        container="frames",
        codec=None,
        pixel_format="rgb24",
        width_px=width,
        height_px=height,
        duration_s=duration_s,
        start_s=float(frames.times_s[0]),
        fps=1 / float(np.median(np.diff(frames.times_s))) if count > 1 else None,
        num_frames=count,
        is_image=count == 1,
    )


def _folder_info(source: VideoSource) -> VideoInfo:
    pictures = list_pictures(source)
    _, duration_s = folder_times(source, len(pictures))
    first = _file_info(VideoSource(pictures[0]))
    return replace(
        first,
        name=source.name,
        container="folder",
        duration_s=duration_s,
        start_s=0.0,
        fps=source.folder_fps,
        num_frames=len(pictures),
        is_image=False,
        size_bytes=sum(path.stat().st_size for path in pictures),
    )
