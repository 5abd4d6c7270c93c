import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import kangaroo
from kangaroo.alone import alone_in
from kangaroo.chat.answerer import Sampling
from kangaroo.errors import KangarooError, ModelError, OptionError
from kangaroo.playground.draw import write_film
from kangaroo.playground.script import make_film
from kangaroo.training.curriculum import TINY
from kangaroo.training.parallel import start_world
from kangaroo.training.recipe import Recipe
from kangaroo.training.run import Run

ALL = (1, 5)


@pytest.fixture(scope="module")
def world():
    return start_world("cpu")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """All five stages on the CPU."""
    return Recipe(
        out=tmp_path_factory.mktemp("runs") / "whole",
        curriculum="tiny",
        device="cpu",
        workers=0,
        log_every=1,
        save_every=2,
        lookahead=8,
    )


@pytest.fixture(scope="module")
def whole(recipe, world):
    run = Run(recipe, world, stages=ALL)
    assert run.go()
    return run


def folders(run):
    return [run.folder(number) for number in range(1, 6)]


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_same_weights(one, other):
    for ours, theirs in zip(folders(one), folders(other), strict=True):
        first, second = (load_file(folder / "model.safetensors") for folder in (ours, theirs))
        assert first.keys() == second.keys()
        for name, weight in first.items():
            assert torch.equal(weight, second[name]), f"{ours.name} {name}"


@pytest.mark.long
def test_a_run_stopped_after_every_step_equals_one_in_one_go_bit_for_bit(whole, recipe, world):
    sliced = replace(recipe, out=recipe.out.parent / "slices", minutes=0.0)
    runs = [Run(sliced, world, stages=ALL)]
    while not runs[-1].go():
        assert len(runs) < 40
        runs.append(Run(sliced, world, stages=ALL))
    assert len(runs) > 5
    assert_same_weights(whole, runs[-1])
    losses = [
        [(line["stage"], line["step"], line["loss"]) for line in metrics(run.recipe.out)] for run in (whole, runs[-1])
    ]
    assert losses[0] == losses[1]


def test_a_run_killed_anywhere_goes_on_and_equals_one_in_one_go_bit_for_bit(whole, recipe):
    out = recipe.out.parent / "killed"
    text = [f'out = "{out}"', 'curriculum = "tiny"', 'device = "cpu"', "workers = 0", "log_every = 1"]
    (out.parent / "killed.toml").write_text("\n".join([*text, "save_every = 2", "lookahead = 8"]))
    command = [sys.executable, "-c", "from kangaroo.cli import main; main()", "train", str(out.parent / "killed.toml")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    kills = 0
    # killed once within a stage, after its first checkpoint and past it, and once between two stages
    for reached in (lambda: _steps(out, TINY[3].name) >= 3, (out / f"4-{TINY[3].name}").is_dir):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while process.poll() is None and not reached() and time.monotonic() < deadline:
            time.sleep(0.005)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills >= 1
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert finished.returncode == 0, finished.stderr[-2000:]
    run = object.__new__(Run)
    run.recipe = replace(recipe, out=out)
    assert_same_weights(whole, run)
    assert not list(out.glob("*.checkpoints"))


def _steps(out: Path, stage: str) -> int:
    try:
        return sum(line["stage"] == stage for line in metrics(out))
    except (OSError, ValueError):
        return 0


@pytest.mark.long
def test_two_processes_train_as_one_does_and_either_goes_on_for_the_other(whole, recipe, tmp_path):
    """Stopped by two, gone on with by one, and the other way about; sums are taken in another order."""
    recipes = {}
    for name, minutes in (("stopping", 0.0), ("going_on", None)):
        lines = [f'out = "{tmp_path / "out"}"', f'start = "{whole.folder(3)}"', 'curriculum = "tiny"', 'device = "cpu"']
        lines += [
            "workers = 0",
            "log_every = 1",
            "lookahead = 8",
            *([] if minutes is None else [f"minutes = {minutes}"]),
        ]
        recipes[name] = tmp_path / f"{name}.toml"
        recipes[name].write_text("\n".join(lines))
    arguments = ["-m", "kangaroo.cli", "train", "--stages", "4"]
    alone = [sys.executable, *arguments]
    together = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for command, how in ((together, "stopping"), (alone, "stopping"), (together, "going_on")):
        ran = subprocess.run(
            [*command, str(recipes[how])], env=environment, capture_output=True, text=True, timeout=150, check=False
        )
        assert ran.returncode == 0, ran.stderr[-3000:]
        assert ran.stdout.count("the same command goes on" if how == "stopping" else "done") == 1
    ours, theirs = (
        [line for line in metrics(out) if line["stage"] == TINY[3].name] for out in (tmp_path / "out", recipe.out)
    )
    assert [(line["step"], line["samples"]) for line in ours] == [(line["step"], line["samples"]) for line in theirs]
    losses = [[line["loss"] for line in lines] for lines in (ours, theirs)]
    assert losses[0][0] == pytest.approx(losses[1][0], abs=1.5e-5)  # one of the last digit that is written
    # Muon rounds to bfloat16, which makes other roundings of other sums; a step changes the loss by some hundredths
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    notes = json.loads((tmp_path / "out" / f"4-{TINY[3].name}" / "training.json").read_text())
    assert notes["gpus"] == 2
    kangaroo.load(tmp_path / "out" / f"4-{TINY[3].name}", device="cpu")


def test_each_stage_leaves_a_folder_that_loads_and_answers_and_says_what_made_it(whole, tmp_path):
    write_film(make_film(3, duration_s=2.5), tmp_path / "film.mp4")
    for folder, stage in zip(folders(whole), TINY, strict=True):
        loaded = kangaroo.load(folder, device="cpu")
        answer = loaded.chat(tmp_path / "film.mp4").ask("What happens?", sampling=Sampling(max_new_tokens=4)).read()
        assert 1 <= answer.new_tokens <= 4
        assert len(answer.times_s[0]) == len(stage.sampler.wanted_times(2.5))
        assert loaded.model.config.vision_config.image_size == stage.image_size_px
        assert loaded.model.config.patchify == stage.patchify
        notes = json.loads((folder / "training.json").read_text())
        assert notes["stage"]["name"] == stage.name
        assert notes["recipe"]["curriculum"] == "tiny"
        assert notes["data"]
        assert notes["versions"]["torch"] == torch.__version__


def test_every_part_moves_in_every_stage(whole):
    weights = [load_file(folder / "model.safetensors") for folder in folders(whole)]
    for before, after in pairwise(weights):
        # steps of so short a run are too small to change a norm's 1.0 in bfloat16
        matrices = [name for name, weight in after.items() if weight.ndim > 1 and name in before]
        alike = [name for name in matrices if before[name].shape == after[name].shape]
        assert len(alike) > 20
        still = {name for name in alike if torch.equal(before[name], after[name])}
        assert still <= {"model.vision_tower.cls_token"}


def test_metrics_say_what_each_step_did(whole):
    for line in metrics(whole.recipe.out):
        assert line["loss"] > 0
        assert 0 < line["rate"] <= 1
        assert 0 < line["utilisation"] < 1
        assert 0.4 < line["filled"] <= 1
        assert line["tokens_per_s"] > 0
    assert {line["stage"] for line in metrics(whole.recipe.out)} == {stage.name for stage in TINY}
    assert (whole.recipe.out / "loss.png").stat().st_size > 10_000
    assert list((whole.recipe.out / "tensorboard").glob("events.*"))


def test_a_finished_run_has_nothing_left_to_do(whole, world):
    before = (whole.recipe.out / "metrics.jsonl").read_bytes()
    assert Run(whole.recipe, world, stages=ALL).go()
    assert (whole.recipe.out / "metrics.jsonl").read_bytes() == before


def test_a_stage_that_is_done_is_taken_only_for_what_it_is(whole, recipe, world, tmp_path):
    with pytest.raises(OptionError, match=r"1-image-pretraining was made with another seed; go on with that, or name"):
        Run(replace(recipe, seed=7), world, stages=ALL).go()
    (tmp_path / "out" / whole.folder(1).name).mkdir(parents=True)
    with pytest.raises(ModelError, match="is in a stage's place, but no stage left it; move it"):
        Run(replace(recipe, out=tmp_path / "out"), world, stages=ALL).go()


def test_no_stage_is_left_half_done_behind(recipe, world, whole, tmp_path):
    begun = replace(recipe, out=tmp_path / "begun", start=whole.folder(2), minutes=0.0)
    assert not Run(begun, world, stages=(3, 3)).go()
    with pytest.raises(OptionError, match="stage 3 is not done; train it to its end"):
        Run(begun, world, stages=(4, 4)).go()


def test_only_one_process_trains_in_a_folder(recipe, world):
    with alone_in(recipe.out), pytest.raises(OptionError, match="another process writes into"):
        Run(recipe, world, stages=ALL).go()


def test_a_run_that_has_lost_its_numbers_stops_and_saves_nothing_of_it(recipe, world, whole, tmp_path):
    shutil.copytree(whole.folder(3), tmp_path / "start")
    file = tmp_path / "start" / "model.safetensors"
    weights = load_file(file)
    weights["model.language_model.norm.weight"][0] = float("nan")
    save_file(weights, file, metadata={"format": "pt"})
    lost = replace(recipe, out=tmp_path / "lost", start=tmp_path / "start", log_every=100)
    with pytest.raises(KangarooError, match=r"instruction-tuning, step 2: the loss is nan .* this is not saved"):
        Run(lost, world, stages=(4, 4)).go()
    assert not list(lost.out.glob("4-*"))


def test_a_line_of_metrics_that_was_cut_off_spoils_nothing(recipe, world, whole, tmp_path):
    out = tmp_path / "cut"
    out.mkdir()
    (out / "metrics.jsonl").write_text('{"stage": "instruction-tuning", "lo')
    assert Run(replace(recipe, out=out, start=whole.folder(3)), world, stages=(4, 4)).go()
    _, *lines = (out / "metrics.jsonl").read_text().splitlines()
    assert all(json.loads(line)["loss"] for line in lines)
    assert (out / "loss.png").is_file()


def test_one_stage_is_trained_alone_from_what_the_one_before_left_or_a_start(whole, recipe, world, tmp_path):
    only = Run(replace(recipe, out=tmp_path / "third", start=whole.folder(2)), world, stages=(3, 3))
    assert only.go()
    assert [path.name for path in (tmp_path / "third").iterdir() if path.is_dir()] != []
    one, other = (load_file(run.folder(3) / "model.safetensors") for run in (whole, only))
    assert all(torch.equal(weight, other[name]) for name, weight in one.items())
    with pytest.raises(OptionError, match="stage 3 begins with what stage 2 left"):
        Run(replace(recipe, out=tmp_path / "empty"), world, stages=(3, 3)).go()


def test_the_language_model_can_train_by_low_rank_additions(recipe, world, whole, tmp_path):
    run, again = (
        Run(replace(recipe, out=tmp_path / name, start=whole.folder(3), lora_rank=2), world, stages=(4, 4))
        for name in ("lora", "again")
    )
    assert run.go()
    assert again.go()
    before, after, same = (
        load_file(folder / "model.safetensors") for folder in (whole.folder(3), run.folder(4), again.folder(4))
    )
    assert all(torch.equal(weight, same[name]) for name, weight in after.items())
    assert before.keys() == after.keys()
    layer = "model.language_model.layers.0"
    assert not torch.equal(before[f"{layer}.mlp.up_proj.weight"], after[f"{layer}.mlp.up_proj.weight"])
    assert torch.equal(before[f"{layer}.input_layernorm.weight"], after[f"{layer}.input_layernorm.weight"])
    kangaroo.load(run.folder(4), device="cpu")


def test_probes_say_what_share_of_test_questions_is_right(recipe, world, whole, tmp_path):
    told = {"log_every": 2, "probe_every": 3, "probe_films": 2}
    probed = replace(recipe, out=tmp_path / "probed", start=whole.folder(3), **told)
    assert Run(probed, world, stages=(4, 4)).go()
    lines = metrics(tmp_path / "probed")
    # of a probe's time the steps know nothing, and it ends no line of theirs
    assert all(line["waited"] < 1 for line in lines if "loss" in line)
    probe = next(line["probe"] for line in lines if "probe" in line)
    assert 0 <= probe["mean"] <= 1
    assert {"language en", "language zh"} <= probe.keys()


def test_sigterm_saves_what_was_trained_and_the_run_goes_on_from_there(recipe, world, whole, tmp_path):
    told = replace(recipe, out=tmp_path / "told", start=whole.folder(3), save_every=100)

    def watch(stage, step):
        if step.number == 2:
            signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    assert not Run(told, world, stages=(4, 4), watch=watch).go()
    assert signal.getsignal(signal.SIGTERM) is before
    run = Run(told, world, stages=(4, 4))
    assert run.go()
    assert [line["step"] for line in metrics(told.out)] == list(range(1, len(metrics(told.out)) + 1))
    theirs, ours = (load_file(each.folder(4) / "model.safetensors") for each in (whole, run))
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


def test_a_stage_under_way_goes_on_only_as_it_began(recipe, world, whole, tmp_path):
    begun = replace(recipe, out=tmp_path / "begun", start=whole.folder(3), minutes=0.0)
    assert not Run(begun, world, stages=(4, 4)).go()
    for change, name in (({"seed": 1}, "seed"), ({"samples": 99}, "curriculum"), ({"lora_rank": 2}, "lora_rank")):
        with pytest.raises(OptionError, match=rf"step-0+1 was made with another {name}; go on with that, or name"):
            Run(replace(begun, **change), world, stages=(4, 4)).go()


def test_what_cannot_be_trained_is_refused_before_anything_is_written(recipe, world, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(OptionError, match="the recipe's \\[data\\] has no path for image_captions; add it"):
        Run(replace(recipe, curriculum="kangaroo", out=out), world, stages=(1, 1))
    assert not out.exists()
    (tmp_path / "empty").mkdir()
    for missing in (tmp_path / "nowhere", tmp_path / "empty"):
        with pytest.raises(ModelError, match="no model to start from"):
            Run(replace(recipe, start=missing, out=out), world, stages=ALL).go()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu_is_refused():
    with pytest.raises(OptionError, match="torch sees 0"):
        start_world("cuda")


@contextmanager
def _training_with_workers(out):
    """A process that has come to its third step."""
    text = [f'out = "{out}"', 'curriculum = "tiny"', 'device = "cpu"', "workers = 2", "log_every = 1"]
    recipe = out.with_suffix(".toml")
    recipe.write_text("\n".join([*text, "save_every = 1000", "samples = 10_000"]))
    command = [sys.executable, "-c", "from kangaroo.cli import main; main()", "train", str(recipe)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, **options) as process:
        deadline = time.monotonic() + 120
        while process.poll() is None and _steps(out, TINY[0].name) < 3 and time.monotonic() < deadline:
            time.sleep(0.005)
        yield process


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux who a process's children are")
def test_workers_leave_when_the_one_that_trains_was_killed(tmp_path):
    with _training_with_workers(tmp_path / "killed") as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) >= 2
        process.kill()
        process.wait()
        deadline = time.monotonic() + 30
        while (
            left := [child for child in children if Path(f"/proc/{child}").exists()]
        ) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not left


def test_sigterm_to_all_processes_of_a_run_saves_too(tmp_path):
    out = tmp_path / "group"
    with _training_with_workers(out) as process:
        os.killpg(process.pid, signal.SIGTERM)
        told, _ = process.communicate(timeout=120)
    assert process.returncode == 0, told[-2000:]
    assert "saved and stopped" in told
    assert list(out.glob("1-*.checkpoints/*"))
