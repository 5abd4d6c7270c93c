"""The published layout becomes a model of ours with the same logits; what is not as expected is named and refused."""

import json
import math
import os
import pickle
import resource
import zipfile
from pathlib import Path

import pytest
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

import kangaroo
from kangaroo.cli import run
from kangaroo.errors import ModelError, OptionError
from kangaroo.model.layout import VisualToken
from kangaroo.model.presets import kangaroo_8b
from kangaroo.release.convert import plan_conversion
from kangaroo.release.model import expected_shapes, whole_folder
from kangaroo.release.reading import Checkpoint

PATCHIFY, DEEP = "patchify_conv.weight", "mm_projector.2.weight"


def convert(folder, out, **options):
    plan = plan_conversion(folder, **options)
    plan.write(out)
    return plan


def why(folder, out, **options):
    """Convert what cannot be converted, and return the one line that says why. Nothing is left."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(ModelError) as caught:
        convert(folder, out, **options)
    assert sorted(out.parent.iterdir()) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def film_inputs(config):
    generator = torch.Generator().manual_seed(1)
    layout = config.layout()
    ids = torch.randint(10, 200, (1, 8 + layout.num_visual_tokens(4)), generator=generator)
    ids[0, 4 : 4 + layout.num_visual_tokens(4)] = config.video_token_id
    pixels = torch.randn(1, 4, 3, 56, 56, generator=generator)
    return {"input_ids": ids, "pixel_values_videos": pixels, "video_times_s": torch.arange(4.0)[None]}


def test_every_logit_about_a_film_is_the_originals(released, original, tmp_path):
    convert(released(), tmp_path / "ours")
    loaded = kangaroo.load(tmp_path / "ours", device="cpu", dtype=torch.float32)
    inputs = film_inputs(original.config)
    with torch.inference_mode():
        assert torch.equal(loaded.model(**inputs).logits, original(**inputs).logits)


def test_words_are_read_as_transformers_own_llama_reads_them(released, released_weights, tmp_path):
    folder = released()
    convert(folder, tmp_path / "ours")
    settings = json.loads((folder / "config.json").read_text())
    theirs = LlamaForCausalLM(LlamaConfig(**{**settings, "architectures": None, "auto_map": None})).eval()
    llama = {name: w.float() for name, w in released_weights.items() if name.startswith(("model.", "lm_head."))}
    theirs.float().load_state_dict(llama, strict=True)
    ids = torch.arange(10, 60)[None]
    ours = kangaroo.load(tmp_path / "ours", device="cpu", dtype=torch.float32).model
    with torch.inference_mode():
        assert torch.equal(ours(input_ids=ids).logits, theirs(input_ids=ids).logits)


def test_what_the_paper_leaves_open_is_decided_by_looking(released, released_weights, tmp_path):
    plan = plan_conversion(released())
    said = {decision.what: decision.value for decision in plan.decisions}
    assert said["patchify"] == "depthwise 2x2x2, with bias"
    assert said["projector"] == "mlp2x_gelu"
    assert said["vision tower"] == "2 blocks of 128, 2 heads, 56 px"
    assert said["<vi_pad>"] == "9"
    assert said["context"] == "22528 tokens"
    changed = {"patchify_conv.bias": None, DEEP: None, "mm_projector.2.bias": None}
    changed |= {"vision_tower.norm.weight": None, "vision_tower.norm.bias": None}
    plan = convert(released(changed), tmp_path / "ours")
    said = {decision.what: decision.value for decision in plan.decisions}
    assert said["patchify"] == "depthwise 2x2x2, without bias"
    assert said["projector"] == "mlp1x_gelu"
    assert (plan.config.patchify_bias, plan.config.projector_type) == (False, "mlp1x_gelu")
    kangaroo.load(tmp_path / "ours", device="cpu")


@pytest.mark.parametrize("name", ["x.y", "vision_tower.fold", "model.fold"])
def test_the_fold_is_found_by_its_axes_whatever_its_name(released, released_weights, tmp_path, name):
    changed = {one: None for one in released_weights if one.startswith("patchify_conv.")}
    changed |= {f"{name}.{part}": released_weights[f"patchify_conv.{part}"] for part in ("weight", "bias")}
    convert(released(changed), tmp_path / "ours")
    kept = Checkpoint.of_folder(tmp_path / "ours").read("model.patchify.conv.weight")
    assert torch.equal(kept, released_weights[PATCHIFY])


def test_a_longer_prefix_of_the_tower_is_found(released, released_weights, tmp_path):
    tower = {name: w for name, w in released_weights.items() if name.startswith("vision_tower.")}
    changed = dict.fromkeys(tower) | {name.replace(".", ".inner.", 1): weight for name, weight in tower.items()}
    convert(released(changed), tmp_path / "ours")
    kangaroo.load(tmp_path / "ours", device="cpu")


def test_shards_and_safetensors_are_read_too(released, released_weights, tmp_path):
    folder = released()
    expected = convert(folder, tmp_path / "one").weights
    (folder / "pytorch_model.bin").unlink()
    names = sorted(released_weights)
    for number, part in enumerate((names[::2], names[1::2])):
        torch.save({name: released_weights[name].clone() for name in part}, folder / f"pytorch_model-{number}.bin")
    homes = {name: f"pytorch_model-{place % 2}.bin" for place, name in enumerate(names)}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": homes}))
    convert(folder, tmp_path / "two")
    one, two = (Checkpoint.of_folder(tmp_path / name) for name in ("one", "two"))
    assert one.specs == two.specs
    assert len(expected) == len(one.specs)
    assert all(torch.equal(one.read(name), two.read(name)) for name in one.specs)
    (folder / "pytorch_model-1.bin").unlink()
    assert "pytorch_model-1.bin: missing" in why(folder, tmp_path / "three")


def test_answers_end_and_are_sampled_as_published(released, tmp_path):
    convert(released(), tmp_path / "ours")
    rule = GenerationConfig.from_pretrained(tmp_path / "ours")
    assert (rule.do_sample, rule.temperature, rule.top_p, rule.eos_token_id) == (True, 0.6, 0.9, [1, 4])
    assert rule.suppress_tokens == [5, 6, 7, 8, 9]


def test_many_shards_hold_what_one_holds(released, tmp_path, monkeypatch):
    monkeypatch.setattr("kangaroo.release.model.SHARD_BYTES", 50_000)
    convert(released(), tmp_path / "ours")
    files = sorted((tmp_path / "ours").glob("model-*.safetensors"))
    assert len(files) > 5
    assert files[0].name == f"model-00001-of-{len(files):05}.safetensors"
    kangaroo.load(tmp_path / "ours", device="cpu")
    files[2].unlink()
    with pytest.raises(ModelError, match="weights cannot be read"):
        kangaroo.load(tmp_path / "ours", device="cpu")


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


def test_no_folder_that_is_there_is_written_over(released, tmp_path):
    (tmp_path / "ours").mkdir()
    assert "there already" in why(released(), tmp_path / "ours")


def test_what_stands_beside_the_new_folder_is_never_touched(released, tmp_path):
    source = released().rename(tmp_path / "ours.unfinished")
    convert(source, tmp_path / "ours")
    assert {path.name for path in tmp_path.iterdir()} == {"ours", "ours.unfinished"}
    assert (source / "pytorch_model.bin").is_file()
    (tmp_path / "link").symlink_to("nowhere")
    assert "there already" in why(source, tmp_path / "link")


def test_of_two_that_write_one_folder_the_second_is_told_and_the_first_is_whole(tmp_path):
    late = whole_folder(tmp_path / "ours", num_bytes=0)
    (late.__enter__() / "config.json").touch()
    with whole_folder(tmp_path / "ours", num_bytes=0) as early:
        (early / "weights").touch()
    with pytest.raises(ModelError, match="there already"):
        late.__exit__(None, None, None)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["ours", "ours/weights"]
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_that_is_there_is_told_before_anything_is_fetched(tmp_path, capsys):
    (tmp_path / "ours").mkdir()
    out = str(tmp_path / "ours")
    for verb in (
        ["convert", "nobody/nothing", out],
        ["export", "nobody/nothing", out],
        ["assemble", "--vision", "no.pt", "--language", "nobody/nothing", "--out", out],
    ):
        assert run(verb) == 2
        assert "there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "said"), [("~nobodyhere/ours", "no user '~nobodyhere'"), ("o" * 300, "cannot be written")]
)
def test_a_name_that_no_folder_can_have_is_one_clear_error(tmp_path, monkeypatch, out, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=said), whole_folder(Path(out), num_bytes=0):
        pass
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_at_the_tokenizer_is_told_too(released, tmp_path, monkeypatch):
    monkeypatch.setattr("kangaroo.release.model.NewModel._write_weights", lambda *_: None)
    plan = plan_conversion(released())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, limits[1]))
    try:
        with pytest.raises(ModelError, match=r"cannot be written \(File too large"):
            plan.write(tmp_path / "ours")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_takes_no_more_leaves_nothing(released, tmp_path):
    folder = released()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # no file may grow further
    try:
        said = why(folder, tmp_path / "ours")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "ours: cannot be written" in said
    assert "nothing was left of it" in said


def test_too_little_room_is_said_before_anything_is_written(tmp_path):
    with (
        pytest.raises(ModelError, match="the disk has"),
        whole_folder(tmp_path / "ours", num_bytes=10**18),
    ):
        raise AssertionError("something was written")
    assert not list(tmp_path.iterdir())


def test_ids_come_from_the_tokenizer_or_from_the_user(released, tmp_path):
    folder = released(reserved=(VisualToken.END_OF_FRAME, VisualToken.PATCH))
    said = why(folder, tmp_path / "ours")
    assert "the tokenizer has no <eof>" in said
    assert "--token '<eof>=ID'" in said
    plan = plan_conversion(folder, tokens={"<eof>": 9})
    assert (plan.config.eof_token_id, plan.config.video_token_id) == (9, 6)


def test_a_tokenizer_with_more_words_than_the_model_is_refused(released, released_weights, tmp_path):
    narrow = {name: released_weights[name][:200] for name in ("model.embed_tokens.weight", "lm_head.weight")}
    said = why(released(narrow, settings={"vocab_size": 200}), tmp_path / "ours")
    assert "the tokenizer's ids go up to 422, but config.json says vocab_size 200" in said


def test_a_visual_token_cannot_take_the_id_of_a_turns_marks(released):
    with pytest.raises(OptionError, match=r"gives <eof> the id 4, which is <\|eot_id\|>'s"):
        plan_conversion(released(), tokens={"<eof>": 4})


def test_the_command_prints_its_table(released, tmp_path, capsys):
    assert run(["convert", str(released()), str(tmp_path / "ours")]) == 0
    out = capsys.readouterr().out
    assert "patchify" in out
    assert "depthwise 2x2x2" in out
    assert json.loads((tmp_path / "ours" / "origin.json").read_text())["decisions"][0]["what"] == "vision tower"
    assert run(["convert", str(tmp_path), str(tmp_path / "ours2")]) == 2
    assert run(["convert", str(released()), str(tmp_path / "ours2"), "--token", "<eof>"]) == 2


def published_shapes():
    """Every tensor of the published file that the network uses, written down by hand."""
    shapes = {
        "model.embed_tokens.weight": [128256, 4096],
        "lm_head.weight": [128256, 4096],
        "model.norm.weight": [4096],
    }
    for number in range(32):
        layer = f"model.layers.{number}."
        shapes |= {f"{layer}self_attn.{name}_proj.weight": [4096, 4096] for name in "qo"}
        shapes |= {f"{layer}self_attn.{name}_proj.weight": [1024, 4096] for name in "kv"}
        shapes |= {f"{layer}mlp.{name}_proj.weight": [14336, 4096] for name in ("gate", "up")}
        shapes |= {f"{layer}mlp.down_proj.weight": [4096, 14336]}
        shapes |= {f"{layer}{name}_layernorm.weight": [4096] for name in ("input", "post_attention")}
    tower = "vision_tower."
    shapes |= {f"{tower}cls_token": [1, 1, 1024], f"{tower}pos_embed": [1, 1025, 1024]}
    shapes |= {f"{tower}patch_embed.proj.weight": [1024, 3, 14, 14], f"{tower}patch_embed.proj.bias": [1024]}
    shapes |= {f"{tower}norm.weight": [1024], f"{tower}norm.bias": [1024]}
    for number in range(24):
        block = f"{tower}blocks.{number}."
        for norm in ("norm1", "norm2", "attn.inner_attn_ln"):
            shapes |= {f"{block}{norm}.weight": [1024], f"{block}{norm}.bias": [1024]}
        shapes |= {f"{block}attn.{name}_proj.weight": [1024, 1024] for name in "qkv"}
        shapes |= {f"{block}attn.{name}_bias": [1024] for name in "qv"}
        shapes |= {f"{block}attn.proj.weight": [1024, 1024], f"{block}attn.proj.bias": [1024]}
        shapes |= {f"{block}mlp.{name}.weight": [2730, 1024] for name in ("w1", "w2")}
        shapes |= {f"{block}mlp.{name}.bias": [2730] for name in ("w1", "w2")}
        shapes |= {f"{block}mlp.ffn_ln.weight": [2730], f"{block}mlp.ffn_ln.bias": [2730]}
        shapes |= {f"{block}mlp.w3.weight": [1024, 2730], f"{block}mlp.w3.bias": [1024]}
    shapes |= {"mm_projector.0.weight": [4096, 1024], "mm_projector.0.bias": [4096]}
    shapes |= {"mm_projector.2.weight": [4096, 4096], "mm_projector.2.bias": [4096]}
    return shapes | {"patchify_conv.weight": [1024, 1, 2, 2, 2], "patchify_conv.bias": [1024]}


def test_at_published_sizes_every_name_and_shape_has_its_place(layout):
    ours = {layout.released_name(name): list(shape) for name, shape in expected_shapes(kangaroo_8b()).items()}
    assert ours == published_shapes()
