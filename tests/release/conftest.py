"""The published repository in small: its file names, its tensors' names, its config; random numbers."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig

from kangaroo.model.configuration import KangarooConfig, KangarooVisionConfig
from kangaroo.model.layout import VisualToken
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import CONTEXT_TOKENS, TokenIds

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "convert_speed.py"


@pytest.fixture(scope="session")
def layout():
    """The benchmark's own words for the published layout, so that both speak of one."""
    spec = importlib.util.spec_from_file_location("convert_speed", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def small_config(vocab_size, **changes):
    """The published shape with few and narrow layers: heads of 64 as EVA's, 56 px, untied words."""
    ids = TokenIds()
    vision = KangarooVisionConfig(
        image_size=56, hidden_size=128, intermediate_size=341, num_hidden_layers=2, num_attention_heads=2
    )
    text = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        rms_norm_eps=1e-5,
        max_position_embeddings=CONTEXT_TOKENS,
        rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        **ids.ends,
    )
    return KangarooConfig(
        vision_config=vision,
        text_config=text,
        **ids.visual,
        **changes,
    )


@pytest.fixture(scope="session")
def original(tiny_tokenizer):
    """The network whose weights the small published checkpoint holds: float32, rounded to bfloat16."""
    torch.manual_seed(0)
    network = KangarooForConditionalGeneration(small_config(len(tiny_tokenizer))).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            numbers = torch.randn_like(parameter) * 0.1 if parameter.ndim > 1 else parameter + 0.01
            parameter.copy_(numbers.bfloat16())
    return network


@pytest.fixture(scope="session")
def released_weights(original, layout):
    """Its weights by the published names, with the tables and the head that the network does not use."""
    weights = {layout.released_name(name): weight.bfloat16() for name, weight in original.state_dict().items()}
    weights["vision_tower.head.weight"] = torch.zeros(8, 128, dtype=torch.bfloat16)
    weights["vision_tower.head.bias"] = torch.zeros(8, dtype=torch.bfloat16)
    return weights


def change_settings(folder, settings):
    """Change some of config.json's."""
    before = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**before, **settings}))


@pytest.fixture
def released(tmp_path, original, released_weights, layout, tiny_tokenizer):
    """Write a published folder, with some tensors (None: left out) or settings changed, and return it."""

    def write(changes=None, *, reserved=(VisualToken.PATCH,), settings=None):
        folder = tmp_path / "released"
        folder.mkdir(exist_ok=True)
        layout.write_settings(folder, original.config, layout.reserve(tiny_tokenizer, reserved), TokenIds())
        change_settings(folder, settings or {})
        weights = {**released_weights, **(changes or {})}
        kept = {name: weight.clone() for name, weight in weights.items() if weight is not None}
        torch.save(kept, folder / "pytorch_model.bin")
        return folder

    return write
