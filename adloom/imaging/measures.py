"""What can be measured on pixels without a network: growth, coverage, sharpness, clipping."""

from math import ceil, exp, floor, sqrt

import cv2
import numpy as np

from adloom.geometry import Box
from adloom.imaging.arrays import OPAQUE, Mask, Plane, Rgb, dilated, luma

TOLERANCE = 0.03
"""How far a render's product may stand over its placed mask before that counts as growth: a
share of the product's size (the square root of its area), at least 1 px."""

NEIGHBOURHOOD = 0.5
"""Growth is looked for this far around the product's box, in shares of its longer side."""

_SHARP = 0.12  # a gradient rms (of 1 = black to white between neighbours) that counts as sharp


def growth(own_mask: Mask, placed: Mask, box: Box) -> float:
    """Product area outside the placed mask (widened by TOLERANCE) / placed area.

    Both masks are (h, w), native. Only what hangs together with the product and lies in its
    neighbourhood counts, so that a prop that the extractor took for a product does not.
    An empty placed mask gives infinity where the render shows a product.
    """
    product = (placed >= OPAQUE).astype(np.uint8)
    area = int(product.sum())
    own = _connected(_nearby(own_mask, box), product)
    radius = max(1, round(TOLERANCE * sqrt(area)))
    outside = cv2.countNonZero(own & (1 - dilated(product, radius)))
    if area == 0:
        return float("inf") if np.any(own_mask >= OPAQUE) else 0.0
    return outside / area


def coverage(own_mask: Mask, placed: Mask) -> float:
    """Share of the placed mask where the render shows a product; 0 for an empty mask."""
    product = placed >= OPAQUE
    area = int(np.count_nonzero(product))
    shown = int(np.count_nonzero(product & (own_mask >= OPAQUE)))
    return shown / area if area else 0.0


def sharpness(picture: Rgb) -> float:
    """Gradient energy in 0..1, at a size of at most 512 px: 0 flat, about .6 a crisp photo."""
    side = max(picture.shape[:2])
    if side > 512:
        scale = 512 / side
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        picture = np.asarray(small, np.uint8)
    light: Plane = luma(picture) / np.float32(255)
    across, down = np.diff(light, axis=1), np.diff(light, axis=0)
    energy = float((across**2).mean() + (down**2).mean())
    return 1 - exp(-sqrt(energy) / _SHARP)


def clipping(picture: Rgb) -> float:
    """Share of px that are blown out (all channels >= 253) or crushed (all <= 2)."""
    picture = np.ascontiguousarray(picture)
    blown = cv2.inRange(picture, (253, 253, 253), (255, 255, 255))
    crushed = cv2.inRange(picture, (0, 0, 0), (2, 2, 2))
    return (cv2.countNonZero(blown) + cv2.countNonZero(crushed)) / blown.size


def _nearby(own_mask: Mask, box: Box) -> Mask:
    """1 where the render shows a product in the neighbourhood of the box."""
    height, width = own_mask.shape
    reach = NEIGHBOURHOOD * max(box.width, box.height)
    x0, x1 = max(0, floor(box.x - reach)), min(width, ceil(box.right + reach))
    y0, y1 = max(0, floor(box.y - reach)), min(height, ceil(box.bottom + reach))
    near = np.zeros((height, width), np.uint8)
    near[y0:y1, x0:x1] = own_mask[y0:y1, x0:x1] >= OPAQUE
    return near


def _connected(own: Mask, product: Mask) -> Mask:
    """The connected parts of `own` that share pixels with the placed product."""
    _, labels = cv2.connectedComponents(own, connectivity=4)
    touching = np.unique(labels[product.astype(bool)])
    return np.isin(labels, touching[touching > 0]).astype(np.uint8)
