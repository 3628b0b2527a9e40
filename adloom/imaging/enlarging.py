"""A native picture drawn larger by something that knows more than its pixels."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from adloom.errors import RenderError
from adloom.geometry import CoverMap
from adloom.imaging.arrays import Mask, Plane, Rgb, as_alpha

EDGE, COARSE = 0.0025, 0.03
"""Shares of the picture's diagonal: how softly the product passes into the drawn scene, and from
where on a change is one of colour and not of detail (standard deviations)."""


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


def detailed(render: Rgb, drawn: Rgb, product: Mask) -> Rgb:
    """The enlarged render (H, W, 3) with the detail that was `drawn` over it, and its own colours.

    What is coarser than COARSE of the diagonal stays the render's, as StableSR's wavelet colour
    correction keeps it (arXiv 2305.07015): tiles that see a part of the scene drift in colour.
    Where `product` (H, W) has it, softly at its edge, all of the render stays.
    """
    diagonal = float(np.hypot(*product.shape))
    kept = cv2.GaussianBlur(as_alpha(product), (0, 0), EDGE * diagonal)[..., None]
    free = np.asarray(1 - kept, np.float32)
    change = (drawn.astype(np.float32) - render) * free
    coarse = _low(change, COARSE * diagonal) / np.maximum(_low(free, COARSE * diagonal), 1e-3)
    made = render + change - coarse * free
    return np.rint(np.clip(made, 0, 255)).astype(np.uint8)


def _low(plane: Plane, sigma: float) -> Plane:
    blurred = cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32).reshape(plane.shape)
