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

    @property
    def ends(self) -> dict[str, object]:
        """What a language model's config says of them."""
        return {"bos_token_id": self.begin_of_text, "eos_token_id": [self.end_of_text, self.end_of_turn]}

    @property
    def visual(self) -> dict[str, int]:
        """What a Kangaroo's config says of them."""
        return {
            "vi_start_token_id": self.vi_start,
            "eof_token_id": self.eof,
            "eov_token_id": self.eov,
            "vi_end_token_id": self.vi_end,
            "video_token_id": self.vi_pad,
        }


CONTEXT_TOKENS = 22528
"""What the published curriculum ends at, with rotary positions unchanged; the published config says 8,192."""

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
    """Return the published sizes: EVA02-CLIP-L-14 at 448 px and Llama-3-8B."""
    text = LlamaConfig(
        vocab_size=128256,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        rms_norm_eps=1e-5,
        max_position_embeddings=CONTEXT_TOKENS,
        rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        **LLAMA_3_IDS.ends,
    )
    return KangarooConfig(vision_config=KangarooVisionConfig(), text_config=text, **LLAMA_3_IDS.visual)


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
        **ids.ends,
    )
    # eight frames at a time keep a CPU's caches warm: a quarter faster than all 64 at once
    return KangarooConfig(vision_config=vision, text_config=text, vision_chunk_frames=8, **ids.visual)


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
        **ids.ends,
    )
    return KangarooConfig(vision_config=vision, text_config=text, vision_chunk_frames=4, **ids.visual)
