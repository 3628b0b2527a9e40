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


def scene_detail(picture: Picture, true: Picture, mask: Picture) -> float:
    """log2 of the fine contrast (rms of luminance about its blur) outside the mask over the true
    ad's, pictures (H, W, 3), mask (H, W): 0 is as much, -1 half of it. NaN where the product leaves
    no scene."""
    side = 2 * RIM_PX + 1
    hidden = cv2.dilate((mask > 0).astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    if hidden.all():
        return float("nan")
    own, asked = (_fine(p)[~hidden] for p in (picture, true))
    own, asked = (float(np.sqrt(np.mean(np.square(x)))) + FLOOR for x in (own, asked))
    return float(np.log2(own / asked))


def _fine(picture: Picture) -> NDArray[np.float32]:
    grey = np.asarray(luma(picture), np.float32)
    return grey - np.asarray(cv2.GaussianBlur(grey, (0, 0), FINE_PX), np.float32)
