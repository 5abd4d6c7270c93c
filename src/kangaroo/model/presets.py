"""The sizes that have a name: `kangaroo_8b` as published, `joey` that ships with the package, `tiny` for tests."""

from dataclasses import dataclass

from transformers import LlamaConfig

from kangaroo.model.configuration import KangarooConfig, KangarooVisionConfig


@dataclass(frozen=True, kw_only=True)
class TokenIds:
    """Where a tokenizer keeps the tokens that the network must know by number. Defaults: joey's tokenizer."""

    begin_of_text: int = 0
    end_of_text: int = 1
    end_of_turn: int = 4
    vi_start: int = 5
    eof: int = 6
    eov: int = 7
    vi_end: int = 8
    vi_pad: int = 9


# Llama 3 reserves 128002-128005 and, after its two header tokens, 128008; which slots the authors took is unknown
LLAMA_3_IDS = TokenIds(
    begin_of_text=128000,
    end_of_text=128001,
    end_of_turn=128009,
    vi_start=128002,
    eof=128003,
    eov=128004,
    vi_end=128005,
    vi_pad=128008,
)


def kangaroo_8b() -> KangarooConfig:
    """Return the published sizes: EVA02-CLIP-L-14 at 448 px and Llama-3-8B.

    The published config says 8,192 positions, but its last stage trains on 22k with unchanged rotary frequencies,
    so that is the context here.
    """
    text = LlamaConfig(
        vocab_size=128256,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        rms_norm_eps=1e-5,
        max_position_embeddings=22528,
        rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        **_ends(LLAMA_3_IDS),
    )
    return KangarooConfig(vision_config=KangarooVisionConfig(), text_config=text, **_visual(LLAMA_3_IDS))


def joey(*, vocab_size: int = 2048, ids: TokenIds = TokenIds()) -> KangarooConfig:
    """Return the small model that ships with the package: about 10 million parameters, films at 112 and 224 px."""
    vision = KangarooVisionConfig(
        image_size=224,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=6,
        num_attention_heads=3,
        pretrained_grid=8,
    )
    text = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=320,
        intermediate_size=864,
        num_hidden_layers=6,
        num_attention_heads=10,
        num_key_value_heads=5,
        rms_norm_eps=1e-5,
        max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        tie_word_embeddings=True,
        **_ends(ids),
    )
    # eight frames at a time keep a CPU's caches warm: a quarter faster than all 64 at once
    return KangarooConfig(vision_config=vision, text_config=text, vision_chunk_frames=8, **_visual(ids))


def tiny(*, vocab_size: int = 64, ids: TokenIds = TokenIds()) -> KangarooConfig:
    """Return a network of two layers a side for tests: 56 px, 4 placeholders a group."""
    vision = KangarooVisionConfig(
        image_size=56,
        hidden_size=32,
        intermediate_size=85,
        num_hidden_layers=2,
        num_attention_heads=2,
        pretrained_grid=2,
        initializer_range=0.1,
    )
    text = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=4096,
        initializer_range=0.1,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
        **_ends(ids),
    )
    return KangarooConfig(vision_config=vision, text_config=text, vision_chunk_frames=4, **_visual(ids))


def _ends(ids: TokenIds) -> dict[str, object]:
    return {"bos_token_id": ids.begin_of_text, "eos_token_id": [ids.end_of_text, ids.end_of_turn]}


def _visual(ids: TokenIds) -> dict[str, int]:
    return {
        "vi_start_token_id": ids.vi_start,
        "eof_token_id": ids.eof,
        "eov_token_id": ids.eov,
        "vi_end_token_id": ids.vi_end,
        "video_token_id": ids.vi_pad,
    }
