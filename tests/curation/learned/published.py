"""Packages that others published, unpacked and not installed: what our networks are compared with."""

import subprocess
import sys
import zipfile

import pytest


def published(package, folder):
    """A folder to import a package from."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    ran = subprocess.run([*pip, "--dest", str(folder), package], capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.skip(f"pip cannot get {package}, which ours is compared with")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "package")
    return folder / "package"
