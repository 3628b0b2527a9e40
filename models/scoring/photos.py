"""What is seen of a product photo, for the choice among several."""

import numpy as np
from numpy.typing import NDArray

from adloom.photo_quality import PhotoSigns
from models.scoring.text import TextDetector

_PLAIN_STD, _BUSY_STD = 4.0, 45.0
"""Standard deviation of the background, 0..255: of one colour; as busy as it gets."""


def photo_signs(
    rgb: NDArray[np.uint8], mask: NDArray[np.uint8], confidence: float, text: TextDetector
) -> PhotoSigns:
    """The signs of a photo (H, W, 3) with its product mask (H, W), 255 = product."""
    product = mask >= 128
    edge = np.concatenate([product[0], product[-1], product[:, 0], product[:, -1]])
    return PhotoSigns(
        mask_confidence=confidence,
        product_px=_size_px(product),
        plainness=_plainness(rgb, product),
        text=text.share_beside(rgb, product),
        border=float(edge.mean()),
    )


def _size_px(product: NDArray[np.bool_]) -> float:
    rows, columns = np.nonzero(product)
    if not len(rows):
        return 0.0
    return float(np.sqrt(float(np.ptp(rows) + 1) * float(np.ptp(columns) + 1)))


def _plainness(rgb: NDArray[np.uint8], product: NDArray[np.bool_]) -> float:
    """1 for a background of one colour; the mean over channels of its deviation decides."""
    behind = rgb[~product]
    if not len(behind):
        return 0.0
    deviation = float(behind.astype(np.float32).std(axis=0).mean())
    return float(np.interp(deviation, (_PLAIN_STD, _BUSY_STD), (1.0, 0.0)))
