"""The render's own background, made ready to stand behind the photo's product."""

from dataclasses import dataclass
from functools import cache
from math import ceil, sqrt

import cv2
import numpy as np
from PIL import Image

from adloom.geometry import CoverMap, Size
from adloom.imaging.arrays import OPAQUE, Mask, Plane, Rgb, dilated, eroded

GRAIN_LEVELS = 1.6
_GRAIN_TILE = 256
_FILL_RADII = (1.0, 2.0, 4.0, 8.0)
_REACH = 0.08


@dataclass(frozen=True, slots=True)
class Rim:
    """How far beyond the masks a render is painted over: around the placed product as a share of
    its size (the root of its area), a pixel at least; around the render's own as far, or `own_px`.
    """

    share: float = 0.008
    own_px: int | None = None


THIN = Rim()


def without_product(render: Rgb, own_mask: Mask, placed: Mask, rim: Rim = THIN) -> Rgb:
    """The native render with its product's rim painted over from the background beside it.

    The render's product is never quite where the photo's product will lie; what sticks out would
    show as a second outline. Only a thin ring is painted (`rim` where the masks agree, up to
    `_REACH` of the product's size where the render's product sticks out), so that the contact
    shadow beyond it stays, and the ring takes on the shadow's own colour.
    """
    product = (placed >= OPAQUE).astype(np.uint8)
    side = sqrt(float(product.sum()))
    reach = ceil(_REACH * side) + 1
    seam = max(1, round(rim.share * side))
    sticking_out = dilated((own_mask >= OPAQUE).astype(np.uint8), rim.own_px or seam)
    ring = dilated(product, reach) & sticking_out
    hidden = dilated((placed >= 8).astype(np.uint8), seam) | ring
    deep = eroded(product, reach)
    return _filled(render, hidden.astype(bool), keep=deep.astype(bool))


def _filled(picture: Rgb, hole: np.ndarray, keep: np.ndarray) -> Rgb:
    """The hole painted with means of what surrounds it, nearest first; `keep` stays as it is."""
    result = picture.astype(np.float32)
    known = (~hole).astype(np.float32)
    missing = hole & ~keep
    for radius in _FILL_RADII:
        if not missing.any():
            break
        weight = cv2.GaussianBlur(known, (0, 0), radius)
        mean = cv2.GaussianBlur(result * known[..., None], (0, 0), radius)
        found = missing & (weight > 0.05)
        result[found] = mean[found] / weight[found][:, None]
        known[found] = 1
        missing &= ~found
    return np.rint(np.clip(result, 0, 255)).astype(np.uint8)


def upscaled(picture: Rgb, to_canvas: CoverMap, canvas: Size) -> Rgb:
    """Native -> canvas with Lanczos, centre-cropped to cover it.

    Where the factor is large, the native picture is softened first, as much as hides the native
    pixel grid: a background of few pixels then looks out of focus, not blocky.
    """
    soft = 0.55 * min(1.0, max(0.0, (to_canvas.scale - 1.5) / 4.0))
    if soft > 0.05:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), soft), np.uint8)
    scale = to_canvas.scale
    x, y = to_canvas.offset_x / scale, to_canvas.offset_y / scale
    window = (x, y, x + canvas.width / scale, y + canvas.height / scale)
    size = (canvas.width, canvas.height)
    resized = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS, box=window)
    return np.asarray(resized)


def grained(picture: Rgb, scale: float) -> Rgb:
    """The picture with a fine film grain, the same on every call; the larger the upscaling
    factor, the stronger: it hides the smoothness of pixels that were never there."""
    strength = min(1.0, max(0.0, (scale - 1.5) / 4.0))
    if strength == 0.0:
        return picture
    height, width = picture.shape[:2]
    tile = np.rint(_grain() * strength).astype(np.int16)
    rows, columns = -(-height // _GRAIN_TILE), -(-width // _GRAIN_TILE)
    grain = np.tile(tile, (rows, columns))[:height, :width]
    return np.asarray(cv2.add(picture, cv2.merge([grain] * 3), dtype=cv2.CV_8U), np.uint8)


@cache
def _grain() -> Plane:
    noise = np.random.default_rng(20_110).standard_normal((_GRAIN_TILE, _GRAIN_TILE))
    soft = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 0.7, borderType=cv2.BORDER_REFLECT)
    return soft * np.float32(GRAIN_LEVELS / soft.std())
