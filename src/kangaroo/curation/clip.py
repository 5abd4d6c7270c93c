"""The span of a source video that everything in curation is about."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A span of a source video. `id` is the hash of the video's content and the span."""

    id: str
    video: Path
    start_s: float
    end_s: float
