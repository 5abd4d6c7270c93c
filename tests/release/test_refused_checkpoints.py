"""What is not as the published layout says is named and refused; no tensor vanishes and no code is run."""

import math
import os
import pickle
import zipfile

import pytest
import torch
from converting import PATCHIFY, convert, why

from kangaroo.release.convert import plan_conversion


def test_a_stored_rotary_table_must_be_the_one_that_is_computed(released, original, tmp_path):
    from kangaroo.model.vision import rotary_angles

    angles = rotary_angles(4, head_width=64, theta=10000.0, pretrained_grid=16, device=torch.device("cpu"))[1:]
    tables = {
        f"vision_tower.{place}rope.freqs_{name}": getattr(angles, name)().repeat_interleave(2, dim=-1).bfloat16()
        for place in ("", "blocks.1.attn.")
        for name in ("cos", "sin")
    }
    plan = convert(released(tables), tmp_path / "ours")
    assert "6 tensors" in [one.value for one in plan.decisions if one.what == "not needed"]  # two are the head's
    for name, table in tables.items():
        for wrong in (table.flip(-1), table * torch.nan, table.long()):
            assert why(released({**tables, name: wrong}), tmp_path / "no").startswith(f"{name}: the table [16, 64]")
    assert "rope.freqs_tan" in why(released({"vision_tower.rope.freqs_tan": torch.zeros(2)}), tmp_path / "no")


def test_a_llamas_stored_rotary_tables_are_counted_and_must_be_those_of_its_theta(released, tmp_path):
    name = "model.layers.1.self_attn.rotary_emb.inv_freq"
    table = (500000.0 ** -(torch.arange(0, 16, 2) / 16)).bfloat16()
    plan = convert(released({name: table}), tmp_path / "ours")
    assert "1 tensors" in [one.value for one in plan.decisions if one.what == "not needed"]
    for wrong in (torch.full((8,), 7.0), table[:4], 10000.0 ** -(torch.arange(0, 16, 2) / 16)):
        assert why(released({name: wrong}), tmp_path / "no").startswith(f"{name}: the table [")
    for other in ("gate.rotary_emb.inv_freq", "mm_projector.rotary_emb.inv_freq"):
        assert f"not expected: {other}" in why(released({other: table}), tmp_path / "no")


def test_a_tensor_without_a_place_is_refused_unless_allowed_by_name(released, tmp_path):
    folder = released({"model.layers.7.extra": torch.zeros(3, dtype=torch.bfloat16), "gate": torch.zeros(2)})
    said = why(folder, tmp_path / "ours")
    assert "2 tensors are not expected" in said
    assert "gate [2] float32" in said
    assert "model.layers.7.extra [3] bfloat16" in said
    assert "1 tensors are not expected: gate" in why(folder, tmp_path / "ours", allow=["model.layers.7.*"])
    plan = convert(folder, tmp_path / "ours", allow=["model.layers.7.*", "gate"])
    assert [one.value for one in plan.decisions if one.what == "left out"] == ["model.layers.7.extra", "gate"]


def test_a_wrong_shape_names_the_tensor_and_both_shapes(released, tmp_path):
    name = "model.layers.1.mlp.down_proj.weight"
    said = why(released({name: torch.zeros(64, 95, dtype=torch.bfloat16)}), tmp_path / "ours")
    assert said.startswith(f"{name}: [64, 95] in the checkpoint")
    assert "[64, 96]" in said


@pytest.mark.parametrize("dtype", [torch.int8, torch.float32])
def test_a_wrong_precision_names_the_tensor_and_both(released, tmp_path, dtype):
    name = "model.layers.0.self_attn.k_proj.weight"
    folder = released({name: torch.zeros(32, 64, dtype=dtype)})
    said = why(folder, tmp_path / "ours")
    assert said.startswith(f"{name}: {str(dtype).removeprefix('torch.')} in the checkpoint, expected bfloat16")
    if dtype is torch.int8:
        why(folder, tmp_path / "ours", allow=[name])
    else:
        convert(folder, tmp_path / "ours", allow=[name])


def test_a_missing_tensor_is_named_with_its_shape(released, tmp_path):
    said = why(released({"model.layers.0.mlp.up_proj.weight": None}), tmp_path / "ours")
    assert said == (
        "1 tensors are missing from the checkpoint: model.language_model.layers.0.mlp.up_proj.weight [96, 64]"
    )
    assert "0 tensors of five axes" in why(released({PATCHIFY: None}), tmp_path / "ours")
    two = released({"other": torch.zeros(2, 2, 2, 2, 2, dtype=torch.bfloat16)})
    assert f"{PATCHIFY}, other" in why(two, tmp_path / "ours")
    assert "0 tensors called" in why(released({"vision_tower.patch_embed.proj.weight": None}), tmp_path / "ours")


@pytest.mark.parametrize(
    ("value", "kind"), [(3, "int"), (torch.zeros(2).to_sparse(), "Tensor"), (torch.zeros(2, device="meta"), "Tensor")]
)
def test_what_is_no_plain_tensor_is_named(released, released_weights, tmp_path, value, kind):
    folder = released()
    torch.save({**released_weights, "step": value}, folder / "pytorch_model.bin")
    assert f"step is a {kind}, not a plain tensor" in why(folder, tmp_path / "ours")


def beside(weights):
    return {"state_dict": weights, "gate.weight": torch.zeros(2)}


def two_networks(weights):
    return {"state_dict": weights, "model": dict(weights)}


def with_and_without_module(weights):
    return {**weights, "module.lm_head.weight": torch.zeros(2)}


def unprintable(weights):
    return {**weights, "a\nerror: all is well": torch.zeros(2)}


def nested(weights):
    return {**weights, "step": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.strided)}


@pytest.mark.parametrize(
    ("wrapped", "said"),
    [
        (beside, "in 'state_dict' and 'gate.weight' beside it"),
        (two_networks, "in 'state_dict' and 'model' beside it"),
        (with_and_without_module, "holds lm_head.weight twice"),
        (unprintable, r"'a\nerror: all is well', which is no tensor's name"),
        (nested, "step is a Tensor, not a plain tensor"),
    ],
)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_no_tensor_vanishes_while_a_file_is_unwrapped(released, released_weights, tmp_path, wrapped, said):
    folder = released()
    torch.save(wrapped(released_weights), folder / "pytorch_model.bin")
    assert said in why(folder, tmp_path / "ours")


def pickled(module, name, argument):
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + argument + b"\x85R."


@pytest.mark.parametrize(
    ("pickle", "said"),
    [
        # a file of a kilobyte that would take four gigabytes
        (pickled("__builtin__", "bytearray", b"\x8a\x05" + (4 * 10**9).to_bytes(5, "little")), "carries code"),
        (pickled("torch._utils", "_rebuild_tensor_v2", b"K\x05"), "truncated or damaged"),
        (pickled("torch", "Size", b"X\x01\x00\x00\x00a"), "truncated or damaged"),
        (b"\x80\x02K\x05Q.", "truncated or damaged"),
        (b"\x80\x02}", "truncated or damaged"),
        (b"", "truncated or damaged"),
        (b"\x80\x02].", "holds a list, not tensors by name"),
        (b"\x80\x02]." + bytes((64 << 20) + 1), "truncated or damaged (it tells more than weights need)"),
    ],
    ids=range(8),
)
def test_a_pickle_of_nonsense_is_one_clear_error(released, tmp_path, pickle, said):
    folder = released()
    with zipfile.ZipFile(folder / "pytorch_model.bin") as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as crafted:
        for name, content in parts.items():
            crafted.writestr(name, pickle if name.endswith("/data.pkl") else content)
    assert said in why(folder, tmp_path / "ours")


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("pos_embed", (1, 0, 128), "none of them empty"),
        ("pos_embed", (1, 1, 128), "expected [1, 2, 128]"),
        ("pos_embed", (2, 17, 128), "expected [1, 17, 128]"),
        ("patch_embed.proj.weight", (128, 3, 0, 0), "none of them empty"),
        ("patch_embed.proj.weight", (0, 3, 14, 14), "none of them empty"),
    ],
)
def test_a_tower_of_impossible_sizes_is_refused(released, tmp_path, name, shape, said):
    message = why(released({f"vision_tower.{name}": torch.zeros(shape, dtype=torch.bfloat16)}), tmp_path / "ours")
    assert f"{name}: {list(shape)} in the checkpoint" in message
    assert said in message


LLAMA_3_1 = {"rope_type": "llama3", "factor": 8.0, "rope_theta": 500000.0, "original_max_position_embeddings": 8192}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rope_parameters", LLAMA_3_1),
        ("rope_parameters", 5),
        ("rope_parameters", {"partial_rotary_factor": 0.5}),
        ("rope_scaling", {"type": "linear", "factor": 2.0}),
        ("hidden_act", "gelu"),
        ("attention_bias", True),
        ("mlp_bias", True),
        ("head_dim", 8),
        ("rope_theta", math.nan),
        ("rope_theta", math.inf),
        ("rope_theta", -1.0),
        ("rope_theta", "wide"),
        ("rms_norm_eps", None),
        ("num_attention_heads", 0),
        ("num_key_value_heads", None),
        ("hidden_size", 0),
        ("vocab_size", -3),
        ("num_hidden_layers", 2.5),
    ],
)
def test_a_setting_that_makes_another_network_is_named(released, tmp_path, name, value):
    said = why(released(settings={name: value}), tmp_path / "ours")
    assert f"config.json says {name} {value!r}, expected" in said


def test_two_values_of_theta_are_refused_and_one_is_read_in_either_place(released, tmp_path):
    plain = {"rope_type": "default", "rope_theta": 10000.0}
    assert "expected that of rope_parameters" in why(released(settings={"rope_parameters": plain}), tmp_path / "ours")
    plan = plan_conversion(released(settings={"rope_parameters": plain, "rope_theta": None}))
    assert plan.config.text_config.rope_parameters["rope_theta"] == 10000.0


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "[]"])
@pytest.mark.parametrize("file", ["config.json", "pytorch_model.bin.index.json"])
def test_settings_of_nonsense_are_one_clear_error(released, tmp_path, file, content):
    folder = released()
    (folder / file).write_text(content)
    if "index" in file:
        (folder / "pytorch_model.bin").unlink()
    assert file in why(folder, tmp_path / "ours")


class Spy:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_code_in_a_pickle_is_refused_and_never_run(released, released_weights, tmp_path, write):
    folder = released()
    write({**released_weights, "x": Spy(tmp_path / "was-run")}, folder / "pytorch_model.bin")
    said = why(folder, tmp_path / "ours")
    assert "nothing of it was run" in said
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_told(released, tmp_path, kept):
    file = released() / "pytorch_model.bin"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * kept)])
    assert f"{file}: " in why(file.parent, tmp_path / "ours")
