"""Find the EVA-02 vision tower in a checkpoint, under whatever prefix, and read its sizes off its tensors."""

from collections.abc import Mapping

import torch
from torch import Tensor

from kangaroo.errors import ModelError
from kangaroo.model.configuration import KangarooVisionConfig
from kangaroo.model.vision import rotary_angles
from kangaroo.release.model import Decision, Weight, copied, made
from kangaroo.release.reading import Checkpoint

# what EVA02-CLIP-L has at every resolution and no tensor tells
_HEAD_WIDTH, _PRETRAINED_GRID = 64, 16
_ANCHOR = "patch_embed.proj.weight"
_TABLES = ("rope.freqs_cos", "rope.freqs_sin")


class Tower:
    """The tower of a checkpoint.

    Attributes:
        prefix: What its names begin with.
        config: Its sizes.
        decisions: What was found.
        not_needed: Names that belong to it and of which the network has no use.

    Raises:
        ModelError: There is none, there are several, or a rotary table is not the one that is computed here.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        found = [name for name in checkpoint.specs if name.endswith(_ANCHOR)]
        if len(found) != 1:
            raise ModelError(f"the checkpoint holds {len(found)} tensors called *{_ANCHOR}, expected one vision tower")
        self.prefix = found[0].removesuffix(_ANCHOR)
        self.config = self._read_config()
        own = [name for name in checkpoint.specs if name.startswith(self.prefix)]
        self.not_needed = tuple(
            name for name in own if name.startswith(f"{self.prefix}head.") or name.endswith(_TABLES)
        )
        self._names = [name for name in own if name not in self.not_needed]
        self.has_norm = f"{self.prefix}norm.weight" in checkpoint.specs
        self._check_rotary()

    def _read_config(self) -> KangarooVisionConfig:
        width, channels, patch, _ = self._shape(_ANCHOR, ndim=4)
        positions = self._shape("pos_embed", ndim=3)
        side = max(1, round((positions[1] - 1) ** 0.5))
        if positions != (expected := (1, 1 + side * side, width)):
            raise ModelError(
                f"{self.prefix}pos_embed: {list(positions)} in the checkpoint, expected {list(expected)}, "
                "the class token and a square of patches"
            )
        before = f"{self.prefix}blocks."
        blocks = {name.removeprefix(before).split(".")[0] for name in self._checkpoint.specs if name.startswith(before)}
        return KangarooVisionConfig(
            image_size=side * patch,
            patch_size=patch,
            num_channels=channels,
            hidden_size=width,
            intermediate_size=self._shape("blocks.0.mlp.w1.weight", ndim=2)[0],
            num_hidden_layers=len(blocks),
            num_attention_heads=max(1, width // _HEAD_WIDTH),
            pretrained_grid=_PRETRAINED_GRID,
        )

    def _shape(self, name: str, *, ndim: int) -> tuple[int, ...]:
        spec = self._checkpoint.specs.get(self.prefix + name)
        if spec is None:
            raise ModelError(f"{self.prefix}{name} is missing from the checkpoint; is this an EVA-02 vision tower?")
        if len(spec.shape) != ndim or 0 in spec.shape:
            raise ModelError(
                f"{self.prefix}{name}: {list(spec.shape)} in the checkpoint, expected {ndim} axes, none of them empty"
            )
        return spec.shape

    def weights(self, *, to: str, cast: bool | Mapping[str, bool] = False) -> dict[str, Weight]:
        """Return the tower's tensors by names that begin with `to`.

        Args:
            to: The network's prefix.
            cast: Whether they may have another precision, all alike or by their name in the checkpoint.
        """
        allowed = cast if isinstance(cast, Mapping) else dict.fromkeys(self._names, cast)
        own = {
            to + name.removeprefix(self.prefix): copied(self._checkpoint, name, cast=allowed.get(name, False))
            for name in self._names
        }
        if not self.has_norm:
            like = self._checkpoint.specs[self.prefix + _ANCHOR].dtype
            for part, fill in (("weight", 1.0), ("bias", 0.0)):
                own[f"{to}norm.{part}"] = made(torch.full((self.config.hidden_size,), fill, dtype=like))
        return own

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What was found, as rows of the table."""
        c = self.config
        sizes = f"{c.num_hidden_layers} blocks of {c.hidden_size}, {c.num_attention_heads} heads"
        return (
            Decision(what="vision tower", value=f"{sizes}, {c.image_size} px", why=f"shapes below {self.prefix!r}"),
            Decision(
                what="tower's features",
                value="last block, no final norm, class token dropped",
                why="no file tells; the likeliest" + ("" if self.has_norm else ", and there is no final norm"),
            ),
            Decision(
                what="not needed",
                value=f"{len(self.not_needed)} tensors",
                why="the tower's own head and rotary tables, which are computed",
            ),
        )

    def _check_rotary(self) -> None:
        """Compare stored tables with what the network computes: a check of grid, angle and order."""
        if not any(name.endswith(_TABLES) for name in self.not_needed):
            return
        config = self.config
        angles = rotary_angles(
            config.image_size // config.patch_size,
            head_width=config.hidden_size // config.num_attention_heads,
            theta=config.rope_theta,
            pretrained_grid=config.pretrained_grid,
            device=torch.device("cpu"),
        )[1:].repeat_interleave(2, dim=-1)
        for table, computed in zip(_TABLES, (angles.cos(), angles.sin()), strict=True):
            for name in (name for name in self.not_needed if name.endswith(table)):
                if not alike(self._checkpoint.read(name), computed, atol=0.01):
                    raise ModelError(
                        f"{name}: the table {self._checkpoint.specs[name]} is not the {list(computed.shape)} one that "
                        "this network computes; the tower was made with other rotary positions"
                    )
        self._checkpoint.let_go()


def alike(stored: Tensor, computed: Tensor, *, rtol: float = 0.0, atol: float = 0.0) -> bool:
    """Whether a table that a checkpoint holds is the computed one, but for rounding."""
    same_kind = stored.dtype.is_floating_point and stored.shape == computed.shape
    return same_kind and torch.allclose(stored.float(), computed, rtol=rtol, atol=atol)
