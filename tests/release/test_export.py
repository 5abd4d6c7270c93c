"""What is exported loads and answers where this package is not installed, with the very logits of the model here."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import kangaroo
from kangaroo.chat.load import find_folder
from kangaroo.cli import run
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.release.card import model_card
from kangaroo.release.convert import plan_conversion
from kangaroo.release.remote_code import ENTRY, auto_map, code_files

FILM = Path(__file__).parents[2] / "examples" / "kangaroo.mp4"
ELSEWHERE = """
import importlib.util, json, sys, warnings
warnings.simplefilter("error", UserWarning)
import torch
from safetensors.torch import save_file
from transformers import (
    AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer
)
folder, film, out = sys.argv[1:]
assert importlib.util.find_spec("kangaroo") is importlib.util.find_spec("triton") is None
there = dict(trust_remote_code=True)
assert AutoConfig.from_pretrained(folder, **there).model_type == "kangaroo"
processor = AutoProcessor.from_pretrained(folder, **there)
content = [{"type": "video", "video": film}, {"type": "text", "text": "What happens?"}]
inputs = processor.apply_chat_template(
    [{"role": "user", "content": content}],
    tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt", num_frames=4,
)
network = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, **there).eval()
tokenizer = AutoTokenizer.from_pretrained(folder, **there)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **there).eval()
terminators = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|eot_id|>")]
said, history = model.chat(
    video_path=film, query="What happens?", tokenizer=tokenizer, history=None, num_frames=4, max_new_tokens=6,
    eos_token_id=terminators, do_sample=False,
)
with torch.inference_mode():
    logits = network(**inputs).logits
    save_file({"logits": logits, "same": model(**inputs).logits, **{k: v for k, v in inputs.items()}}, out)
print(json.dumps({"said": said}))
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """The environment of somebody who has all that we need, no Triton and not us: no site file, no editable install."""
    place = tmp_path_factory.mktemp("packages")
    packages = [path for path in map(Path, sys.path) if path.name in ("site-packages", "dist-packages")]
    for path in (path for package in reversed(packages) for path in package.iterdir()):
        if not path.name.startswith(("kangaroo", "triton", "__editable__")) and path.suffix != ".pth":
            (place / path.name).unlink(missing_ok=True)
            (place / path.name).symlink_to(path)
    kept = {name: os.environ[name] for name in ("LANG", "OMP_NUM_THREADS", "PATH") if name in os.environ}
    home = str(tmp_path_factory.mktemp("home"))
    return {**kept, "PYTHONPATH": str(place), "HOME": home, "HF_HOME": home, "HF_HUB_OFFLINE": "1"}


def as_cached(folder, home, repository):
    """Put a folder where the hub's cache keeps a repository that was fetched."""
    place, commit = home / "hub" / f"models--{repository.replace('/', '--')}", "0" * 40
    shutil.copytree(folder, place / "snapshots" / commit)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)
    return repository


# transformers reads the code of a folder and that of a repository by different ways
@pytest.mark.parametrize("repository", [None, "somebody/small"])
def test_a_converted_model_saved_loaded_exported_loaded_elsewhere_has_equal_logits(
    released, original, tmp_path, elsewhere, repository
):
    plan = plan_conversion(released())
    plan.write(tmp_path / "ours")
    network = KangarooForConditionalGeneration.from_pretrained(tmp_path / "ours", dtype=torch.float32)
    network.save_pretrained(tmp_path / "saved")
    plan.processor.save_pretrained(tmp_path / "saved")
    assert run(["export", str(tmp_path / "saved"), str(tmp_path / "exported")]) == 0
    name = tmp_path / "exported"
    if repository is not None:
        name = as_cached(name, Path(elsewhere["HF_HOME"]), repository)
    program = [sys.executable, "-S", "-c", ELSEWHERE, name, FILM, tmp_path / "logits"]
    ran = subprocess.run(list(map(str, program)), env=elsewhere, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = load_file(tmp_path / "logits")
    inputs = {name: found[name] for name in ("input_ids", "attention_mask", "pixel_values_videos", "video_times_s")}
    with torch.inference_mode():
        expected = original(**inputs).logits
    assert torch.equal(found["logits"], expected)
    assert torch.equal(found["same"], expected)
    here = kangaroo.load(tmp_path / "exported", device="cpu").chat(FILM, num_frames=4)
    answer = here.ask("What happens?", sampling=kangaroo.Sampling(max_new_tokens=6)).read()
    assert json.loads(ran.stdout.splitlines()[-1])["said"] == answer.text


def defined(tree):
    """Yield the names that a file has at its top."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from (name.id for name in ast.walk(node) if isinstance(name, ast.Name))
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)


def test_the_code_is_whole_and_flat():
    files = code_files()
    assert f"{ENTRY}.py" in files
    for text in files.values():
        compile(text, "exported", "exec")
    lines = [line.strip() for text in files.values() for line in text.splitlines()]
    assert not [line for line in lines if line.startswith(("from kangaroo", "import kangaroo"))]
    trees = {name: ast.parse(text) for name, text in files.items()}
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                wanted = {alias.name for alias in node.names}
                assert wanted <= set(defined(trees[f"{node.module}.py"])), ast.unparse(node)
    assert {value.split(".")[0] for value in auto_map().values()} == {ENTRY}


def test_the_card_tells_what_was_measured_and_nothing_else(tmp_path, capsys):
    assert run(["export", "joey", str(tmp_path / "bare")]) == 0
    bare = (tmp_path / "bare" / "README.md").read_text()
    assert "10.5 million parameters" in bare
    assert "Nothing was measured yet." in bare
    (tmp_path / "report.md").write_text("# joey on the playground\n\n## Four options\n\n**94.8 %** of 2,000\n")
    assert run(["export", "joey", str(tmp_path / "out"), "--results", str(tmp_path)]) == 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert "### joey on the playground" in card
    assert "#### Four options" in card
    assert "**94.8 %** of 2,000" in card
    assert "Nothing was measured" not in card
    capsys.readouterr()
    assert run(["export", "joey", str(tmp_path / "no"), "--results", str(tmp_path / "out")]) == 2
    assert "holds no report.md" in capsys.readouterr().err
    assert run(["export", "joey", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "no").exists()


def test_a_converted_models_card_holds_its_decisions(released, tmp_path):
    plan_conversion(released()).write(tmp_path / "ours")
    assert run(["export", str(tmp_path / "ours"), str(tmp_path / "out")]) == 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| patchify | depthwise 2x2x2, with bias |" in card
    assert "`pytorch_model.bin`" in card


def test_what_only_the_training_machine_knows_stays_there(tmp_path):
    shutil.copytree(Path(kangaroo.__file__).parent / "joey", tmp_path / "trained")
    notes = {
        "recipe": {"out": "private/folder"},
        "stage": {"name": "long"},
        "commit": "abc",
        "versions": {"torch": "2"},
    }
    (tmp_path / "trained" / "training.json").write_text(json.dumps(notes))
    assert run(["export", str(tmp_path / "trained"), str(tmp_path / "out")]) == 0
    assert not any(
        "private" in path.read_text() for path in (tmp_path / "out").iterdir() if path.suffix != ".safetensors"
    )
    assert "stage `long`, commit `abc`" in (tmp_path / "out" / "README.md").read_text()


@pytest.fixture
def sharded(released, tmp_path, monkeypatch):
    monkeypatch.setattr("kangaroo.release.model.SHARD_BYTES", 50_000)
    plan_conversion(released()).write(tmp_path / "ours")
    return tmp_path / "ours"


def remove(file):
    file.unlink()


def cut(file):
    file.write_bytes(file.read_bytes()[:500])


def fill_with_others(file):
    save_file({"x": torch.zeros(2)}, file)


def leave_nonsense_alone(file):
    for one in file.parent.glob("model*.safetensors*"):
        one.unlink()
    file.with_name("x.safetensors").touch()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (remove, "missing"),
        (cut, "truncated or damaged"),
        (fill_with_others, "weights are missing or do not fit its config"),
        (leave_nonsense_alone, "no weights here"),
    ],
)
def test_weights_that_are_not_whole_are_not_exported(sharded, tmp_path, capsys, spoil, said):
    spoil(sorted(sharded.glob("*.safetensors"))[1])
    assert run(["export", str(sharded), str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_weights_of_other_shapes_are_not_exported(sharded, tmp_path, capsys):
    settings = json.loads((sharded / "config.json").read_text())
    settings["text_config"]["intermediate_size"] = 97
    (sharded / "config.json").write_text(json.dumps(settings))
    assert run(["export", str(sharded), str(tmp_path / "out")]) == 2
    assert "6 weights are missing or do not fit" in capsys.readouterr().err


def card_with(tmp_path, file, notes):
    folder = Path(shutil.copytree(find_folder("joey"), tmp_path / "noted"))
    (folder / file).write_text(json.dumps(notes))
    return model_card(folder, name="noted")


def test_names_that_others_chose_neither_break_the_table_nor_write_headings(tmp_path):
    decision = {"what": "left out", "value": "a|b<c", "why": "x\n\n# Better\n`"}
    card = card_with(tmp_path, "origin.json", {"files": {"w`\n# Best": 1}, "decisions": [decision]})
    assert r"| left out | `a\|b<c` | x # Better ` |" in card
    assert "Made from `w' # Best`, by" in card
    assert not [line for line in card.splitlines() if line.startswith(("# Bet", "# Bes"))]


@pytest.mark.parametrize(
    ("file", "notes"),
    [
        *(("origin.json", notes) for notes in ({}, {"files": 5, "decisions": 5}, {"decisions": [{}, 5]})),
        *(("training.json", notes) for notes in ({}, {"stage": "long"}, {"versions": [1]})),
    ],
)
def test_notes_that_say_little_make_a_card_nonetheless(tmp_path, file, notes):
    assert "Nothing was measured yet." in card_with(tmp_path, file, notes)
