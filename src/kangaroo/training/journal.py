"""What a run tells as it goes: lines of JSON, TensorBoard where it is installed, and a picture of the loss."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.training.curriculum import Stage
from kangaroo.training.estimate import Load, Operations
from kangaroo.training.loop import Step

logger = logging.getLogger(__name__)
_METRICS = "metrics.jsonl"


class Journal:
    """Writes of every `log_every`-th step, and of every probe, into the run folder; `is_writer` alone does.

    >>> with Journal(Path("runs/joey"), is_writer=True) as journal:
    ...     journal.begin(model, stage, num_gpus=1)
    """

    def __init__(self, folder: Path, *, is_writer: bool) -> None:
        self.folder, self.is_writer = folder, is_writer
        self.board: Any = None
        self.matmul_rate = 0.0

    def __enter__(self) -> "Journal":
        if self.is_writer:
            _end_last_line(self.folder / _METRICS)
            try:
                from torch.utils.tensorboard import SummaryWriter

                self.board = SummaryWriter(str(self.folder / "tensorboard"))
            except ImportError:
                logger.info("TensorBoard is not installed (kangaroo-video[train]): metrics.jsonl alone is written")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.board is not None:
            self.board.close()
        if self.is_writer:
            draw_losses(self.folder)

    def begin(self, model: KangarooForConditionalGeneration, stage: Stage, *, num_gpus: int) -> None:
        """Begin or resume a stage; measures once how fast the chip multiplies matrices."""
        self.stage, self.operations = stage, Operations(model, stage)
        if not self.matmul_rate:
            self.matmul_rate = matmul_rate(next(model.parameters()).device) * num_gpus
        self.loads: list[Step] = []
        self.since = time.monotonic()

    def saw(self, step: Step) -> None:
        """Count a step towards the next line."""
        self.loads.append(step)

    def step(self, step: Step) -> None:
        """Write a line about the steps since the last one."""
        loss, grad_norm = float(step.loss), float(step.grad_norm)  # waits for the GPU, so the clock is read after
        seconds = time.monotonic() - self.since
        total = Load(**{name: sum(getattr(one.load, name) for one in self.loads) for name in Load.__dataclass_fields__})
        self._write(
            step,
            loss=round(loss, 5),
            grad_norm=round(grad_norm, 4),
            rate=step.rate,
            tokens_per_s=round(total.tokens / seconds),
            frames_per_s=round(total.frames / seconds),
            utilisation=round(self.operations.of(total) / seconds / self.matmul_rate, 4),
            filled=round(sum(one.filled for one in self.loads) / len(self.loads), 4),
            waited=round(sum(one.waited_s for one in self.loads) / seconds, 4),
            seconds=round(seconds, 3),
        )
        self.loads, self.since = [], time.monotonic()

    @contextmanager
    def off_the_clock(self) -> Iterator[None]:
        """Count what happens meanwhile as no time of the steps."""
        begun = time.monotonic()
        yield
        self.since += time.monotonic() - begun

    def probe(self, step: Step, shares: dict[str, float]) -> None:
        """Write what a probe found."""
        self._write(step, probe={name: round(share, 4) for name, share in shares.items()})

    def _write(self, step: Step, **found: Any) -> None:
        if not self.is_writer:
            return
        metrics = {"stage": self.stage.name, "step": step.number, "samples": step.samples, **found}
        with (self.folder / _METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(metrics) + "\n")
        logger.info("%s", " ".join(f"{name}={value}" for name, value in metrics.items()))
        if self.board is not None:
            for name, value in {**found, **found.get("probe", {})}.items():
                if isinstance(value, int | float):
                    self.board.add_scalar(f"{self.stage.name}/{name}", value, step.samples)


def _end_last_line(path: Path) -> None:
    """End a line that was cut off with the machine, so that the next one is whole."""
    if path.exists() and not (b"\n" + path.read_bytes()).endswith(b"\n"):
        with path.open("a", encoding="utf-8") as file:
            file.write("\n")


def matmul_rate(device: torch.device) -> float:
    """Measure how many operations a second a large product of matrices reaches here, as training computes it."""
    on_gpu = device.type == "cuda"
    side, dtype = (8192, torch.bfloat16) if on_gpu else (1024, torch.float32)
    one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        product = one @ other
        if on_gpu:
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - started)
    assert product.isfinite().all()
    return 2 * side**3 / best


def draw_losses(folder: Path) -> None:
    """Draw `loss.png` from `metrics.jsonl`: the loss of every stage over the run's samples."""
    path = folder / _METRICS
    if not path.exists():
        return
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        logger.info("matplotlib is not installed (kangaroo-video[train]): loss.png is not drawn")
        return
    stages: dict[str, dict[int, float]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            metrics = json.loads(line)
        except ValueError:
            continue  # cut off with the machine
        if "loss" in metrics:
            stages.setdefault(metrics["stage"], {})[metrics["samples"]] = metrics["loss"]
    figure, axes = pyplot.subplots(figsize=(9, 4.5), layout="constrained")
    before = 0
    for name, losses in stages.items():
        axes.plot([before + samples for samples in losses], list(losses.values()), marker=".", label=name)
        before += max(losses)
    axes.set(xlabel="samples", ylabel="loss per spoken token", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(folder / "loss.png", dpi=150)
    pyplot.close(figure)
