"""Does a picture bear a tiled, half-transparent watermark? A sign, not a proof.

A watermark that is laid over a whole picture repeats: faint strokes of one shape at a regular
distance. What is faint is what is left when the picture's own edges are clipped; what repeats shows
as peaks of its autocorrelation, away from the middle.

Seen: marks that repeat at least about three times across or down the picture. Not seen: a single
logo in a corner (text detection finds it if it is text), marks that do not repeat, marks fainter
than noise. Taken for one: fabrics, tiles and lattices of faint, exactly regular pattern.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from adloom.imaging.arrays import luma

SIDE_PX = 512
FAINT = 12.0
"""Steps of 8 bits that a stroke of a watermark differs from its surroundings by, at most."""

LEAST_LAG = 24
"""px at SIDE_PX: nearer repetitions are texture."""


NOISE = 1.0
"""Variance of the strokes, in squared 8-bit steps, that compression alone may bring."""

LEAST_OVERLAP = 0.1
"""Lags at which less of the picture overlaps itself say nothing."""


def repetition(picture: NDArray[np.uint8], product: NDArray[np.bool_]) -> float:
    """How strongly faint strokes beside the product (H, W) of a picture (H, W, 3) repeat, 0..1.

    That is the highest peak of their normalised autocorrelation above its surroundings. Strong
    edges, and all that is near them, are left out of it as the product is: they are no watermark.
    """
    scale = min(1.0, SIDE_PX / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    light = luma(np.asarray(small, np.uint8))
    size = light.shape[1], light.shape[0]
    own = cv2.resize(product.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    strokes = light - cv2.GaussianBlur(light, (0, 0), 4.0)
    strong = ((np.abs(strokes) > FAINT) | (own > 0)).astype(np.uint8)
    known = (cv2.dilate(strong, np.ones((9, 9), np.uint8)) == 0).astype(np.float32)
    count = known.sum()
    if count < LEAST_OVERLAP * known.size:
        return 0.0
    faint = (strokes - (strokes * known).sum() / count) * known
    together, shared = _autocorrelation(faint), _autocorrelation(known)
    energy = float((faint**2).sum() / count) + NOISE
    # The less overlaps, the more grain repeats by chance: such lags count less.
    normal = together / np.maximum(shared, 1) / energy * np.sqrt(np.clip(shared / count, 0, 1))
    height, width = light.shape
    down, across = np.arange(height)[:, None], np.arange(-width + 1, width)[None]
    far = (np.hypot(down, across) >= LEAST_LAG) & (shared > LEAST_OVERLAP * known.size)
    peaks = normal - cv2.blur(normal.astype(np.float32), (31, 31))
    return float(np.clip(peaks[far].max(initial=0.0), 0, 1))


def _autocorrelation(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, 2W - 1): Σ f(x) f(x + lag) for lags down 0..H-1 and across -(W-1)..W-1."""
    height, width = plane.shape
    full = tuple(cv2.getOptimalDFTSize(2 * n) for n in plane.shape)
    lags = np.fft.irfft2(np.abs(np.fft.rfft2(plane, full)) ** 2, full)
    return np.concatenate([lags[:height, -width + 1 :], lags[:height, :width]], 1).astype(
        np.float32
    )
