"""The doctor names this machine, says what fits by arithmetic that a person can follow, and what to install."""

import json

import pytest
import torch

from kangaroo.chat.load import find_folder
from kangaroo.cli import run
from kangaroo.model.presets import joey, kangaroo_8b
from kangaroo.release.doctor import _advice, diagnose, list_devices
from kangaroo.release.memory import WORDS, Fit, Precision

HALF = Precision(name="bfloat16", bytes_each=2)
INT8 = Precision(name="int8", bytes_each=2, int8=True)


def test_the_published_networks_bytes_are_those_of_its_parts():
    need = Fit(kangaroo_8b(), HALF).need(160)
    # Llama, the tower without its head, the projector, the fold: the published file is listed as 16.7 GB
    assert need.weights == 2 * (8_030_261_248 + 304_104_384 + 20_979_712 + 9 * 1024)
    # 20,562 tokens of the film and the words beside it, 32 layers of 8 heads of 128, keys and values
    assert need.question.cache == 2 * 32 * 8 * 128 * 2 * (20_562 + WORDS)
    assert Fit(kangaroo_8b(), INT8).need(160).weights == pytest.approx(need.weights - 6.979e9, rel=1e-3)


def test_more_memory_fits_more_frames_up_to_the_context():
    fit = Fit(kangaroo_8b(), INT8)
    fitting = [fit.frames_within(gigabytes * 1e9) for gigabytes in (8, 12, 16, 24, 80)]
    assert fitting == sorted(fitting)
    assert fitting[0] == 0
    assert fitting[-1] == fit.most_frames == 166
    for frames in fitting[1:4]:
        assert frames % 2 == 0
    frames = fitting[2]
    assert fit.need(frames).total <= 16e9 < fit.need(frames + 2).total


def test_the_most_frames_of_an_endless_context_are_found_at_once():
    config = joey()
    config.text_config.max_position_embeddings = 10**12
    fit = Fit(config, Precision(name="float32", bytes_each=4))
    most = fit.frames_within(10**11)
    assert fit.need(most).total <= 10**11 < fit.need(most + 2).total


def test_this_machine_is_named():
    devices = list_devices()
    assert devices[0].name == "cpu"
    assert 0 < devices[0].free_bytes <= devices[0].memory_bytes
    assert len(devices) == 1 + torch.cuda.device_count()
    rows = [row for row in diagnose({"joey": joey()}).rows if row.device == "cpu"]
    assert [row.precision for row in rows] == ["float32", "float32, --quantize int8"]
    assert rows[0].most_frames == 220


def test_a_device_for_which_triton_cannot_compile_is_told_with_what_to_install():
    cpu = list_devices()[0]
    told = [line for line in _advice([cpu, cpu]) if "Triton" in line]
    assert len(told) == 1
    assert "install triton, a C compiler" in told[0]
    assert not [line for line in _advice([cpu]) if "Triton" in line]


def test_the_command_is_for_people_and_for_programs(capsys):
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "kangaroo-8b" in out
    assert "of memory" in out
    assert run(["doctor", "--model", "joey", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["model"] for row in found["rows"]} == {"joey"}
    assert found["versions"]["torch"] == torch.__version__
    assert run(["doctor", "--model", "nowhere", "--json"]) == 2
    assert "nowhere" in json.loads(capsys.readouterr().out)["error"]


def test_a_model_that_is_no_kangaroo_or_has_no_room_for_a_film_is_told_so(tmp_path, monkeypatch, capsys):
    settings = json.loads((find_folder("joey") / "config.json").read_text())
    settings["text_config"]["max_position_embeddings"] = 512
    (tmp_path / "config.json").write_text(json.dumps(settings))
    monkeypatch.chdir(tmp_path)
    assert run(["doctor", "--model", "."]) == 0
    (row,) = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith(tmp_path.name) and "int8" in line
    ]
    assert "its context holds none" in row
    for changed, said in (
        ({"model_type": "llama"}, "describes a 'llama' model"),
        ({"patchify": 5}, "config.json cannot be read"),
        ({"text_config": {"vocab_size": -3}}, "vocab_size is -3; give 1 or more"),
        ({"text_config": {"head_dim": -3}}, "a network that cannot be made"),
    ):
        (tmp_path / "config.json").write_text(json.dumps({**settings, **changed}))
        assert run(["doctor", "--model", "."]) == 2
        assert said in capsys.readouterr().err
