"""Edge colours: a product cut from a white photo must carry no white rim.

At the rim of a product a photo's pixels are a mixture of product and background, and a mask is
seldom exact to the pixel. Where a rim pixel leans from the colour of the product just inside
towards that of the background just outside, the product's colour takes its place.
"""

import cv2
import numpy as np

from adloom.imaging.arrays import Mask, Plane, Rgb, dilated, eroded


def decontaminated(photo: Rgb, mask: Mask, rim_px: int, beyond_px: int = 0) -> Rgb:
    """The photo with the background's colour taken out of the product's rim.

    `rim_px`: how far inside the mask's edge, in px, the background may show. `beyond_px`: how far
    outside the mask the product's colour is continued, so that a filter that reads there finds
    it. All other pixels are returned as they are.
    """
    core = eroded((mask >= 250).astype(np.uint8), rim_px)
    outside = eroded((mask < 8).astype(np.uint8), rim_px, beyond=0)
    reached = dilated((mask > 0).astype(np.uint8), beyond_px) if beyond_px else mask
    rim = np.nonzero((reached > 0) & (core == 0))
    product, known = _mean_around(photo, core, 6 * rim_px + 1, rim)
    if beyond_px:
        wide, reachable = _mean_around(photo, core, 2 * (beyond_px + 3 * rim_px) + 1, rim)
        product, known = np.where(known[:, None], product, wide), known | reachable
    backdrop, backed = _mean_around(photo, outside, 12 * rim_px + 1, rim)
    backdrop = np.where(backed[:, None], backdrop, np.float32(255))

    colour = photo[rim].astype(np.float32)
    towards = backdrop - product
    lean = np.sum((colour - product) * towards, 1) / (np.sum(towards**2, 1) + 64.0)
    thin = 1 - mask[rim].astype(np.float32) / 255
    weight = np.maximum(np.clip((lean - 0.05) / 0.25, 0, 1), thin)
    weight = np.where(known, weight, 0)[:, None]

    result = photo.copy()
    result[rim] = np.rint(colour + weight * (product - colour)).astype(np.uint8)
    return result


def _mean_around(
    photo: Rgb, where: Mask, side: int, at: tuple[np.ndarray, ...]
) -> tuple[Plane, np.ndarray]:
    """(N, 3) mean colour of the pixels `where` == 1 in the square around each of N pixels, and
    (N,) whether there are any."""
    sides, border = (side, side), cv2.BORDER_REFLECT
    total = cv2.boxFilter(photo * where[..., None], cv2.CV_32F, sides, borderType=border)[at]
    share = cv2.boxFilter(where, cv2.CV_32F, sides, borderType=border)[at]
    mean = total / np.maximum(share, 1e-6)[:, None]
    return mean.astype(np.float32), share > 0.02
