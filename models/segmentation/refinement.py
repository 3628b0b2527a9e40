"""A coarse saliency map -> a mask that follows the photo's edges."""

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX = 512
"""Longer side at which GrabCut works; more costs time and moves no edge that counts."""

SURE, SURE_NOT = 0.9, 0.1
ITERATIONS = 2
LEAST_AGREEMENT = 0.7
"""Below this IoU with the network GrabCut has run away with the background's colours."""

LEAST_PART = 0.01
"""Parts smaller than this share of the product are specks."""

Bool = NDArray[np.bool_]


def iou(a: Bool, b: Bool) -> float:
    """Intersection over union; 0 for two empty masks."""
    return float(np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1))


def at_working_size(
    rgb: NDArray[np.uint8], saliency: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Photo and saliency at the same size, longer side at most SIDE_PX."""
    height, width = rgb.shape[:2]
    scale = min(1.0, SIDE_PX / max(height, width))
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), np.asarray(
        cv2.resize(saliency, size, interpolation=cv2.INTER_LINEAR), np.float32
    )


def refine(rgb: NDArray[np.uint8], saliency: NDArray[np.float32]) -> tuple[Bool, float]:
    """The refined mask at the working size and GrabCut's agreement (IoU) with the network.

    Rother, Kolmogorov and Blake, "GrabCut", 2004, seeded by the saliency. Where GrabCut strays
    too far from the network, the network's own mask is returned.
    """
    coarse = saliency >= 0.5
    trimap = np.where(coarse, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[saliency > SURE] = cv2.GC_FGD
    trimap[saliency < SURE_NOT] = cv2.GC_BGD
    front = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if front.all() or not front.any():
        return without_specks(coarse), iou(coarse, coarse)
    cv2.setRNGSeed(0)  # k-means inside; the same photo must give the same mask
    models = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    cv2.grabCut(bgr, trimap, (0, 0, 1, 1), *models, ITERATIONS, cv2.GC_INIT_WITH_MASK)
    refined = without_specks(np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD)))
    agreement = iou(refined, coarse)
    return (refined if agreement >= LEAST_AGREEMENT else without_specks(coarse)), agreement


def without_specks(mask: Bool) -> Bool:
    """The mask without parts, and without holes, that are too small to be meant."""
    least = LEAST_PART * np.count_nonzero(mask)
    kept = _large_parts(mask, least)
    return ~_large_parts(~kept, least / 4)


def _large_parts(mask: Bool, least_px: float) -> Bool:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = np.asarray(stats[:, cv2.CC_STAT_AREA] >= least_px)
    large[0] = False
    return np.asarray(large)[np.asarray(labels, np.intp)]


def to_photo_size(mask: Bool, height: int, width: int) -> NDArray[np.uint8]:
    """The mask at the photo's size, 0..255, its edge soft by about one working pixel."""
    if mask.shape == (height, width):
        return mask.astype(np.uint8) * 255
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.6)
    large = cv2.resize(soft, (width, height), interpolation=cv2.INTER_CUBIC)
    steep = np.clip((large - 0.5) * 1.6 + 0.5, 0.0, 1.0)
    return np.round(steep * 255).astype(np.uint8)
