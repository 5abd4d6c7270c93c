"""Folders of records with small films, drawn on the fly."""

import io
import json
import tarfile
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from kangaroo.data.record import Kind, Medium, Record, Said
from kangaroo.data.write import write_jsonl
from kangaroo.dialogue.conversation import Role
from kangaroo.video.write import write_video


def draw(path: Path, *, seed: int = 0, num_frames: int = 12) -> Path:
    """A film of 48 x 32 px at 4 frames a second, every one another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (num_frames, 4, 6, 3), dtype=np.uint8)
    write_video(path, pixels.repeat(8, axis=1).repeat(8, axis=2), fps=4.0)
    return path


def draw_endless(path: Path) -> None:
    """A stream of millions of frames, which takes minutes only to list them: one second of film, over and over."""
    with av.open(str(path), "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(25):
            frame = VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    second = path.read_bytes()
    path.write_bytes(second * ((150 << 20) // len(second)))


def record(number: int, *media: Medium, answer: str = "A square.", **provenance: str) -> Record:
    told = {"source": "drawn", "language": "en", "licence": "CC0-1.0", "task": "what"} | provenance
    turns = (Said(Role.USER, (*media, f"What is in film {number}?")), Said(Role.ASSISTANT, (answer,)))
    return Record(id=f"film-{number}", **told, turns=turns)


def film(path: str, **options) -> Medium:
    return Medium(kind=Kind.VIDEO, path=path, **options)


def make_folder(folder: Path, count: int, *, num_films: int = 3) -> Path:
    """Records over a few films; returns the path of the records."""
    for seed in range(num_films):
        draw(folder / f"films/{seed}.mp4", seed=seed)
    records = [record(number, film(f"films/{number % num_films}.mp4")) for number in range(count)]
    write_jsonl(records, folder / "records.jsonl")
    return folder / "records.jsonl"


def shard_of(path, *members):
    """A shard with members as given: a name and its bytes, or a whole TarInfo."""
    with tarfile.open(path, "w") as shard:
        for one in members:
            if isinstance(one, tarfile.TarInfo):
                shard.addfile(one)
                continue
            member = tarfile.TarInfo(one[0])
            member.size = len(one[1])
            shard.addfile(member, io.BytesIO(one[1]))
    return path


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rewrite(path: Path, lines: list[dict | str]) -> None:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
