"""A plug-in of the tests: writes down what reaches the vision tower inside vLLM's own process."""

import os
import time
from pathlib import Path

FOLDER = "KANGAROO_RECORDER_FOLDER"


def record():
    from kangaroo.model.modeling import KangarooModel

    if hasattr(KangarooModel, "recorded"):  # vLLM calls plug-ins again and again
        return
    KangarooModel.recorded = original = KangarooModel.get_video_features

    def get_video_features(self, pixel_values_videos, video_times_s, **kwargs):
        import torch

        for pixels, times_s in zip(pixel_values_videos, video_times_s, strict=True):
            folder = Path(os.environ[FOLDER])
            started = folder / f"process-{os.getpid()}"
            torch.save({"pixels": pixels, "times_s": times_s}, started)
            started.rename(folder / f"{time.time_ns()}.pt")
        return original(self, pixel_values_videos, video_times_s, **kwargs)

    KangarooModel.get_video_features = get_video_features
