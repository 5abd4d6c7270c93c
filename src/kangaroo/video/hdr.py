"""Bring high dynamic range down to the ordinary range that the vision tower knows.

The one tone curve: light is measured against the reference white of 203 nits (BT.2408); up to KNEE of it
nothing changes, above it y = KNEE + (1 - KNEE) * x / (x + 1 - KNEE) with x counted from the knee, which meets the
straight part with equal slope and approaches full white for ever brighter light. It acts on the largest of
red, green and blue and scales the other two alike, so hues stay. Colours go from BT.2020 to BT.709.
Axes: height, width, channel.
"""

import numpy as np
from jaxtyping import Float32, UInt8, UInt16

REFERENCE_WHITE_NITS = 203.0
HLG_PEAK_NITS = 1000.0
KNEE = 0.6

# BT.2087, linear light
_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)


def tone_map(pixels: UInt16[np.ndarray, "height width 3"], *, transfer: str) -> UInt8[np.ndarray, "height width 3"]:
    """Return sRGB pixels for full-range BT.2020 pixels that carry the `transfer` "pq" or "hlg"."""
    signal = pixels.astype(np.float32) / 65535
    nits = _pq_nits(signal) if transfer == "pq" else _hlg_nits(signal)
    linear = np.maximum((nits / REFERENCE_WHITE_NITS) @ _BT2020_TO_BT709.T, 0)
    return np.round(_srgb(np.clip(_roll_off(linear), 0, 1)) * 255).astype(np.uint8)


def _roll_off(linear: Float32[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width 3"]:
    peak = linear.max(axis=-1, keepdims=True)
    above = np.maximum(peak - KNEE, 0)
    mapped = np.minimum(peak, KNEE) + (1 - KNEE) * above / (above + 1 - KNEE)
    return linear * (mapped / np.maximum(peak, 1e-6))


def _pq_nits(signal: Float32[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width 3"]:
    """SMPTE ST 2084."""
    m1, m2 = 2610 / 16384, 2523 / 32
    c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    return 10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def _hlg_nits(signal: Float32[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width 3"]:
    """BT.2100, shown on a display of 1000 nits (system gamma 1.2)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luma = np.maximum(scene @ _BT2020_LUMA, 1e-6)[..., None]
    return HLG_PEAK_NITS * luma**0.2 * scene


def _srgb(linear: Float32[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width 3"]:
    """IEC 61966-2-1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-8) ** (1 / 2.4) - 0.055)
