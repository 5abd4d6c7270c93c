"""Say what a file is and name its content, before anything is made of it. Runs in a worker."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from kangaroo.video.container import open_container
from kangaroo.video.decode import plan_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Probed:
    """A file that can be read.

    Attributes:
        content: Names its pictures: the hash of the video's packets, so a copy in another container, or with other
            sound, has the same.
        duration_s: Measured from the times of all frames, never the header's claim. 0 for an image.
        num_frames: Likewise.
        width_px: As shown.
        height_px: As shown.
        fps: On average; 0 for an image.
        codec: FFmpeg's name.
        pixel_format: FFmpeg's name.
        rotation_deg: How far the stored picture is turned to be shown.
        size_bytes: Of the file.
        is_image: One picture that stands still.
        notes: What was found odd.
    """

    content: str
    duration_s: float
    num_frames: int
    width_px: int
    height_px: int
    fps: float
    codec: str
    pixel_format: str
    rotation_deg: int
    size_bytes: int
    is_image: bool
    notes: tuple[str, ...]


def probe(path: Path) -> Probed:
    """Look at a file.

    Raises:
        VideoError: It cannot be read, or holds no picture.
    """
    source = VideoSource(path)
    info = source.open()
    plan = plan_frames(source, FrameSampler(num_frames=1))
    assert info.codec is not None, "a file has a codec"
    return Probed(
        content=_content(source),
        duration_s=plan.duration_s,
        num_frames=plan.num_frames,
        width_px=info.width_px,
        height_px=info.height_px,
        fps=plan.num_frames / plan.duration_s if plan.duration_s else 0.0,
        codec=info.codec,
        pixel_format=info.pixel_format,
        rotation_deg=info.rotation_deg,
        size_bytes=info.size_bytes or 0,
        is_image=info.is_image,
        notes=plan.notes,
    )


def _content(source: VideoSource) -> str:
    """Hash the packets of the main video stream with their times, as far as they can be read."""
    import av

    with open_container(source) as (container, stream):
        digest = hashlib.sha256(f"{stream.codec_context.name} {stream.codec_context.extradata!r}".encode())
        try:
            for packet in container.demux(stream):
                if packet.size:
                    at_s = float(packet.pts * packet.time_base) if packet.pts is not None else -1.0
                    digest.update(f"{at_s:.3f}".encode())
                    digest.update(memoryview(packet))
        except av.FFmpegError:
            pass  # cut off: what can be read is the content
    return digest.hexdigest()[:32]
