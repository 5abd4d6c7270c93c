import os
from collections import Counter

import numpy as np
import pytest
import torch
from ranks import on_ranks
from torch import distributed, nn
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode

from kangaroo.data.packing import PackingSample, join, pack
from kangaroo.dialogue.encoding import Encoded
from kangaroo.errors import OptionError
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.packed import allow_packed_rows
from kangaroo.model.presets import tiny
from kangaroo.training.loss import Objective
from kangaroo.training.parallel import (
    clip_gradients,
    compile_blocks,
    gather_weights,
    recompute,
    shard,
    start_world,
)
from kangaroo.training.recipe import Recompute

CONTEXT_TOKENS = 128
# the films of each row's samples
FILMED, OTHER, IMAGE, BARE = ((5,), (1, 2)), ((8,), ()), ((1,), ()), ((), ())
# what the ranks read in each scenario, row by row; with context parallelism both read all
SCENARIOS = {
    "other films": (FILMED, OTHER),
    "no film on one rank": (FILMED, BARE),
    "no film anywhere": (BARE, BARE),
    "shared rows": (FILMED, OTHER),
    "shared row of one image": (IMAGE,),
    "shared row without film": (BARE,),
    "only the bridge trains": (FILMED, BARE),
    "half precision": (FILMED, OTHER),
}


def network(seed=0):
    torch.manual_seed(seed)
    model = KangarooForConditionalGeneration(tiny())
    allow_packed_rows(model)
    return model


def conversation(films, *, num_words, seed):
    """Return words of noise about films, every other one said by the assistant."""
    config = tiny()
    ids = [config.visual_token_ids[token] for count in films for token in config.layout().tokens(count)]
    words = torch.randint(10, 60, (num_words,), generator=torch.Generator().manual_seed(seed)).tolist()
    mask = [False] * (1 + len(ids)) + [place % 2 == 0 for place in range(num_words)]
    return Encoded(input_ids=[0, *ids, *words], assistant_mask=mask, num_frames=list(films))


def rows_of(scenario):
    """Return each row of a scenario on its own."""
    rows = []
    for place, films in enumerate(SCENARIOS[scenario]):
        samples = [
            PackingSample(
                number=number,
                conversations=(
                    conversation(counts, num_words=14 + number, seed=10 * place + number),
                    conversation(counts, num_words=5, seed=100 + number),
                ),
                times_s=np.concatenate([np.zeros(0), *(np.arange(count) * 0.9 for count in counts)]).astype(np.float32),
                media=torch.randn(sum(counts), 3, 56, 56, generator=torch.Generator().manual_seed(place)),
            )
            for number, counts in enumerate(films)
        ]
        (row,) = pack(samples, context_tokens=CONTEXT_TOKENS, pad_id=1, placeholder_id=tiny().video_token_id)
        rows.append(row)
    return rows


def backward(objective, rows):
    """Return the summed loss; gradients are those of the mean over 50 tokens."""
    packed = join(rows)
    loss = objective(torch.cat([torch.zeros(0, 3, 56, 56), *packed.media]), packed)
    (loss / 50).backward()
    return loss.detach()


def gradients(module):
    found = {name: weight.grad for name, weight in module.named_parameters() if weight.grad is not None}
    whole = {name: grad.full_tensor() if isinstance(grad, DTensor) else grad for name, grad in found.items()}
    return {name: grad.clone() for name, grad in whole.items()}


def freeze(model):
    for name, weight in model.named_parameters():
        weight.requires_grad_("projector" in name or "patchify" in name)


def run(scenario, world):
    """Return what one scenario gives on all ranks together, or on one."""
    model = network()
    if scenario == "only the bridge trains":
        freeze(model)
    if scenario == "no film on one rank":
        recompute(model, Recompute.SELECTIVE)
    objective = Objective(model, chunk_tokens=7, context=world.context)
    is_half = scenario == "half precision" and world.size > 1
    shard(objective, world, compute_dtype=torch.bfloat16 if is_half else torch.float32)
    rows = rows_of(scenario)
    # a look between steps leaves no trace
    whole = join(rows)
    predicted = objective.predict(torch.cat([torch.zeros(0, 3, 56, 56), *whole.media]), whole)
    mine = rows if world.size == 1 or world.context is not None else [rows[world.rank]]
    loss = world.sum(backward(objective, mine))
    grads = gradients(objective)
    assert all(weight.dtype == torch.float32 for weight in objective.parameters())
    return {
        "loss": loss,
        "predicted": predicted,
        "gradients": grads,
        "norm": clip_gradients(objective, 0.1),
        "clipped": gradients(objective),
        "targets": world.sum_over_rows(sum(len(row.supervised) for row in mine))[0],
    }


def run_all(folder):
    """On every rank: all scenarios, one after the other."""
    worlds = {False: start_world("cpu"), True: start_world("cpu", context_parallel=2)}
    assert [world.data_size for world in worlds.values()] == [2, 1]
    found = {name: run(name, worlds[name.startswith("shared")]) for name in SCENARIOS}
    world = worlds[False]
    # the first rank's weights are whole, wherever they lie
    objective = Objective(network())
    shard(objective, world, compute_dtype=torch.float32)
    found["whole"] = gather_weights(objective.model, world)
    assert bool(found["whole"]) == (world.rank == 0)
    with pytest.raises(OptionError, match="context_gpus = 3 does not divide the 2 processes"):
        start_world("cpu", context_parallel=3)
    if world.rank == 0:
        torch.save(found, folder / "found.pt")


@pytest.fixture(scope="module")
def on_two_ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    done = on_ranks(run_all, folder)
    assert done.returncode == 0, done.stderr
    return torch.load(folder / "found.pt")


@pytest.fixture(scope="module")
def world():
    yield start_world("cpu")
    distributed.destroy_process_group()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_two_ranks_give_the_loss_and_the_gradients_of_one(on_two_ranks, world, scenario):
    ours, alone = on_two_ranks[scenario], run(scenario, world)
    rough = scenario == "half precision"
    torch.testing.assert_close(ours["loss"], alone["loss"], rtol=1e-2 if rough else 1e-5, atol=0)
    assert torch.equal(ours["predicted"], alone["predicted"]) or rough
    assert ours["targets"] == alone["targets"] > 0
    assert ours["gradients"].keys() == alone["gradients"].keys()
    for kind in ("gradients", "clipped"):
        for name, gradient in ours[kind].items():
            expected = alone[kind][name]
            tolerance = (0.1 if rough else 1e-5) * float(expected.abs().max()) + 1e-7
            torch.testing.assert_close(
                gradient, expected, rtol=1e-5, atol=tolerance, msg=lambda text, of=name: f"{of}: {text}"
            )
    torch.testing.assert_close(ours["norm"], alone["norm"], rtol=2e-2 if rough else 1e-5, atol=0)
    assert float(alone["norm"]) > 0.1


def test_a_world_of_one_gives_what_the_network_gives_unshared(world):
    plain = Objective(network(), chunk_tokens=7)
    rows = rows_of("other films")
    loss = backward(plain, rows)
    shared = run("other films", world)
    assert torch.equal(shared["loss"], loss)
    for name, gradient in gradients(plain).items():
        torch.testing.assert_close(shared["gradients"][name], gradient, rtol=1e-6, atol=1e-7)


def test_scenarios_are_what_they_are_called():
    for row in rows_of("shared rows"):
        ends = np.cumsum(row.lengths)
        assert not np.isin(CONTEXT_TOKENS // 2, ends), "a conversation lies in both slices"
    assert [bool(row.num_frames) for row in rows_of("no film on one rank")] == [True, False]
    assert rows_of("shared row of one image")[0].num_frames == (1,)
    # the second rank has no group to encode
    assert sum(map(tiny().layout().num_groups, (1,))) == 1


def test_weights_gathered_from_two_ranks_are_those_that_were_shared(on_two_ranks):
    expected = network().state_dict()
    assert on_two_ranks["whole"].keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in on_two_ranks["whole"].items())


class Operations(TorchDispatchMode):
    """Counts operations by name."""

    def __init__(self):
        super().__init__()
        self.count = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count[func._schema.name] += 1
        return func(*args, **(kwargs or {}))


def test_recomputing_gives_equal_gradients_and_repeats_what_it_says():
    found, counts = {}, {}
    for mode in Recompute:
        model = network()
        names = [name for name, _ in model.named_parameters()]
        recompute(model, mode)
        assert [name for name, _ in model.named_parameters()] == names
        with Operations() as operations:
            backward(Objective(model), rows_of("other films"))
        found[mode], counts[mode] = gradients(model), operations.count
    for mode in (Recompute.SELECTIVE, Recompute.FULL):
        assert all(torch.equal(gradient, found[mode][name]) for name, gradient in found[Recompute.NONE].items())
    none, selective, full = counts.values()
    products = ("aten::mm", "aten::addmm")
    assert sum(none[name] for name in products) == sum(selective[name] for name in products)
    assert sum(none[name] for name in products) < sum(full[name] for name in products)
    attention = "aten::_scaled_dot_product_flash_attention_for_cpu"
    assert none[attention] == selective[attention] < full[attention]
    assert none["aten::silu"] < selective["aten::silu"] == full["aten::silu"]


def test_recomputing_leaves_answers_as_they_are():
    plain, saving = network().eval(), network().eval()
    recompute(saving, Recompute.SELECTIVE)
    prompt = {"input_ids": torch.tensor([[0, 11, 12, 13]]), "attention_mask": torch.ones(1, 4, dtype=torch.long)}
    said = [model.generate(**prompt, max_new_tokens=4) for model in (plain, saving)]
    assert torch.equal(*said)


def test_context_parallelism_needs_ranks_that_it_divides(world):
    with pytest.raises(OptionError, match="context_gpus = 2 does not divide the 1 processes of this run"):
        start_world("cpu", context_parallel=2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_missed_in_one_line(monkeypatch):
    monkeypatch.setitem(os.environ, "LOCAL_RANK", "3")
    with pytest.raises(OptionError, match="process 3 of this machine has no GPU of its own, torch sees 0"):
        start_world("cuda")


def test_norms_of_no_more_than_the_limit_leave_gradients_alone():
    layer = nn.Linear(2, 2)
    layer(torch.ones(1, 2)).sum().backward()
    before = layer.weight.grad.clone()
    assert float(clip_gradients(layer, 100.0)) == pytest.approx(6**0.5)
    assert torch.equal(layer.weight.grad, before)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("mode", Recompute)
def test_on_a_gpu_compiled_blocks_give_the_gradients_of_plain_ones(mode):
    world = start_world("cuda")
    packed = join(rows_of("other films"))
    pixels = torch.cat(list(packed.media)).to(world.device)
    found = []
    for is_compiled in (False, True):
        objective = Objective(network())
        if is_compiled:
            recompute(objective.model, mode)
            compile_blocks(objective.model)
        shard(objective, world, compute_dtype=torch.bfloat16)
        for _ in range(2):
            loss = objective(pixels, packed)
            loss.backward()
        found.append((loss.detach(), gradients(objective)))
    (plain, expected), (compiled, grads) = found
    torch.testing.assert_close(compiled, plain, rtol=1e-2, atol=0)
    for name, gradient in grads.items():
        torch.testing.assert_close(gradient, expected[name], rtol=0.1, atol=0.05 * float(expected[name].abs().max()))
    distributed.destroy_process_group()
