import os
import signal

import numpy as np
import pytest
import torch
from ranks import on_ranks
from torch import distributed
from torch.distributed.checkpoint import FileSystemWriter
from torch.distributed.tensor import DTensor

from kangaroo.data.packing import PackingSample, join, lay_out
from kangaroo.dialogue.encoding import Encoded
from kangaroo.errors import KangarooError, ModelError
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.packed import allow_packed_rows
from kangaroo.model.presets import tiny
from kangaroo.training.checkpoint import CheckpointWriter, latest, load, read_progress
from kangaroo.training.loss import Objective
from kangaroo.training.muon import Muon
from kangaroo.training.parallel import gather_weights, shard, start_world

PROGRESS = {"stage": 2, "streams": [{"pending": [3, 5], "next_number": 7}], "random": [1, 2, 255]}


def training(world, *, seed, config=None):
    """Return a network that the ranks share, and what moves it: Muon for matrices, AdamW for the rest."""
    torch.manual_seed(seed)
    model = KangarooForConditionalGeneration(config or tiny())
    model.model.language_model.norm.requires_grad_(False)
    shard(Objective(model), world, compute_dtype=torch.float32)
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    is_matrix = {name: weight.ndim == 2 and "embed_tokens" not in name for name, weight in trained}
    tables, vectors = (
        [weight for name, weight in trained if not is_matrix[name] and (weight.ndim == 1) == is_vector]
        for is_vector in (False, True)
    )
    groups = [{"params": tables, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return model, (
        Muon([weight for name, weight in trained if is_matrix[name]], lr=1e-2),
        torch.optim.AdamW(groups, lr=1e-2),
    )


def move(model, optimizers, *, steps=1):
    """Take steps whose gradients depend on nothing but the weights."""
    for _ in range(steps):
        for weight in model.parameters():
            if weight.requires_grad:
                weight.grad = 0.3 * weight.detach() + 0.1
        for optimizer in optimizers:
            optimizer.step()


def weights_of(model):
    whole = {name: weight.full_tensor() if isinstance(weight, DTensor) else weight for name, weight in state(model)}
    return {name: weight.clone() for name, weight in whole.items()}


def state(model):
    return model.state_dict().items()


def save(folder, world, trained, *, step, keep=2):
    writer = CheckpointWriter(folder, world, keep=keep)
    writer.save(step, *trained, progress={**PROGRESS, "step": step})
    writer.wait()
    return latest(folder)


def equal(one, two):
    return one.keys() == two.keys() and all(torch.equal(weight, two[name]) for name, weight in one.items())


@pytest.fixture(scope="module")
def world():
    yield start_world("cpu")
    distributed.destroy_process_group()


def on_two(folder):
    """On every rank: go on from one rank's checkpoint, write one of two ranks, and die while writing another."""
    world = start_world("cpu")
    trained = training(world, seed=1)
    load(latest(folder / "one"), *trained)
    loaded = gather_weights(trained[0], world)
    move(*trained)
    moved = gather_weights(trained[0], world)
    if world.rank == 0:
        torch.save({"loaded": loaded, "moved": moved}, folder / "found.pt")
    writer = CheckpointWriter(folder / "two", world)
    writer.save(7, *trained, progress=PROGRESS)
    writer.wait()
    distributed.barrier()
    if world.rank == 1:
        FileSystemWriter.write_data = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    writer.save(8, *trained, progress=PROGRESS)
    writer.wait()


@pytest.fixture(scope="module")
def on_two_ranks(world, tmp_path_factory):
    """What two ranks made of the checkpoint of one, and what one rank would have."""
    folder = tmp_path_factory.mktemp("ranks")
    trained = training(world, seed=0)
    move(*trained, steps=2)
    save(folder / "one", world, trained, step=2)
    expected = {"loaded": weights_of(trained[0])}
    move(*trained)
    expected["moved"] = weights_of(trained[0])
    done = on_ranks(on_two, folder)
    assert f"exitcode  : {-signal.SIGKILL}" in done.stderr, done.stderr
    return folder, torch.load(folder / "found.pt"), expected, trained


def test_two_ranks_go_on_from_the_checkpoint_of_one(on_two_ranks):
    _, found, expected, _ = on_two_ranks
    assert equal(found["loaded"], expected["loaded"])
    for name, weight in found["moved"].items():
        torch.testing.assert_close(weight, expected["moved"][name], rtol=1e-5, atol=1e-6)
    assert not equal(found["moved"], found["loaded"])


def test_one_rank_goes_on_from_the_checkpoint_of_two_and_is_not_harmed_by_the_one_that_a_kill_cut_off(
    on_two_ranks, world
):
    folder, found, _, alone = on_two_ranks
    assert {path.name for path in (folder / "two").iterdir()} == {"step-00000007", "step-00000008.unfinished"}
    trained = training(world, seed=2)
    load(latest(folder / "two"), *trained)
    assert equal(weights_of(trained[0]), found["moved"])
    # moments too: one more step leads to the same place
    move(*trained)
    move(*alone)
    for name, weight in weights_of(trained[0]).items():
        torch.testing.assert_close(weight, weights_of(alone[0])[name], rtol=1e-5, atol=1e-6)
    save(folder / "two", world, trained, step=9)
    assert {path.name for path in (folder / "two").iterdir()} == {"step-00000007", "step-00000009"}


def test_going_on_from_a_checkpoint_is_bit_for_bit_as_if_never_stopped(world, tmp_path):
    trained, other = training(world, seed=0), training(world, seed=1)
    move(*trained, steps=2)
    checkpoint = save(tmp_path, world, trained, step=2)
    load(checkpoint, *other)
    assert equal(weights_of(trained[0]), weights_of(other[0]))
    for mine, theirs in zip(trained[1], other[1], strict=True):
        moments = [optimizer.state_dict()["state"] for optimizer in (mine, theirs)]
        assert moments[0].keys() == moments[1].keys()
        for number, kinds in moments[0].items():
            assert all(torch.equal(value, moments[1][number][kind]) for kind, value in kinds.items())
    move(*trained, steps=2)
    move(*other, steps=2)
    assert equal(weights_of(trained[0]), weights_of(other[0]))
    assert read_progress(checkpoint) == {**PROGRESS, "step": 2}


def test_a_checkpoint_holds_the_state_of_the_moment_it_was_asked_for(world, tmp_path, monkeypatch):
    trained, other = training(world, seed=0), training(world, seed=1)
    move(*trained)
    expected = weights_of(trained[0])
    writer, write = CheckpointWriter(tmp_path, world), FileSystemWriter.write_data

    def write_later(*args):
        move(*trained)
        return write(*args)

    monkeypatch.setattr(FileSystemWriter, "write_data", write_later)
    writer.save(1, *trained, progress={})
    writer.wait()
    load(latest(tmp_path), *other)
    assert equal(weights_of(other[0]), expected)
    assert not equal(weights_of(trained[0]), expected)


def test_weights_that_a_prediction_left_gathered_are_saved_as_ever(world, tmp_path):
    torch.manual_seed(0)
    objective = Objective(KangarooForConditionalGeneration(tiny()))
    allow_packed_rows(objective.model)
    shard(objective, world, compute_dtype=torch.float32)
    optimizer = torch.optim.AdamW(objective.parameters())
    move(objective.model, [optimizer])
    expected = weights_of(objective.model)
    words = Encoded(input_ids=[0, 11, 12], assistant_mask=[False, True, True], num_frames=[])
    row = lay_out(
        [PackingSample(number=0, conversations=(words,), times_s=np.zeros(0, dtype=np.float32))],
        context_tokens=3,
        pad_id=1,
        placeholder_id=9,
    )
    assert len(objective.predict(torch.zeros(0, 3, 56, 56), join([row]))) == 2
    model, _ = training(world, seed=1)
    load(save(tmp_path, world, (objective.model, [optimizer]), step=1), model)
    assert equal(weights_of(model), expected)


def test_weights_alone_can_be_loaded(world, tmp_path):
    trained, (model, _) = training(world, seed=0), training(world, seed=1)
    move(*trained)
    load(save(tmp_path, world, trained, step=1), model)
    assert equal(weights_of(model), weights_of(trained[0]))


def test_the_newest_two_stay_and_one_of_the_same_step_is_replaced(world, tmp_path):
    assert latest(tmp_path) is None
    trained = training(world, seed=0)
    writer = CheckpointWriter(tmp_path, world)
    for step in (9, 10, 100):
        writer.save(step, *trained, progress={})
    move(*trained)
    writer.save(100, *trained, progress={"again": True})
    writer.wait()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000010", "step-00000100"]
    assert read_progress(latest(tmp_path)) == {"again": True}
    other = training(world, seed=1)
    load(latest(tmp_path), *other)
    assert equal(weights_of(other[0]), weights_of(trained[0]))


def test_a_half_written_checkpoint_is_not_found_and_makes_room(world, tmp_path):
    (tmp_path / "step-00000003.unfinished").mkdir()
    (tmp_path / "step-00000002.old.unfinished").mkdir()
    (tmp_path / "step-00000003.unfinished" / "__0_0.distcp").write_bytes(b"half")
    assert latest(tmp_path) is None
    CheckpointWriter(tmp_path, world)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_ends_in_one_line(world, tmp_path, monkeypatch):
    def write_data(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(FileSystemWriter, "write_data", write_data)
    with pytest.raises(KangarooError, match=r"could not be written \(rank 0: No space left on device\)"):
        save(tmp_path, world, training(world, seed=0), step=1)
    assert latest(tmp_path) is None


@pytest.fixture
def checkpoint(world, tmp_path):
    trained = training(world, seed=0)
    move(*trained)
    return save(tmp_path, world, trained, step=1)


def test_a_checkpoint_of_another_model_is_refused_in_one_line(world, checkpoint):
    wider = training(world, seed=0, config=tiny(vocab_size=80))
    with pytest.raises(ModelError, match=r"of another model: lm_head.weight is \(64, 32\) there and \(80, 32\) here"):
        load(checkpoint, *wider)
    config = tiny()
    config.text_config.num_hidden_layers = 1
    with pytest.raises(ModelError, match=r"layers\.1\.input_layernorm\.weight is \(32,\) there and missing here"):
        load(checkpoint, *training(world, seed=0, config=config))


def test_a_checkpoint_of_other_trained_parts_is_refused_in_one_line(world, checkpoint):
    model, (muon, _) = training(world, seed=0)
    with pytest.raises(ModelError, match="moments of weights that do not train here"):
        load(checkpoint, model, (muon,))


def test_a_damaged_checkpoint_is_refused_in_one_line(world, checkpoint):
    trained = training(world, seed=0)
    (data,) = checkpoint.glob("*.distcp")
    whole = data.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", None):
        data.unlink() if broken is None else data.write_bytes(broken)
        with pytest.raises(
            ModelError, match=r"is damaged .*; remove it to go on from the checkpoint before it"
        ) as error:
            load(checkpoint, *trained)
        assert "\n" not in str(error.value)
    for damage in (b"not a pickle", b""):
        (checkpoint / ".metadata").write_bytes(damage)
        with pytest.raises(ModelError, match="is damaged"):
            load(checkpoint, *trained)
    (checkpoint / "progress.json").write_text('{"stage": 2')
    with pytest.raises(ModelError, match="is damaged"):
        read_progress(checkpoint)
