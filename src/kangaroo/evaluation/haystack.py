"""Hide pictures in a long film of the user's own, at every depth of every length: the grid of V-NIAH (LongVA).

The film gives one frame a second, written once; a cell of the grid is a folder of links to them with the needle among
them, made when its turn comes. Imports without torch.
"""

import os
import shutil
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from kangaroo.chat.pictures import LONGEST_SIDE_PX, encode_jpeg
from kangaroo.errors import OptionError
from kangaroo.evaluation.dataset import Dataset
from kangaroo.video.decode import read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

FRAMES, DEPTHS = tuple(range(200, 3001, 200)), (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_TABLES = ("data/test-*.parquet", "test-*.parquet")
_CHUNK_S = 128


class Haystack(Dataset):
    """Needles as their authors publish them, and the film that hides them.

    >>> Haystack(Path("v_niah_needles"), Path("film.mp4"), source="https://...", unpacked=Path("out/unpacked"))

    Args:
        root: The needles: a table of pictures, questions and answers.
        film: Anything that FFmpeg reads; as many seconds as the longest cell has frames, or more.
        source: Where the needles come from, for messages.
        unpacked: Where frames and cells are written.
        frames: How many frames of the film a cell has, beside the needle.
        depths: Where the needle lies, 0 the start and 1 the end.

    Raises:
        OptionError: There are no needles, the grid is impossible, or the film is too short.
        VideoError: The film cannot be read.
    """

    def __init__(
        self,
        root: Path,
        film: Path,
        *,
        source: str,
        unpacked: Path,
        frames: Sequence[int] = FRAMES,
        depths: Sequence[float] = DEPTHS,
    ) -> None:
        super().__init__(root, source=source, unpacked=unpacked)
        if not frames or min(frames) < 1 or not depths or not all(0 <= depth <= 1 for depth in depths):
            raise OptionError(f"frames {list(frames)} and depths {list(depths)} make no grid; depths are 0 to 1")
        self._needles = super().rows(*_TABLES)
        self._film = VideoSource(film)
        info = self._film.open()
        if info.duration_s < max(frames):
            raise OptionError(
                f"{film} lasts {info.duration_s:.0f} s, and cells of {max(frames)} frames need as many seconds; "
                "give a longer film, or fewer --frames"
            )
        shrink = min(1.0, LONGEST_SIDE_PX / max(info.width_px, info.height_px))
        self._size_px = max(1, round(info.height_px * shrink)), max(1, round(info.width_px * shrink))
        self._frames, self._depths = tuple(frames), tuple(depths)
        self._lock = threading.Lock()

    def rows(self, *_patterns: str) -> list[dict[str, Any]]:
        """Return a record for each needle in each cell."""
        return [
            {"frames": frames, "depth": depth, "needle": place, **row}
            for frames in self._frames
            for depth in self._depths
            for place, row in enumerate(self._needles)
        ]

    def has(self, wanted: str) -> bool:
        """Whether there is such a needle in such a cell."""
        return wanted in self._places

    def file(self, wanted: str) -> Path:
        """Return the folder of a cell's pictures, `FRAMES/DEPTH/NEEDLE`.

        Raises:
            VideoError: The film cannot be read, or a needle is no picture.
            OptionError: The film has fewer than one frame a second.
        """
        frames, depth, place = self._places[wanted]
        target = self._unpacked / "cells" / wanted.replace("/", "-")
        with self._lock:
            hay = self._hay()
            if not target.exists():
                unfinished = target.with_name(f"{target.name}.{os.getpid()}")
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir(parents=True)
                pictures = list(hay[:frames])
                pictures.insert(int(depth * frames), self._needle(place))
                for number, picture in enumerate(pictures):
                    (unfinished / f"{number:05d}.jpg").symlink_to(picture)
                os.replace(unfinished, target)
        return target

    @cached_property
    def _places(self) -> dict[str, tuple[int, float, int]]:
        return {
            name_of(frames, depth, place): (frames, depth, place)
            for frames in self._frames
            for depth in self._depths
            for place in range(len(self._needles))
        }

    def _hay(self) -> list[Path]:
        """Return the film's frames, one a second, as files; decoded a part at a time, for memory's sake."""
        folder = self._unpacked / "hay" / self._film.fingerprint()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        wanted = [folder.resolve() / f"{second:05d}.jpg" for second in range(max(self._frames))]
        for start in range(0, len(wanted), _CHUNK_S):
            own = wanted[start : start + _CHUNK_S]
            if not own[-1].exists():
                sampler = FrameSampler(num_frames=len(own), start_s=float(start), end_s=float(start + len(own)))
                frames = read_frames(self._film, sampler, size_px=self._size_px).pixels
                if len(frames) < len(own):
                    raise OptionError(
                        f"{self._film.name} holds {len(frames)} frames from second {start} to {start + len(own)}, and "
                        "each second needs one; give another film"
                    )
                for pixels, path in zip(frames, own, strict=True):
                    path.write_bytes(encode_jpeg(pixels))
        return wanted

    def _needle(self, place: int) -> Path:
        path = (self._unpacked / "needles" / f"{place}.jpg").resolve()
        if not path.exists():
            picture = self._needles[place].get("image")
            content = picture.get("bytes") if isinstance(picture, dict) else None
            source = VideoSource(content if isinstance(content, bytes) else b"", label=f"needle {place}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_jpeg(read_frames(source, FrameSampler(), size_px=self._size_px).pixels[0]))
        return path


def name_of(frames: int, depth: float, needle: int) -> str:
    """Return what a needle in a cell is called."""
    return f"{frames}/{depth:g}/{needle}"
