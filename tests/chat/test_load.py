"""A model's folder is opened whole or refused in one line, and nothing in it can run code."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from taught import ANSWERS, FIRST, RED

import kangaroo
from kangaroo.chat.load import find_folder, load
from kangaroo.errors import ModelError, OptionError


@pytest.fixture
def copied(folder, tmp_path):
    return Path(shutil.copytree(folder, tmp_path / "copied"))


def test_a_folder_answers_as_the_network_that_was_saved(folder, films, answerer):
    loaded = kangaroo.load(folder, device="cpu")
    assert loaded.name == "taught"
    assert loaded.chat(films[RED]).ask(FIRST).read().text == ANSWERS[RED, FIRST]
    assert loaded.frame_sampler == answerer.frame_sampler
    assert not loaded.model.training


def test_a_cpu_holds_float32_whatever_is_on_disk(copied):
    weights = load_file(copied / "model.safetensors")
    save_file({name: weight.bfloat16() for name, weight in weights.items()}, copied / "model.safetensors")
    assert {weight.dtype for weight in load(copied, device="cpu").model.parameters()} == {torch.float32}
    halved = load(copied, device="cpu", dtype=torch.bfloat16)
    assert {weight.dtype for weight in halved.model.parameters()} == {torch.bfloat16}


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_weights_that_could_run_code_are_never_read(copied, tmp_path, name):
    (copied / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    load(copied, device="cpu")
    (copied / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=rf"weights are missing, expected \*\.safetensors; {name} is not read"):
        load(copied, device="cpu")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("file", ["config.json", "processor_config.json", "tokenizer.json"])
def test_a_missing_file_is_named(copied, file):
    (copied / file).unlink()
    with pytest.raises(ModelError, match=f"{file} is missing"):
        load(copied, device="cpu")


@pytest.mark.parametrize("file", ["config.json", "processor_config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\x00\xff\xfe", b'{"a": {"b": 1}}', b"[" * 100_000])
def test_a_damaged_file_is_one_clear_error(copied, file, content):
    (copied / file).write_bytes(content)
    with pytest.raises(ModelError, match="copied") as caught:
        load(copied, device="cpu")
    assert len(str(caught.value).splitlines()) == 1


def change(folder, file, **values):
    settings = json.loads((folder / file).read_text())
    for path, value in values.items():
        *outer, last = path.split("__")
        inner = settings
        for name in outer:
            inner = inner[name]
        inner[last] = value
    (folder / file).write_text(json.dumps(settings))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "llama"}, "describes a 'llama' model"),
        ({"text_config__hidden_size": 64}, "weights are missing or do not fit"),
        ({"text_config__num_hidden_layers": 3}, "weights are missing or do not fit"),
        ({"text_config__hidden_size": "wide"}, "copied"),
        ({"vision_config__patch_size": 0}, "copied"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(copied, changes, message):
    change(copied, "config.json", **changes)
    with pytest.raises(ModelError, match=message):
        load(copied, device="cpu")


def test_names_that_mean_no_model_are_refused(tmp_path, monkeypatch):
    for name in ("roo", "r" * 300, "~nobodyhere/roo", "roo\0"):
        with pytest.raises(ModelError, match="no model is called"):
            load(name)
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        load(tmp_path)
    (tmp_path / "weights.safetensors").touch()
    with pytest.raises(ModelError, match="a file, not a model's folder"):
        load(tmp_path / "weights.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="nobody/nothing: no such folder here, and the hub cannot be reached"):
        load("nobody/nothing")


def test_joey_is_part_of_the_package():
    assert find_folder("joey").parent == Path(kangaroo.__file__).parent


@pytest.mark.parametrize("device", ["abacus", "cuda:99", "meta", "cpu:x"])
def test_a_device_that_is_not_here_is_refused(folder, device):
    with pytest.raises(OptionError, match=f"device '{device}' cannot be used here"):
        load(folder, device=device)
