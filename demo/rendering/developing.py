"""From linear light to the printed packshot: white floor, calm shadow, soft highlights."""

from collections.abc import Sequence

import cv2
import numpy as np

from training.rendering.surfaces import Array
from training.rendering.tone import shoulder

COVERED = 0.004
"""The share of a pixel from which on it counts as the product's."""

_EXPOSURE, _CONTRAST = 0.84, 1.14  # of the product; the floor has its own
_FLOOR_EXPOSURE = 1.10  # the far, faint end of the shadow is white


def smooth_light(empty: Array, size_px: int) -> Array:
    """The empty set without noise, at the size asked for."""
    blurred = cv2.GaussianBlur(empty, (0, 0), len(empty) / 20, borderType=cv2.BORDER_REPLICATE)
    grown = cv2.resize(blurred, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    return np.asarray(grown, dtype=np.float64)


def floor_shade(relative: Array, mask: Array, size_px: int) -> Array:
    """The floor's shade, (size, size), 1 is white; without noise, and continued under the product.

    Smoothing takes floor pixels only, so no colour of the product bleeds into it.
    """
    floor = (mask <= COVERED).astype(np.float64)
    shade = relative.mean(axis=2) * floor
    unit = len(mask) / 300
    sigmas = (24 * unit, 8 * unit, 3.5 * unit)
    calm = _filled(shade, floor, sigmas)
    sharp = _filled(shade, floor, (*sigmas, 1.4 * unit))
    from_product = cv2.distanceTransform(floor.astype(np.uint8), cv2.DIST_L2, 5)
    near = np.clip(1.5 - np.minimum(from_product, size_px) / unit / 12, 0.0, 1.0)
    mixed = np.asarray(near * sharp + (1 - near) * calm, dtype=np.float64)
    shade = np.asarray(cv2.resize(mixed, (size_px, size_px)), dtype=np.float64)
    return np.clip(shade * _FLOOR_EXPOSURE, 0.0, 1.0)


def _filled(shade: Array, floor: Array, sigmas: Sequence[float]) -> Array:
    """The shade smoothed over floor pixels by the finest sigma (px) that reaches enough."""
    filled = np.ones_like(shade)
    for sigma in sigmas:
        weight = cv2.GaussianBlur(floor, (0, 0), sigma)
        mean = cv2.GaussianBlur(shade, (0, 0), sigma) / np.maximum(weight, 1e-9)
        filled = np.where(weight > 0.1, mean, filled)
    return filled


def exposed(light: Array) -> Array:
    """The product's light with the print's exposure, contrast and soft highlights."""
    return shoulder(_EXPOSURE * light**_CONTRAST)
