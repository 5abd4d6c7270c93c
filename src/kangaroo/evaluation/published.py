"""What others were reported to reach: the tables that Kangaroo's authors published. Imports without torch.

Figures are percent, of MMBench-Video points; a dash where none was published. Their settings are known for few of them:
frames, prompts and parsers differ between rows, so that a difference of a point means little.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_MAIN = ("mvbench", "mlvu", "mmbench-video", "lvbench", "egoschema", "videovista", "tempcompass", "longvideobench")
_MAIN_ROWS: dict[str, tuple[float | None, ...]] = {
    "VideoChatGPT 7B": (32.7, 31.3, 0.93, None, None, 36.65, 43.5, None),
    "Video-LLaVA 7B": (43.5, 47.3, 1.05, None, 38.4, 56.96, 49.8, 37.6),
    "VideoChat2-HD 7B": (62.3, 47.9, None, None, 55.8, 61.58, None, 41.2),
    "LLaMA-VID 7B": (41.9, 33.2, None, 23.9, 38.5, 56.87, 45.6, None),
    "PLLaVA 7B": (46.6, None, 1.03, None, 54.4, 60.36, None, 39.2),
    "VideoLLaMA2 7B": (54.6, 48.5, None, None, 51.7, 60.47, None, None),
    "LLaVA-NeXT-Video 7B": (53.1, None, None, None, 43.9, 56.66, 53.7, 43.5),
    "LongVA 7B": (None, 56.3, None, None, None, 67.36, 56.9, None),
    "TimeChat 7B": (None, 30.9, None, 22.3, 33.0, None, 50.6, None),
    "ShareGPT4Video 8B": (51.2, 46.4, 1.05, None, None, 53.58, 61.5, 41.8),
    "VILA-1.5 8B": (None, 56.7, None, None, 50.4, 64.18, 58.8, None),
    "Video-CCAM 9B": (64.6, 58.5, None, None, None, 69.0, None, None),
    "InternVL-1.5 26B": (None, 50.4, 1.26, None, None, None, None, None),
    "PLLaVA 34B": (58.1, None, None, 26.1, None, None, None, 53.5),
    "VideoLLaMA2 8x7B": (53.9, 35.5, None, None, 53.3, None, None, None),
    "GPT-4V": (43.7, 49.2, 1.53, None, 55.6, None, None, 60.7),
    "GPT-4o": (None, 64.6, 1.63, 27.0, 72.2, 78.26, None, 66.7),
    "Gemini-1.5-Pro": (None, None, 1.3, 33.1, 63.2, 76.39, 67.1, 64.4),
    "Kangaroo 8B": (61.1, 61.0, 1.44, 39.4, 62.7, 69.5, 62.5, 54.8),
}
_MME = ("short", "medium", "long", "overall")
# without subtitles, then with
_MME_ROWS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "Video-LLaVA 7B, 8 frames": ((45.3, 38.0, 36.2, 39.9), (46.1, 40.7, 38.1, 41.6)),
    "Chat-UniVi-v1.5 7B, 64 frames": ((45.7, 40.3, 35.8, 40.6), (51.2, 44.6, 41.8, 45.9)),
    "VideoChat2 7B, 16 frames": ((48.3, 37.0, 33.2, 39.5), (52.8, 39.4, 39.2, 43.8)),
    "VideoLLaMA2 7B, 16 frames": ((56.0, 45.4, 42.1, 47.9), (59.4, 47.6, 43.8, 50.3)),
    "ShareGemini 7B, 64 frames": ((49.1, 41.3, 39.1, 43.2), (52.8, 47.3, 43.4, 47.9)),
    "LongVA 7B, 128 frames": ((61.1, 50.4, 46.2, 52.6), (61.6, 53.6, 47.6, 54.3)),
    "ShareGPT4Video 8B, 16 frames": ((48.3, 36.3, 35.0, 39.9), (53.6, 39.3, 37.9, 43.6)),
    "SliME 8B, 8 frames": ((53.3, 42.7, 39.8, 45.3), (55.4, 44.4, 41.7, 47.2)),
    "Video-CCAM 14B, 96 frames": ((62.1, 52.8, 47.0, 53.9), (63.9, 55.9, 48.3, 56.1)),
    "InternVL-V1.5 20B, 10 frames": ((60.2, 46.4, 45.6, 50.7), (61.7, 49.1, 46.6, 52.4)),
    "VITA 8x7B, 20 frames": ((64.2, 53.3, 47.6, 55.0), (67.9, 55.3, 49.6, 57.6)),
    "Kangaroo 8B, 64 frames": ((66.1, 55.3, 46.7, 56.0), (68.0, 55.4, 49.3, 57.6)),
}
_SEED = ("Action Recognition", "Action Prediction", "Procedure Understanding")
_SEED_ROWS: dict[str, tuple[float, ...]] = {
    "InternLM-XComposer 7B": (50.4, 37.8, 25.3),
    "Qwen-VL-Plus": (54.5, 29.3, 48.0),
    "LLaVA-NeXT-Interleave 7B": (59.6, 53.0, 32.4),
    "Mantis-Idefics2 8B": (57.0, 46.0, 37.5),
    "SPHINXv2 13B": (41.2, 33.9, 26.1),
    "VisionLLaMA 13B": (49.2, 43.8, 42.3),
    "Claude-3-Opus": (37.1, 32.1, 41.3),
    "GPT-4V": (65.7, 51.7, 63.4),
    "Kangaroo 8B": (69.7, 54.6, 45.9),
}
_NOTES = {
    "longvideobench": "theirs are of the test split, whose answers are hidden; this run is of the validation split",
    "mmbench-video": "points of 3; their judge was GPT-4 with its authors' prompt",
    "seed-bench-video": "theirs are of SEED-Bench 2, whose fourth column this data set does not have",
}


@dataclass(frozen=True, kw_only=True)
class Published:
    """A table.

    Attributes:
        columns: "overall", or a value of the report's group `group`.
        group: Whose values the other columns are.
        rows: A model's figures in percent or points, None where none was published.
        note: What to bear in mind.
    """

    columns: tuple[str, ...]
    group: str
    rows: Mapping[str, tuple[float | None, ...]]
    note: str = ""


def published(benchmark: str) -> Published | None:
    """Return the table of a benchmark, None where there is none."""
    note = _NOTES.get(benchmark.removesuffix("-ranked"), "")
    name = benchmark.removesuffix("-full").removesuffix("-test")
    if name in _MAIN:
        place = _MAIN.index(name)
        rows = {model: (row[place],) for model, row in _MAIN_ROWS.items() if row[place] is not None}
        return Published(columns=("overall",), group="", rows=rows, note=note)
    if name in ("video-mme", "video-mme-subtitles"):
        with_subtitles = name == "video-mme-subtitles"
        return Published(
            columns=_MME, group="duration", rows={model: row[with_subtitles] for model, row in _MME_ROWS.items()}
        )
    if name in ("seed-bench-video", "seed-bench-video-ranked"):
        return Published(columns=_SEED, group="type", rows=_SEED_ROWS, note=note)
    return None
