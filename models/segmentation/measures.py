"""Plain measures of a mask."""

import numpy as np
from numpy.typing import NDArray

from adloom.geometry import Box

OPAQUE = 128
"""A mask value from here on is product."""

LEAST_AREA = 0.002
"""A product smaller than this share of its photo is none."""


def bounding_box(mask: NDArray[np.uint8]) -> Box:
    """The box of all mask values >= OPAQUE, px; without area if there are none."""
    product = mask >= OPAQUE
    rows, columns = np.flatnonzero(product.any(axis=1)), np.flatnonzero(product.any(axis=0))
    if not len(rows):
        return Box(0, 0, 0, 0)
    top, left = int(rows[0]), int(columns[0])
    return Box(left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)


def area_fraction(mask: NDArray[np.uint8]) -> float:
    """The product's share of the photo's pixels."""
    return float(np.mean(mask >= OPAQUE))


def real_alpha(alpha: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """The alpha channel if it tells a product from its background, else None.

    It must have both: an opaque part that can be a product, and a background around it.
    """
    share = area_fraction(alpha)
    return alpha.copy() if LEAST_AREA <= share <= 1 - LEAST_AREA else None
