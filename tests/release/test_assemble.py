"""Public parts make a model that training starts from: each tensor where it belongs, new parts by the stated rules."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import kangaroo
from kangaroo.cli import run
from kangaroo.errors import KangarooError
from kangaroo.model.layout import VisualToken
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import TokenIds
from kangaroo.model.vision import resize_positions
from kangaroo.release.assemble import plan_assembly
from kangaroo.release.reading import Checkpoint

WORDS = "model.embed_tokens.weight"


@pytest.fixture
def parts(tmp_path, original, released_weights, layout, tiny_tokenizer):
    """EVA's file with its text side, half precision as published; a folder of Llama with five free slots."""
    eva = {
        name.replace("vision_tower.", "visual."): weight.half()
        for name, weight in released_weights.items()
        if name.startswith("vision_tower.")
    }
    eva |= {"text.positional_embedding": torch.zeros(7, 8), "logit_scale": torch.tensor(4.6)}
    torch.save({"module": eva}, tmp_path / "eva.pt")
    folder = tmp_path / "llama"
    folder.mkdir()
    layout.write_settings(folder, original.config, layout.reserve(tiny_tokenizer, tuple(VisualToken)), TokenIds())
    llama = {name: w for name, w in released_weights.items() if name.startswith(("model.", "lm_head."))}
    save_file(llama, folder / "model.safetensors")
    return tmp_path / "eva.pt", folder


def assembled(parts, out, **options):
    plan_assembly(*parts, **{"image_size_px": 56, **options}).write(out)
    return Checkpoint.of_folder(out)


def test_every_tensor_of_the_parts_is_where_it_belongs(parts, released_weights, tmp_path):
    made = assembled(parts, tmp_path / "ours")
    for name in made.specs:
        if name.startswith("model.vision_tower."):
            expected = released_weights[name.removeprefix("model.")].half().bfloat16()
        elif name.startswith("model.multi_modal_projector.") or name.endswith("embed_tokens.weight"):
            continue
        else:
            expected = released_weights[name.replace("model.language_model.", "model.", 1)]
        assert torch.equal(made.read(name), expected), name


def test_new_parts_follow_the_stated_rules(parts, released_weights, tmp_path):
    made = assembled(parts, tmp_path / "ours")
    table, before = made.read("model.language_model.embed_tokens.weight"), released_weights[WORDS]
    rest = torch.ones(len(table), dtype=torch.bool)
    rest[5:10] = False
    assert torch.equal(table[rest], before[rest])
    torch.testing.assert_close(table[5:10].float(), before.float().mean(dim=0).expand(5, -1), rtol=0.01, atol=1e-3)
    assert not made.read("model.multi_modal_projector.2.bias").any()
    matrix = made.read("model.multi_modal_projector.2.weight").float()
    assert 0.018 < matrix.std() < 0.022
    again = assembled(parts, tmp_path / "again")
    assert torch.equal(again.read("model.multi_modal_projector.2.weight").float(), matrix)
    other = assembled(parts, tmp_path / "other", seed=1)
    assert not torch.equal(other.read("model.multi_modal_projector.2.weight").float(), matrix)


@pytest.mark.parametrize("size_px", [28, 84, 112])
def test_positions_are_resized_for_the_first_frames(parts, released_weights, tmp_path, size_px):
    made = assembled(parts, tmp_path / "ours", image_size_px=size_px)
    before = released_weights["vision_tower.pos_embed"].half().float()
    expected = resize_positions(before, side=size_px // 14).bfloat16()
    assert torch.equal(made.read("model.vision_tower.pos_embed"), expected)
    assert expected.shape[1] == 1 + (size_px // 14) ** 2


def test_what_is_made_loads_and_its_frames_are_folded_when_training_asks(parts, tmp_path):
    assembled(parts, tmp_path / "ours")
    answerer = kangaroo.load(tmp_path / "ours", device="cpu")
    assert answerer.processor.layout.tokens_per_group == 16
    network = KangarooForConditionalGeneration.from_pretrained(tmp_path / "ours")
    network.model.set_patchify("depthwise")
    assert float(network.model.patchify.conv.weight.detach().mean()) == 1 / 8
    vocabulary = answerer.processor.tokenizer.get_vocab()
    assert [vocabulary[token] for token in VisualToken] == [5, 6, 7, 8, 9]


def test_training_starts_from_what_is_made(parts, tmp_path):
    from kangaroo.training.start import from_folder

    assembled(parts, tmp_path / "ours")
    model, processor = from_folder(tmp_path / "ours")
    assert model.config.patchify == "none"
    assert processor.video_processor.size_px == (56, 56)


def test_mistakes_are_told_in_one_line(parts, tmp_path, capsys):
    eva, llama = parts
    with pytest.raises(KangarooError, match="multiple of the patch, 14 px"):
        plan_assembly(eva, llama, image_size_px=50)
    with pytest.raises(KangarooError, match="visual tokens are <vi_start>"):
        plan_assembly(eva, llama, tokens={"<eot>": 5})
    with pytest.raises(KangarooError, match="no special token"):
        plan_assembly(eva, llama, tokens={"<eof>": 99999})
    with pytest.raises(KangarooError, match="0 tensors called"):
        plan_assembly(llama / "model.safetensors", llama)
    settings = json.loads((llama / "config.json").read_text())
    (llama / "config.json").write_text(json.dumps({**settings, "hidden_size": 72}))
    verb = ["assemble", "--vision", str(eva), "--language", str(llama), "--out", str(tmp_path / "no")]
    assert run(verb) == 2
    assert "[423, 64] in the checkpoint" in capsys.readouterr().err
    (llama / "config.json").write_text(json.dumps({**settings, "hidden_size": 68}))
    assert run(verb) == 2
    assert "makes no Llama" in capsys.readouterr().err
    (llama / "config.json").write_text(json.dumps({**settings, "model_type": "qwen3"}))
    assert run(verb) == 2
    assert "'qwen3'" in capsys.readouterr().err


@pytest.mark.parametrize("shape", [(2, 17, 128), (1, 18, 128), (1, 17, 64)])
@pytest.mark.parametrize("size_px", [28, 56])
def test_positions_that_are_no_square_table_are_refused(parts, shape, size_px):
    eva, llama = parts
    tensors = torch.load(eva)
    tensors["module"]["visual.pos_embed"] = torch.zeros(shape)
    torch.save(tensors, eva)
    with pytest.raises(KangarooError, match=r"visual\.pos_embed: \[.*\] in the checkpoint, expected \[1, 17, 128\]"):
        plan_assembly(eva, llama, image_size_px=size_px)


def test_a_part_that_cannot_be_cast_is_told_without_advice_that_does_not_exist(parts):
    eva, llama = parts
    tensors = torch.load(eva)
    tensors["module"]["visual.pos_embed"] = tensors["module"]["visual.pos_embed"].long()
    torch.save(tensors, eva)
    with pytest.raises(KangarooError, match="int64 in the checkpoint, expected bfloat16; nothing casts it"):
        plan_assembly(eva, llama, image_size_px=56)


def test_what_no_llama_has_is_not_left_out_silently(parts):
    weights = load_file(parts[1] / "model.safetensors")
    save_file({**weights, "adapter.lora_A": torch.zeros(2)}, parts[1] / "model.safetensors")
    with pytest.raises(KangarooError, match=r"holds adapter\.lora_A, which a Llama has not"):
        plan_assembly(*parts)


def test_fewer_words_than_the_tokenizer_has_are_refused(parts):
    eva, llama = parts
    settings = json.loads((llama / "config.json").read_text())
    (llama / "config.json").write_text(json.dumps({**settings, "vocab_size": 8}))
    with pytest.raises(KangarooError, match="the tokenizer's ids go up to 422"):
        plan_assembly(eva, llama)


def test_two_files_of_one_name_are_two_in_the_origin(parts, tmp_path):
    eva, llama = parts
    (tmp_path / "eva").mkdir()
    save_file(torch.load(eva)["module"], tmp_path / "eva" / "model.safetensors")
    assembled((tmp_path / "eva" / "model.safetensors", llama), tmp_path / "ours")
    files = json.loads((tmp_path / "ours" / "origin.json").read_text())["files"]
    assert list(files) == ["eva/model.safetensors", "llama/model.safetensors"]


def test_the_command_prints_its_table(parts, tmp_path, capsys):
    eva, llama = map(str, parts)
    out = tmp_path / "ours"
    assert run(["assemble", "--vision", eva, "--language", llama, "--out", str(out), "--image-size", "28"]) == 0
    assert "the mean of all word vectors" in capsys.readouterr().out
    assert json.loads((out / "config.json").read_text())["vision_config"]["image_size"] == 28
