"""From linear light to the numbers of a picture file."""

import numpy as np
from numpy.typing import NDArray

from training.rendering.surfaces import Array


def shoulder(linear: Array, start: float = 0.72) -> Array:
    """Rolls highlights off towards 1, so that they keep colour and shape; darker is untouched."""
    room = 1.0 - start
    over = np.maximum(linear - start, 0.0)
    return np.where(linear > start, start + room * over / (over + room), linear)


def encoded(linear: Array) -> NDArray[np.uint8]:
    """Linear light as 8-bit sRGB."""
    power = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, power)
    return (np.clip(encoded, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
