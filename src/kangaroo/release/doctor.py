"""Say what this machine can run: its devices, which networks and how many frames fit, and what is not installed."""

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from kangaroo import __version__
from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.gpu import runs_kernels
from kangaroo.model.presets import joey, kangaroo_8b
from kangaroo.release.memory import Fit, Precision
from kangaroo.system import memory_bytes, num_cores

_ON_CPU = (Precision(name="float32", bytes_each=4), Precision(name="float32, --quantize int8", bytes_each=4, int8=True))
_ON_GPU = (
    Precision(name="bfloat16", bytes_each=2),
    Precision(name="bfloat16, --quantize int8", bytes_each=2, int8=True),
)
# package, what it is for, how it is had
_OPTIONAL = (
    ("openai", "asking a server: --endpoint", "pip install 'kangaroo-video[remote]'"),
    ("fastapi", "kangaroo serve", "pip install 'kangaroo-video[serve]'"),
    ("streamlit", "kangaroo ui", "pip install 'kangaroo-video[serve]'"),
    ("peft", "training with LoRA", "pip install 'kangaroo-video[train]'"),
    ("vllm", "serving many at once on a GPU", "pip install 'kangaroo-video[vllm]'"),
)
_FRAMES = 160


@dataclass(frozen=True, kw_only=True)
class Device:
    """A place to run: its name for `--device`, what it is, its memory and what of it is free, in bytes."""

    name: str
    kind: str
    memory_bytes: int
    free_bytes: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one network takes on one device: bytes for a film of so many frames, and the most frames that fit.

    No frames: the context is too short for a film, and the bytes are those of words alone.
    """

    model: str
    device: str
    precision: str
    weights_gb: float
    frames: int
    needs_gb: float
    most_frames: int


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Everything that `kangaroo doctor` says."""

    versions: dict[str, str]
    devices: list[Device]
    rows: list[Row]
    missing: dict[str, str]
    advice: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return it for people."""
        head = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        lines = [head, ""]
        for device in self.devices:
            total, free = device.memory_bytes / 1e9, device.free_bytes / 1e9
            lines.append(f"{device.name:8} {device.kind}, {total:.1f} GB of memory, {free:.1f} GB free")
        lines += ["", f"{'model':12} {'device':8} {'held in':26} {'weights':>9} {'a film takes':>24}  most frames here"]
        for row in self.rows:
            film = f"{row.needs_gb:.1f} GB at {row.frames} frames" if row.frames else "its context holds none"
            most = str(row.most_frames) if row.most_frames else "does not fit"
            lines.append(
                f"{row.model:12} {row.device:8} {row.precision:26} {row.weights_gb:6.2f} GB {film:>24}  {most}"
            )
        lines += ["", *(f"not installed: {package}, for {what}" for package, what in self.missing.items())]
        return [*lines, *self.advice]


def diagnose(models: dict[str, KangarooConfig] | None = None) -> Diagnosis:
    """Look at this machine.

    Args:
        models: Networks by name; None for those that have one.
    """
    devices = list_devices()
    rows = [
        _row(name, config, device, precision)
        for name, config in (models or {"joey": joey(), "kangaroo-8b": kangaroo_8b()}).items()
        for device in devices
        for precision in (_ON_CPU if device.name == "cpu" else _ON_GPU)
    ]
    missing = {package: f"{what}: {how}" for package, what, how in _OPTIONAL if not _has(package)}
    return Diagnosis(
        versions={
            "kangaroo": __version__,
            "Python": platform.python_version(),
            **{package: version(package) for package in ("torch", "transformers", "av")},
        },
        devices=devices,
        rows=rows,
        missing=missing,
        advice=_advice(devices),
    )


def list_devices() -> list[Device]:
    """Return the CPU and each GPU, with their memory."""
    total, free = memory_bytes() or (0, 0)
    devices = [
        Device(name="cpu", kind=f"{num_cores()} cores ({platform.machine()})", memory_bytes=total, free_bytes=free)
    ]
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        kind = torch.cuda.get_device_name(number)
        devices.append(Device(name=f"cuda:{number}", kind=kind, memory_bytes=total, free_bytes=free))
    return devices


def _row(name: str, config: KangarooConfig, device: Device, precision: Precision) -> Row:
    fit = Fit(config, precision)
    frames = min(_FRAMES, fit.most_frames)
    need = fit.need(frames)
    return Row(
        model=name,
        device=device.name,
        precision=precision.name,
        weights_gb=round(need.weights / 1e9, 3),
        frames=frames,
        needs_gb=round(need.total / 1e9, 3),
        most_frames=fit.frames_within(device.free_bytes),
    )


def _has(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _advice(devices: list[Device]) -> list[str]:
    advice = []
    if len(devices) == 1 and Path("/proc/driver/nvidia").exists():
        advice.append(
            f"advice: there is an NVIDIA GPU, but torch {torch.__version__} cannot use it; install the CUDA build "
            "that https://pytorch.org/get-started/locally names"
        )
    elif len(devices) == 1 and torch.version.cuda:
        advice.append(
            "advice: no GPU here; PyTorch's CPU build is gigabytes smaller: choose CPU at "
            "https://pytorch.org/get-started/locally"
        )
    advice += [
        f"advice: Triton cannot compile for {device.name}, so answers take plain layers, several times slower; install "
        "triton, a C compiler and Python's headers (Debian: gcc, python3-dev)"
        for device in devices[1:]
        if not runs_kernels(torch.zeros(1, dtype=torch.float16, device=device.name))
    ]
    return advice
