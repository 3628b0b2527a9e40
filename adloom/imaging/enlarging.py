"""A native picture drawn larger by something that knows more than its pixels."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from adloom.errors import RenderError
from adloom.geometry import CoverMap
from adloom.imaging.arrays import Mask, Rgb, as_alpha

_EDGE_SHARE = 0.01
"""Of the picture's diagonal: the width over which the kept product passes into the new scene."""


def as_it_is(picture: Rgb) -> Rgb:
    """Enlarges nothing: interpolation alone takes the picture to the canvas."""
    return picture


def enlarged(
    picture: Rgb, enlarge: Callable[[Rgb], Rgb], to_canvas: CoverMap
) -> tuple[Rgb, CoverMap]:
    """(k h, k w, 3) of (h, w, 3), and the map from there to the canvas.

    A canvas that asks for no enlargement gets none. RenderError where what came is not the picture
    a whole number of times as large.
    """
    if to_canvas.scale <= 1:
        return picture, to_canvas
    large = enlarge(picture)
    factor = max(1, large.shape[0] // picture.shape[0])
    height, width = picture.shape[:2]
    if large.shape != (factor * height, factor * width, 3) or large.dtype != np.uint8:
        raise RenderError(
            f"the upscaler made {large.dtype} {large.shape} of a picture of {picture.shape}",
            hint="it must give (k H, k W, 3) uint8 for a whole k",
        )
    return large, replace(to_canvas, scale=to_canvas.scale / factor)


def with_product(scene: Rgb, product: Rgb, mask: Mask) -> Rgb:
    """The scene with `product`'s pixels where the mask (H, W) has it, softly at its edge."""
    alpha = cv2.GaussianBlur(as_alpha(mask), (0, 0), _EDGE_SHARE * np.hypot(*mask.shape) / 4)
    mixed = scene + (product.astype(np.float32) - scene) * alpha[..., None]
    return np.rint(mixed).astype(np.uint8)
