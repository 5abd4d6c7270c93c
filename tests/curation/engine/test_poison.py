"""Whatever a file is, the run ends, and the file is either in the result or in quarantine with a reason."""

import json
import os
import struct
import sys
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from reels import BRIGHTNESS, parts_of, recipe_over, scenes, with_mover

from kangaroo.curation.engine.layout import Layout
from kangaroo.curation.engine.ledger import Ledger
from kangaroo.curation.engine.recipe import Machine
from kangaroo.curation.engine.run import Run

sys.path.insert(0, str(Path(__file__).parents[2] / "video"))

from films import encode, encode_image, encode_sound, picture

SIZE = {"height": 240, "width": 320}


def film(count=60, *, height=240, width=320, **options):
    """One scene that moves, of another content each time that it is asked for with other options."""
    seed = zlib.crc32(repr((count, height, width, options)).encode())
    (still,) = scenes(seed, 1, height=height // 6 * 6, width=width // 8 * 8)
    still = np.pad(still, ((0, height - len(still)), (0, width - still.shape[1]), (0, 0)), mode="edge")
    pictures = [with_mover(still, number) for number in range(count)]
    return encode(pictures=pictures, fps=20, height=height, width=width, **options)


def _cut_off(data: bytes) -> bytes:
    return data[: len(data) * 6 // 10]


def _huge_duration(data: bytes) -> bytes:
    """The header claims a thousand years."""
    at = data.index(b"mvhd") + 4
    assert data[at] == 0, "a header of version 0"
    return data[: at + 16] + struct.pack(">I", 0xFFFFFFF0) + data[at + 20 :]


GOOD = {
    "variable.mp4": lambda: film(30, times_s=list(np.cumsum(np.tile([0.05, 0.2], 15)))),
    "rotated.mp4": lambda: film(matrix=(90.0, False)),
    "deep.mkv": lambda: film(container="matroska", pixel_format="yuv420p10le"),
    "wide.mp4": lambda: film(pixel_aspect=Fraction(4, 3)),
    "odd.avi": lambda: film(codec="ffv1", container="avi", pixel_format="bgr0", height=241, width=333),
    "huge.mp4": lambda: _huge_duration(film()),
    "vp9.webm": lambda: film(codec="libvpx-vp9", container="webm", options={"cpu-used": "8"}),
    "torn.ts": lambda: _cut_off(film(100, container="mpegts")),
    "still.png": lambda: encode_image(picture(3, **SIZE)),
}
BAD = {
    "empty.mp4": (bytes, "empty"),
    "noise.mp4": (lambda: np.random.default_rng(0).bytes(9000), "not a video"),
    "text.mp4": (lambda: b"these are words\n" * 99, "text"),
    "torn.mp4": (lambda: _cut_off(film()), "moov"),
    "sound.mp4": (lambda: encode_sound("mp4", "aac"), "only sound"),
    "single.mp4": (lambda: encode(num_frames=1, **SIZE), "no scene lasts 2 s"),
    "playlist.mp4": (lambda: b"ffconcat version 1.0\nfile plain.mp4\n", "refers to other files"),
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A finished run over all of them: what became of each file."""
    folder, out = tmp_path_factory.mktemp("poison"), tmp_path_factory.mktemp("out")
    for name, make in {**GOOD, **{name: make for name, (make, _) in BAD.items()}}.items():
        (folder / name).write_bytes(make())
    (folder / "link.mp4").symlink_to(folder / "nowhere.mp4")
    os.mkfifo(folder / "pipe.mp4")
    (folder / "folder.mp4").mkdir()
    recipe = recipe_over(folder, out, machine=Machine(limit_s=60.0))
    outcome = Run(recipe, parts_of(recipe, BRIGHTNESS)).go()
    at = Layout(out=out)
    reasons = {}
    for line in map(json.loads, at.quarantine.read_text(encoding="utf-8").splitlines()):
        reasons.setdefault(Path(line["subject"]).name, []).append(line["reason"])
    import duckdb

    rows = duckdb.sql(f"SELECT * FROM '{at.scores}'").fetchall()
    columns = [name for name, *_ in duckdb.sql(f"DESCRIBE SELECT * FROM '{at.scores}'").fetchall()]
    scored = {}
    for row in rows:
        scored.setdefault(Path(row[columns.index("video")]).name, []).append(dict(zip(columns, row, strict=True)))
    return outcome, scored, reasons, at


@pytest.mark.parametrize("name", GOOD)
def test_a_sound_file_is_measured(ended, name):
    _, scored, reasons, _ = ended
    assert name in scored, reasons.get(name)
    assert name not in reasons
    assert all(row["brightness.count"] > 0 for row in scored[name])


@pytest.mark.parametrize("name", BAD)
def test_a_broken_file_is_in_quarantine_with_its_reason(ended, name):
    _, scored, reasons, _ = ended
    assert name not in scored
    (reason,) = reasons[name]
    assert BAD[name][1] in reason


def test_nothing_is_counted_twice_or_lost(ended):
    outcome, scored, reasons, at = ended
    assert set(scored) | set(reasons) == set(GOOD) | set(BAD)
    assert outcome.num_quarantined == len(BAD)
    with Ledger(at.ledger) as ledger:
        assert ledger.num_videos() == len(GOOD) + len(BAD)


def test_what_a_file_is_comes_from_its_frames_not_its_header(ended):
    _, scored, _, _ = ended
    assert scored["huge.mp4"][0]["probe.duration_s"] == pytest.approx(3.0)
    assert scored["variable.mp4"][0]["probe.duration_s"] == pytest.approx(3.75, abs=0.3)
    rotated = scored["rotated.mp4"][0]
    assert (rotated["probe.width_px"], rotated["probe.height_px"], rotated["probe.rotation_deg"]) == (240, 320, 90)
    assert scored["still.png"][0]["clip.duration_s"] == 0
