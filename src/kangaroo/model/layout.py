"""Say which tokens a film becomes, by arithmetic alone: no torch, no weights.

The one home of this rule. The network asks it which frames share a group, the processor which tokens to write,
the line before an answer how many there will be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class VisualToken(StrEnum):
    """The five tokens that a film is made of. Only `PATCH` is replaced by features."""

    START = "<vi_start>"
    END_OF_FRAME = "<eof>"
    END_OF_VIDEO = "<eov>"
    END = "<vi_end>"
    PATCH = "<vi_pad>"


class OddFrames(StrEnum):
    """What becomes of frames that do not fill the last group."""

    REPEAT = "repeat"
    DROP = "drop"


class EofUnit(StrEnum):
    """What an `<eof>` closes: a group of frames that patchify folded into one, or each frame of the group."""

    GROUP = "group"
    FRAME = "frame"


@dataclass(frozen=True, kw_only=True)
class VisualLayout:
    """The shape of a film in the language model's context.

    >>> VisualLayout(image_size_px=448).num_tokens(64)
    8226

    `kernel` is what patchify folds: frames, rows, columns. A grid whose side the kernel does not divide has its
    last row and column repeated. `class_token` adds the encoder's class token in front of each group's patches.
    """

    image_size_px: int
    patch_size_px: int = 14
    kernel: tuple[int, int, int] = (2, 2, 2)
    odd_frames: OddFrames = OddFrames.REPEAT
    eof_unit: EofUnit = EofUnit.GROUP
    class_token: bool = False

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, image_size_px: int) -> "VisualLayout":
        """Read what `processor_config.json` holds: all fields but the image size, as plain values."""
        kinds: dict[str, Any] = {"odd_frames": OddFrames, "eof_unit": EofUnit, "kernel": tuple}
        read = {name: kinds[name](value) if name in kinds else value for name, value in values.items()}
        return cls(image_size_px=image_size_px, **read)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of one group's patches after folding."""
        side = self.image_size_px // self.patch_size_px
        return -(-side // self.kernel[1]), -(-side // self.kernel[2])

    @property
    def tokens_per_group(self) -> int:
        """How many features one group of frames becomes."""
        rows, columns = self.grid
        return rows * columns + self.class_token

    def num_groups(self, num_frames: int) -> int:
        """Return how many groups a film of `num_frames` frames folds into: at least one, so an image is a film."""
        assert num_frames >= 1, f"a film has {num_frames} frames"
        if self.odd_frames is OddFrames.DROP:
            return max(1, num_frames // self.kernel[0])
        return -(-num_frames // self.kernel[0])

    def slots(self, num_frames: int) -> list[int]:
        """Return which frame fills each place of each group; the last frame fills the places that are left over."""
        places = self.num_groups(num_frames) * self.kernel[0]
        return [min(place, num_frames - 1) for place in range(places)]

    def num_visual_tokens(self, num_frames: int) -> int:
        """Return how many placeholders a film holds: one for each feature row of the projector."""
        return self.num_groups(num_frames) * self.tokens_per_group

    def num_tokens(self, num_frames: int) -> int:
        """Return the length of the whole visual block, its four kinds of marks included."""
        groups = self.num_groups(num_frames)
        return groups * (self.tokens_per_group + self._marks_per_group) + 2

    def tokens(self, num_frames: int) -> list[VisualToken]:
        """Return the block: start, each group's placeholders closed by `<eof>`, the last by `<eov>`, end."""
        group = [VisualToken.PATCH] * self.tokens_per_group + [VisualToken.END_OF_FRAME] * self._marks_per_group
        groups = group * self.num_groups(num_frames)
        return [VisualToken.START, *groups[:-1], VisualToken.END_OF_VIDEO, VisualToken.END]

    def most_frames(self, num_tokens: int) -> int:
        """Return the most frames whose block fits in `num_tokens`, whole groups only; 0 where not one group fits."""
        groups = (num_tokens - 2) // (self.tokens_per_group + self._marks_per_group)
        return max(0, groups) * self.kernel[0]

    @property
    def _marks_per_group(self) -> int:
        return self.kernel[0] if self.eof_unit is EofUnit.FRAME else 1
