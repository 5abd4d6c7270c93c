"""What shape the network has. Each decision that the paper leaves open is a field with a documented default.

Transformers' form: nested `vision_config` (the EVA-02 tower) and `text_config` (transformers' Llama).
"""

from typing import Any, ClassVar, Literal, no_type_check

from huggingface_hub.dataclasses import strict
from transformers import CONFIG_MAPPING, AutoConfig
from transformers.configuration_utils import PreTrainedConfig

from kangaroo.errors import OptionError
from kangaroo.model.layout import EofUnit, OddFrames, VisualLayout, VisualToken

_SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")


# `strict` checks values and lets unknown keys of newer files pass; a second checker in tests would refuse those
@no_type_check
@strict
class KangarooVisionConfig(PreTrainedConfig):
    """The EVA-02 tower and which of its features go on. Defaults are the published EVA02-CLIP-L-14 at 448 px.

    `pretrained_grid` is the grid side on which the rotary positions were learned (EVA's `pt_hw_seq_len`): a larger
    grid spreads the same positions more finely. `feature_layer` counts blocks from 0, or from the last with -1;
    later blocks are not computed. `final_norm` applies the tower's last LayerNorm to what goes on. `class_token`
    says whether the class token is dropped or goes in front of each group's patches. Ours, all three: the authors'
    choice is not known; the last block, without norm and class token, is the likeliest.
    """

    model_type = "kangaroo_vision"
    base_config_key = "vision_config"

    image_size: int = 448
    patch_size: int = 14
    num_channels: int = 3
    hidden_size: int = 1024
    intermediate_size: int = 2730
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    layer_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    pretrained_grid: int = 16
    initializer_range: float = 0.02
    feature_layer: int = -1
    final_norm: bool = False
    class_token: Literal["drop", "keep"] = "drop"

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.image_size % self.patch_size:
            raise OptionError(f"image_size {self.image_size} is no multiple of patch_size {self.patch_size}")
        if self.hidden_size % (4 * self.num_attention_heads):
            raise OptionError(
                f"hidden_size {self.hidden_size} over num_attention_heads {self.num_attention_heads} must be a "
                "multiple of 4: rotary positions turn pairs along rows and along columns"
            )
        if not -self.num_hidden_layers <= self.feature_layer < self.num_hidden_layers:
            raise OptionError(f"feature_layer {self.feature_layer} is not one of {self.num_hidden_layers} blocks")

    @property
    def num_feature_blocks(self) -> int:
        """How many blocks are computed to reach `feature_layer`."""
        return self.feature_layer % self.num_hidden_layers + 1


@no_type_check
@strict
class KangarooConfig(PreTrainedConfig):
    """The whole network: vision tower, temporal embedding, patchify, projector, language model, visual tokens.

    >>> kangaroo_8b().layout().num_tokens(16)
    2058

    Open decisions and their defaults:

    - `temporal_exponent`: `per_entry` gives entry i of the temporal embedding the exponent i/d, as a note on the
      paper prints it; `paired` shares one exponent per sine and cosine, as is usual. `temporal_theta` is its base.
    - `patchify`: `depthwise` 3-D convolution, `dense` (channels mix), `average`, or `none` (nothing is folded, as in
      stages 1 and 2). `patchify_kernel` folds frames, rows, columns; `patchify_bias`; `patchify_norm` follows it.
    - `odd_frames`: frames that do not fill a group `repeat` the last one with its time, or `drop`.
    - `projector_type`: one linear layer, or two with GELU between.
    - `eof_unit`: an `<eof>` closes each `group`, or stands once for each `frame` of the group.
    - Token ids: Llama-3's free reserved slots.

    `vision_chunk_frames` bounds memory: the tower sees at most so many frames at a time (at least one group).
    """

    model_type = "kangaroo"
    sub_configs: ClassVar[dict[str, Any]] = {"vision_config": KangarooVisionConfig, "text_config": AutoConfig}
    attribute_map: ClassVar[dict[str, str]] = {"image_token_id": "video_token_id"}

    # a config, its fields as a dict, or None for the published sizes; a config once made
    vision_config: Any = None
    text_config: Any = None
    temporal_exponent: Literal["per_entry", "paired"] = "per_entry"
    temporal_theta: float = 10000.0
    patchify: Literal["depthwise", "dense", "average", "none"] = "depthwise"
    patchify_kernel: list[int] | tuple[int, ...] = (2, 2, 2)
    patchify_bias: bool = True
    patchify_norm: Literal["none", "layer_norm"] = "none"
    odd_frames: Literal["repeat", "drop"] = "repeat"
    projector_type: Literal["mlp1x_gelu", "mlp2x_gelu"] = "mlp2x_gelu"
    eof_unit: Literal["group", "frame"] = "group"
    vi_start_token_id: int = 128002
    eof_token_id: int = 128003
    eov_token_id: int = 128004
    vi_end_token_id: int = 128005
    video_token_id: int = 128008
    vision_chunk_frames: int = 32
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        if self.vision_config is None or isinstance(self.vision_config, dict):
            self.vision_config = KangarooVisionConfig(**(self.vision_config or {}))
        if self.text_config is None or isinstance(self.text_config, dict):
            text = dict(self.text_config or {})
            self.text_config = CONFIG_MAPPING[text.pop("model_type", "llama")](**text)
        # transformers ties weights by the outer config, while presets and older files say it in the inner one
        self.tie_word_embeddings = self.tie_word_embeddings or self.text_config.tie_word_embeddings
        super().__post_init__(**kwargs)
        if len(self.patchify_kernel) != 3 or min(self.patchify_kernel) < 1:
            raise OptionError(f"patchify_kernel is {self.patchify_kernel}; give frames, rows, columns, each 1 or more")
        sizes = {name: getattr(self.text_config, name, 1) for name in (*_SIZES, "vocab_size")}
        sizes |= {f"vision_config.{name}": getattr(self.vision_config, name) for name in (*_SIZES, "image_size")}
        for name, size in {**sizes, "vision_chunk_frames": self.vision_chunk_frames}.items():
            if size < 1:
                raise OptionError(f"{name} is {size}; give 1 or more")
        ids = self.visual_token_ids
        if len(set(ids.values())) != len(ids):
            raise OptionError(f"the visual tokens share ids: {ids}; give each its own")

    def layout(self, *, image_size_px: int | None = None) -> VisualLayout:
        """Return which tokens a film becomes at this side in pixels (None: the tower's own)."""
        frames, rows, columns = (1, 1, 1) if self.patchify == "none" else self.patchify_kernel
        return VisualLayout(
            image_size_px=image_size_px or self.vision_config.image_size,
            patch_size_px=self.vision_config.patch_size,
            kernel=(frames, rows, columns),
            odd_frames=OddFrames(self.odd_frames),
            eof_unit=EofUnit(self.eof_unit),
            class_token=self.vision_config.class_token == "keep",
        )

    @property
    def visual_token_ids(self) -> dict[VisualToken, int]:
        """The vocabulary id of each visual token."""
        return {
            VisualToken.START: self.vi_start_token_id,
            VisualToken.END_OF_FRAME: self.eof_token_id,
            VisualToken.END_OF_VIDEO: self.eov_token_id,
            VisualToken.END: self.vi_end_token_id,
            VisualToken.PATCH: self.video_token_id,
        }
