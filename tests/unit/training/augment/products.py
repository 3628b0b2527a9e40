"""Made-up product photos on white with their exact masks."""

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def striped_disc(side: int = 96, radius: float = 30.0) -> tuple[Picture, Picture]:
    """A disc with coloured stripes and a soft edge: photo (side, side, 3) and mask (side, side)."""
    y, x = np.mgrid[0:side, 0:side] + 0.5
    distance = np.hypot(x - side / 2, y - side / 2)
    alpha = np.clip(radius - distance + 0.5, 0, 1)
    colour = np.stack([90 + 60 * np.sin(x / 3), 120 + 50 * np.cos(y / 4), 60 + x * 0], -1)
    photo = 255 + (colour - 255) * alpha[..., None]
    return np.rint(photo).astype(np.uint8), np.rint(alpha * 255).astype(np.uint8)


def ring(side: int = 96) -> tuple[Picture, Picture]:
    """A grey ring around a wide hole."""
    mask = np.zeros((side, side), np.uint8)
    cv2.circle(mask, (side // 2, side // 2), 34, 255, -1)
    cv2.circle(mask, (side // 2, side // 2), 20, 0, -1)
    return np.where(mask[..., None] > 0, 110, 255).astype(np.uint8).repeat(3, 2), mask


def iou(a: Picture, b: Picture) -> float:
    first, second = a >= 128, b >= 128
    return float(np.count_nonzero(first & second) / np.count_nonzero(first | second))
