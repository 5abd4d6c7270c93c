"""Named sizes have the parameters that their sources state."""

import torch

from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import joey, kangaroo_8b, tiny


def on_meta(config: KangarooConfig) -> KangarooForConditionalGeneration:
    with torch.device("meta"):
        return KangarooForConditionalGeneration(config)


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_published_vision_tower_has_its_parameters() -> None:
    assert count(on_meta(kangaroo_8b()).model.vision_tower) == 304_104_384


def test_published_model_has_its_parameters() -> None:
    network = on_meta(kangaroo_8b())
    language_model = count(network.model.language_model) + count(network.lm_head)
    assert language_model == 8_030_261_248
    assert count(network.model.multi_modal_projector) == 20_979_712
    assert count(network.model.patchify) == 1024 * 8 + 1024
    assert count(network) == 304_104_384 + 8_030_261_248 + 20_979_712 + 9_216 == 8_355_354_560


def test_one_layer_projector_has_its_parameters() -> None:
    config = kangaroo_8b()
    config.projector_type = "mlp1x_gelu"
    assert count(on_meta(config).model.multi_modal_projector) == 4_198_400


def test_longest_published_film_fits_the_context() -> None:
    config = kangaroo_8b()
    assert config.layout().num_tokens(160) + 1_400 < config.text_config.max_position_embeddings


def test_joey_is_small_enough_to_ship() -> None:
    network = on_meta(joey(vocab_size=4096))
    assert count(network) <= 12_000_000
    assert 2 * count(network) <= 24_000_000, "bytes on disk in bfloat16"
    assert network.lm_head.weight is network.model.language_model.embed_tokens.weight


def test_joey_sees_films_of_minutes() -> None:
    assert joey().layout().num_tokens(92) == 2992
    assert joey().layout().num_tokens(160) < joey().text_config.max_position_embeddings


def test_tiny_is_tiny() -> None:
    assert count(on_meta(tiny())) < 100_000
