"""Reading 160 frames of long films beside decord2, beside a bare loop over key frames, and the memory that it takes.

    python benchmarks/reading_speed.py [--repeats 3] [--minutes 10] [--hours 2] [--environment FOLDER] [--films FOLDER]

decord2 3.4.0 gets an environment of its own, made where FOLDER holds none yet. The films are H.264, 1920 x 1080 px at
30 a second with a key frame every 250: 25 seconds of a noisy picture, encoded once, whose packets are repeated up to
the length. Frames come out at 448 x 448 px, on two threads. decord2 is asked in both of its ways, for whole pictures
and for pictures that it scales itself, and the faster counts. In each round everyone reads in turn; told are seconds
from opening the file to the last frame, the median of the rounds, and how many times ours decord2's are. Where frames
are exact, times must be decord2's, and it is told of how many frames the pictures are: where decord2 fails to skip, as
it then complains, it gives another frame than it was asked for.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from kangaroo.video.decode import read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource
from kangaroo.video.write import write_video

HEIGHT, WIDTH, FPS, PIECE_S, GOP = 1080, 1920, 30, 25, 250
SIZE_PX, FRAMES = 448, 160
CELLS = 14  # of a side: a picture's means, by which frames are known whatever scaled them
SAME = 2.4  # levels; decord2 takes BT.709 for BT.601, which is 2.0, and five frames of this film are 2.9
THEIRS = """
import json, sys, time
import decord

for line in sys.stdin:
    path, indices, size, cells = json.loads(line)
    began = time.perf_counter()
    reader = decord.VideoReader(path, num_threads=2, **({"width": size, "height": size} if size else {}))
    frames = reader.get_batch(indices).asnumpy()
    seconds = time.perf_counter() - began
    times_s = [float(reader.get_frame_timestamp(one)[0]) for one in indices]
    part = size // cells if size else 0
    means = frames.reshape(-1, cells, part, cells, part, 3).mean((2, 4)).tolist() if size else []
    print(json.dumps([seconds, times_s, means]), flush=True)
    del frames, reader
"""


def draw(path: Path) -> None:
    """Write the piece that films are made of."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    grain = rng.normal(0, 12, (8, HEIGHT, WIDTH, 1)).astype(np.int16)

    def pictures() -> Iterator[np.ndarray]:
        for index in range(PIECE_S * FPS):
            moved = np.roll(ground, (index * 3, index * 5), axis=(0, 1))
            yield np.clip(moved + grain[index % 8], 0, 255).astype(np.uint8)

    write_video(path, pictures(), fps=FPS, crf=28, preset="veryfast", gop_frames=GOP)


def repeat(piece: Path, path: Path, *, length_s: float) -> None:
    """Write a film of the piece's packets, again and again."""
    with av.open(str(path), "w") as out:
        written: Any = None
        for start_s in range(0, round(length_s), PIECE_S):
            with av.open(str(piece)) as container:
                stream = container.streams.video[0]
                assert stream.time_base is not None, "a film has a time base"
                written = written or out.add_stream_from_template(stream)
                shift = round(start_s / stream.time_base)
                for packet in container.demux(stream):
                    if packet.dts is not None and packet.pts is not None:
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = written
                        out.mux(packet)


class Decord:
    """decord2 in a process of its own environment."""

    def __init__(self, folder: Path) -> None:
        python = folder / "bin" / "python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "decord2==3.4.0"], check=True)
        self._process = subprocess.Popen(
            [python, "-c", THEIRS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def read(self, path: Path, indices: list[int], *, size_px: int | None) -> tuple[float, np.ndarray, np.ndarray]:
        """Return seconds, times of the frames, and their means where they have the size that is asked for."""
        assert self._process.stdin is not None, "it is a pipe"
        assert self._process.stdout is not None, "it is one too"
        self._process.stdin.write(json.dumps([str(path), indices, size_px, CELLS]) + "\n")
        self._process.stdin.flush()
        seconds, times_s, means = json.loads(self._process.stdout.readline())
        return seconds, np.array(times_s), np.array(means)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def ours(path: Path, sampler: FrameSampler) -> tuple[float, np.ndarray, np.ndarray]:
    """Return seconds, times of the frames, and their means."""
    began = time.perf_counter()
    frames = read_frames(VideoSource(path), sampler, size_px=SIZE_PX)
    seconds, part = time.perf_counter() - began, SIZE_PX // CELLS
    return seconds, frames.times_s, frames.pixels.reshape(-1, CELLS, part, CELLS, part, 3).mean((2, 4))


def key_frames(path: Path, times_s: np.ndarray) -> float:
    """Return the seconds of a bare loop that seeks to each of these key frames, decodes and scales it."""
    began = time.perf_counter()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", 2
        assert stream.time_base is not None, "a film has a time base"
        for time_s in times_s:
            container.seek(round(time_s / stream.time_base), stream=stream)
            frame = next(container.decode(stream))
            frame.reformat(width=SIZE_PX, height=SIZE_PX, format="rgb24").to_ndarray()
    return time.perf_counter() - began


def beside_decord(decord: Decord, path: Path, sampler: FrameSampler, *, repeats: int) -> str:
    """Read in turn and return a row; decord2 is asked for the frames that the sampler wants without snapping."""
    _, times_s, _ = ours(path, replace(sampler, snap_s=0.0))
    indices = np.round(times_s * FPS).astype(int).tolist()
    rows: dict[str, list[float]] = {"ours": [], "whole": [], "scaled": []}
    for _ in range(repeats):
        seconds, times_s, means = ours(path, sampler)
        rows["ours"].append(seconds)
        rows["whole"].append(decord.read(path, indices, size_px=None)[0])
        seconds, their_times_s, their_means = decord.read(path, indices, size_px=SIZE_PX)
        rows["scaled"].append(seconds)
    alike = ""
    if not sampler.snap_s:
        assert np.allclose(their_times_s, times_s, atol=1e-3), "decord2 tells other times"
        same = np.abs(their_means - means).mean((1, 2, 3)) < SAME
        alike = f"   {same.sum()} of {len(same)} frames alike"
    own, whole, scaled = (statistics.median(one) for one in rows.values())
    faster = min(whole, scaled) / own
    return f"{own:8.2f} s   decord2 {whole:7.2f} s, scaling itself {scaled:7.2f} s   {faster:6.2f} x{alike}"


def memory_mib(path: Path, sampler: FrameSampler) -> float:
    """Return by how many MiB a fresh process grows that reads these frames, without the frames."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from reading_speed import grown_mib; print(grown_mib(Path(sys.argv[2]), *map(float, sys.argv[3:])))"
    )
    arguments = [str(Path(__file__).parent), str(path), str(sampler.num_frames), str(sampler.snap_s)]
    return float(subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=True).stdout)


def grown_mib(path: Path, num_frames: float, snap_s: float) -> float:
    """Return the growth of this process by reading, without the frames."""
    before = _peak_mib()
    sampler = FrameSampler(num_frames=int(num_frames), fps=None, snap_s=snap_s)
    frames = read_frames(VideoSource(path), sampler, size_px=SIZE_PX)
    return _peak_mib() - before - frames.pixels.nbytes / 2**20


def _peak_mib() -> float:
    # not getrusage: it remembers the process that started this one
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--environment", type=Path)
    parser.add_argument("--films", type=Path, help="where films are kept for another run")
    options = parser.parse_args()
    exact = FrameSampler(num_frames=FRAMES, fps=None)
    snapping = FrameSampler(num_frames=FRAMES, fps=None, snap_s=GOP / FPS / 2)
    with tempfile.TemporaryDirectory() as folder:
        films = options.films or Path(folder)
        films.mkdir(parents=True, exist_ok=True)
        piece, long, longest = (films / f"{name}.mp4" for name in ("piece", "long", "longest"))
        if not piece.exists():
            draw(piece)
        for path, length_s in ((long, options.minutes * 60), (longest, options.hours * 3600)):
            if not path.exists():
                repeat(piece, path, length_s=length_s)
        decord = Decord(options.environment or Path(folder) / "environment")
        try:
            for name, path, sampler in (
                ("long, 160 frames", long, exact),
                ("long, 160 key frames", long, snapping),
                ("25 s, 160 frames", piece, exact),
                ("25 s, 16 frames", piece, FrameSampler(num_frames=16, fps=None)),
            ):
                print(f"{name:22} {beside_decord(decord, path, sampler, repeats=options.repeats)}", flush=True)
        finally:
            decord.close()
        pairs = []
        for _ in range(options.repeats):
            seconds, times_s, _ = ours(longest, snapping)
            pairs.append((seconds, key_frames(longest, times_s)))
        own, bare = (statistics.median(one) for one in zip(*pairs, strict=True))
        print(f"{options.hours:g} hours, key frames   {own:.2f} s   a bare loop {bare:.2f} s   {own / bare:.2f} x")
        for name, path, sampler in (("long", long, exact), ("longest", longest, snapping)):
            print(f"memory beside the frames, {name}: {memory_mib(path, sampler):.0f} MiB")


if __name__ == "__main__":
    main()
