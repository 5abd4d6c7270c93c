import json
from dataclasses import replace

import pytest
import torch

import kangaroo
from kangaroo.chat.answerer import Sampling
from kangaroo.errors import ModelError, OptionError
from kangaroo.playground.draw import write_film
from kangaroo.playground.script import make_film
from kangaroo.training import run as module
from kangaroo.training.curriculum import CURRICULA, TINY
from kangaroo.training.recipe import Recipe
from kangaroo.training.run import Run, export


@pytest.fixture(scope="module")
def recipe(start_folder, tmp_path_factory):
    """A whole tiny run on the CPU, wherever `out` is."""
    return Recipe(
        out=tmp_path_factory.mktemp("runs") / "whole",
        curriculum="tiny",
        start=start_folder,
        device="cpu",
        workers=0,
        log_every=1,
        save_every=100,
        probe_films=2,
    )


@pytest.fixture(scope="module")
def whole(recipe):
    run = Run(recipe)
    assert run.go()
    return run


@pytest.fixture(scope="module")
def slices(recipe, whole):
    """The same run, stopped after every step and gone on with in a fresh `Run`."""
    sliced = replace(recipe, out=recipe.out.parent / "slices", minutes=0.0)
    runs = [Run(sliced)]
    while not runs[-1].go():
        assert len(runs) < 20
        runs.append(Run(sliced))
    return runs


def metrics(run, *, of):
    lines = [json.loads(line) for line in (run.recipe.out / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if of in line]


def test_a_run_stopped_after_every_step_equals_one_in_one_go_bit_for_bit(whole, slices):
    assert len(slices) > sum(stage.steps for stage in TINY) - 1
    ends = [run.model.state_dict() for run in (whole, slices[-1])]
    assert ends[0].keys() == ends[1].keys()
    for name, weight in ends[0].items():
        assert torch.equal(weight, ends[1][name]), name
    losses = [
        [(line["stage"], line["step"], line["loss"]) for line in metrics(run, of="loss")] for run in (whole, slices[-1])
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == sum(stage.steps for stage in TINY)


def test_a_run_moves_the_weights_it_starts_from(whole, start_folder):
    begun = Run(replace(whole.recipe, out=whole.recipe.out.parent / "begun")).model
    moved = [not torch.equal(one, two) for one, two in zip(begun.parameters(), whole.model.parameters(), strict=True)]
    assert sum(moved) > len(moved) - 3


def test_metrics_say_loss_rate_and_speed_of_each_step_and_the_probe_of_each_stage(whole):
    for line in metrics(whole, of="loss"):
        assert line["loss"] > 0
        assert line["grad_norm"] > 0
        assert 0 < line["learning_rate"] < 1e-2
        assert line["films_per_s"] > 0
    probes = metrics(whole, of="probe_frames")
    assert [line["stage"] for line in probes] == [stage.name for stage in TINY]
    assert all(0 <= line["mean"] <= 1 for line in probes)


def test_each_stage_leaves_a_folder_that_loads_and_answers(whole, tmp_path):
    write_film(make_film(3, duration_s=2.5), tmp_path / "film.mp4")
    folders = [whole.recipe.out / f"{number}-{stage.name}" for number, stage in enumerate(TINY, start=1)]
    weights = []
    for folder in folders:
        loaded = kangaroo.load(folder, device="cpu")
        answer = loaded.chat(tmp_path / "film.mp4").ask("What happens?", sampling=Sampling(max_new_tokens=4)).read()
        assert 1 <= answer.new_tokens <= 4
        assert len(answer.times_s[0]) == 16
        weights.append(loaded.model.state_dict())
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weights[-1][name], weight.to(torch.bfloat16).float()), name


def test_a_finished_run_has_nothing_left_to_do(whole):
    before = (whole.recipe.out / "metrics.jsonl").read_bytes()
    assert Run(whole.recipe).go()
    assert (whole.recipe.out / "metrics.jsonl").read_bytes() == before


def test_a_state_saved_under_another_curriculum_is_refused(whole, monkeypatch):
    monkeypatch.setitem(CURRICULA, "tiny", TINY[:2])
    with pytest.raises(OptionError, match=r"state\.pt was saved under another curriculum; name another out folder"):
        Run(whole.recipe)


def test_a_state_that_was_not_written_whole_never_replaces_the_last_one(whole, monkeypatch):
    before = (whole.recipe.out / "state.pt").read_bytes()

    def broken(state, path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(module.torch, "save", broken)
    with pytest.raises(OSError, match="disk full"):
        whole.save()
    assert (whole.recipe.out / "state.pt").read_bytes() == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu_is_refused_before_anything_is_written(recipe, tmp_path):
    with pytest.raises(OptionError, match="torch sees no GPU"):
        Run(replace(recipe, device="cuda", out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_start_folder_without_a_model_is_refused(recipe, tmp_path):
    (tmp_path / "empty").mkdir()
    for missing in (tmp_path / "nowhere", tmp_path / "empty"):
        with pytest.raises(ModelError, match="no model to start from"):
            Run(replace(recipe, start=missing, out=tmp_path / "out"))


def test_a_start_folder_without_a_tokenizer_is_refused(recipe, start_folder, tmp_path):
    for file in start_folder.iterdir():
        if file.name != "tokenizer.json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ModelError, match="no model to start from"):
        Run(replace(recipe, start=tmp_path, out=tmp_path / "out"))


def test_an_export_holds_every_weight_once_in_bfloat16(tiny_network, tiny_processor, tmp_path):
    from safetensors.torch import load_file

    export(tiny_network, tiny_processor, tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    assert {weight.dtype for weight in saved.values()} == {torch.bfloat16}
    assert sum(weight.numel() for weight in saved.values()) == sum(each.numel() for each in tiny_network.parameters())
