"""GrabCut, for the photos of which the network is undecided.

Rother, Kolmogorov and Blake, "GrabCut": interactive foreground extraction using iterated graph
cuts, 2004. It models the colours of both sides, and so finds parts of a product that the network
doubts; it costs more than the network itself, and where that is sure it moves no edge that counts.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SURE, SURE_NOT = 0.9, 0.1
ITERATIONS = 2
LEAST_AGREEMENT = 0.7
"""Below this IoU with the network GrabCut has run away with the background's colours."""

Bool = NDArray[np.bool_]


def iou(a: Bool, b: Bool) -> float:
    """Intersection over union; 0 for two empty masks."""
    return float(np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1))


def grab_cut(rgb: NDArray[np.uint8], saliency: NDArray[np.floating[Any]]) -> tuple[Bool, float]:
    """The mask (H, W) of a photo (H, W, 3) seeded by its saliency, and its IoU with the network's.

    Where it strays too far from the network, the network's own mask is returned.
    """
    coarse = saliency >= 0.5
    trimap = np.where(coarse, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[saliency > SURE] = cv2.GC_FGD
    trimap[saliency < SURE_NOT] = cv2.GC_BGD
    front = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if front.all() or not front.any():
        return coarse, 1.0
    cv2.setRNGSeed(0)  # k-means inside; the same photo must give the same mask
    models = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    cv2.grabCut(bgr, trimap, (0, 0, 1, 1), *models, ITERATIONS, cv2.GC_INIT_WITH_MASK)
    refined = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))
    agreement = iou(refined, coarse)
    return (refined if agreement >= LEAST_AGREEMENT else coarse), agreement
