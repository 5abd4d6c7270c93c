"""Bring visual features to the language model's width. The parts' numbers are those of the published checkpoint."""

from typing import Literal

from torch import nn


def build_projector(vision_width: int, text_width: int, *, kind: Literal["mlp1x_gelu", "mlp2x_gelu"]) -> nn.Sequential:
    """Return one linear layer, or two with GELU between."""
    first = nn.Linear(vision_width, text_width)
    if kind == "mlp1x_gelu":
        return nn.Sequential(first)
    return nn.Sequential(first, nn.GELU(), nn.Linear(text_width, text_width))
