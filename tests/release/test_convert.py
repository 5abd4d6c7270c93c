"""The published layout becomes a model of ours with the same logits."""

import json

import pytest
import torch
from converting import DEEP, PATCHIFY, convert, why
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

import kangaroo
from kangaroo.cli import run
from kangaroo.errors import ModelError, OptionError
from kangaroo.model.layout import VisualToken
from kangaroo.model.presets import kangaroo_8b
from kangaroo.release.convert import plan_conversion
from kangaroo.release.model import expected_shapes
from kangaroo.release.reading import Checkpoint


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
