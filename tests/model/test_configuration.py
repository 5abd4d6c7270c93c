"""The config keeps its values through a file and refuses what cannot be built."""

from pathlib import Path

import pytest

from kangaroo.errors import OptionError
from kangaroo.model.configuration import KangarooConfig, KangarooVisionConfig
from kangaroo.model.layout import EofUnit, OddFrames, VisualToken
from kangaroo.model.presets import tiny


def test_config_survives_a_file(tmp_path: Path) -> None:
    config = tiny()
    config.eof_unit, config.patchify, config.odd_frames = "frame", "dense", "drop"
    config.save_pretrained(tmp_path)
    loaded = KangarooConfig.from_pretrained(tmp_path)
    assert loaded.to_dict() == config.to_dict()
    assert isinstance(loaded.vision_config, KangarooVisionConfig)
    assert loaded.text_config.model_type == "llama"
    assert loaded.layout() == config.layout()


def test_layout_follows_the_config() -> None:
    config = KangarooConfig(eof_unit="frame", odd_frames="drop", patchify_kernel=[1, 2, 2])
    layout = config.layout(image_size_px=224)
    assert (layout.eof_unit, layout.odd_frames, layout.kernel) == (EofUnit.FRAME, OddFrames.DROP, (1, 2, 2))
    assert (layout.image_size_px, config.layout().image_size_px) == (224, 448)
    assert KangarooConfig(patchify="none").layout().kernel == (1, 1, 1)


def test_default_ids_are_free_slots_of_llama_3() -> None:
    ids = KangarooConfig().visual_token_ids
    assert ids[VisualToken.START] == 128002
    assert not set(ids.values()) & {128000, 128001, 128006, 128007, 128009}, "Llama 3 uses these itself"


def test_image_placeholder_is_the_video_placeholder() -> None:
    assert tiny().image_token_id == tiny().video_token_id == 9


@pytest.mark.parametrize(
    "fields",
    [
        {"patchify_kernel": [2, 2]},
        {"patchify_kernel": [0, 2, 2]},
        {"vision_chunk_frames": 0},
        {"eof_token_id": 128002},
        {"vision_config": {"image_size": 450}},
        {"vision_config": {"num_attention_heads": 7}},
        {"vision_config": {"feature_layer": 24}},
        {"vision_config": {"image_size": 0}},
        {"text_config": {"num_hidden_layers": -1}},
        {"text_config": {"hidden_size": 0}},
    ],
)
def test_impossible_values_are_refused(fields: dict) -> None:
    with pytest.raises(OptionError):
        KangarooConfig(**fields)


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(Exception, match="patchify"):
        KangarooConfig(patchify="pool")
