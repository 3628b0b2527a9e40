"""How much fine detail a picture's scene has, beside the true ad's.

A small model's scenes are softer than photographs: its autoencoder keeps a part of what is fine,
and its U-Net draws a part of that.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from adloom.imaging.arrays import luma

Picture = NDArray[np.uint8]
FINE_PX: Final = 1.4
"""Deviation of the blur that takes away what is fine, px of the native picture."""
RIM_PX: Final = 4
"""So far from the product nothing is looked at."""
FLOOR: Final = 0.25
"""Levels: what two plain walls differ by is no detail."""


def scene_detail(picture: Picture, true: Picture, products: Picture) -> float:
    """log2 of the fine contrast of the picture's scene over the true ad's: 0 is as much, -1 half of
    it. NaN where the products leave no scene.

    Fine contrast is the RMS contrast of what a blur of FINE_PX takes away, plus FLOOR levels: it is
    of the picture's own px, so figures of one native size alone can be compared. Pictures
    (H, W, 3); products (H, W): above 0 where either shows a product. ValueError where the sizes
    differ.
    """
    if picture.shape != true.shape or products.shape != true.shape[:2]:
        raise ValueError(f"{picture.shape}, {true.shape} and {products.shape} are of several sizes")
    side = 2 * RIM_PX + 1
    hidden = cv2.dilate((products > 0).astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    if hidden.all():
        return float("nan")
    own, asked = (_fine(p)[~hidden] for p in (picture, true))
    own, asked = (float(np.sqrt(np.mean(np.square(x)))) + FLOOR for x in (own, asked))
    return float(np.log2(own / asked))


def _fine(picture: Picture) -> NDArray[np.float32]:
    grey = np.asarray(luma(picture), np.float32)
    return grey - np.asarray(cv2.GaussianBlur(grey, (0, 0), FINE_PX), np.float32)
