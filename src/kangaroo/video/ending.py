"""Tell that an image file ends too early, where FFmpeg decodes what there is and keeps silent."""

from kangaroo.video.container import open_bytes
from kangaroo.video.source import VideoSource


def is_cut_off(source: VideoSource, demuxer: str) -> bool:
    """Say whether the end that the format demands is missing. Only JPEG and GIF are looked at.

    Raises:
        VideoError: The file cannot be opened.
    """
    if demuxer not in ("jpeg_pipe", "gif"):
        return False
    with open_bytes(source) as file:
        data = file.read()
    return not (_jpeg_ends(data) if demuxer == "jpeg_pipe" else data.rstrip(b"\0\r\n ").endswith(b";"))


def _jpeg_ends(data: bytes) -> bool:
    """Look for the end mark behind the picture's start; a preview in the header has an end mark of its own."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != 0xDA:
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return data.find(b"\xff\xd9", position) >= 0
