"""A coarse saliency map -> a mask that follows the photo's edges.

Only the part of the photo where the network sees something is looked at, at its own best scale.
There the coarse mask is filtered with the photo as guide (He, Sun and Tang, "Guided image
filtering", 2013): it becomes, window by window, the linear function of the colours that is closest
to it, and so takes their edges.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.segmentation.grabcut import grab_cut, iou

SIDE_PX = 512
"""Longer side at which a product is worked on; more costs time and moves no edge that counts."""

MARGIN = 0.04
"""What is looked at around the salient part, as a share of its longer side."""

SEEN = 0.05
"""Saliency from here on may be product."""

RADIUS_PX, SMOOTHNESS = 8, 1e-4
"""Of the guided filter: half a window's side, and the colour variance (of 0..1) below which a
window counts as flat."""

EDGE_STEEPNESS = 2.5
"""How much harder a mask's edge is than the filter leaves it: about two working pixels wide."""

DECIDED = 0.75
"""Below this share of sure pixels the network is undecided, and GrabCut is asked."""

LEAST_PART = 0.01
"""Parts smaller than this share of the product are specks."""

Bool = NDArray[np.bool_]
Float = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Closeup:
    """The part of a photo that may be product: `rgb` (h, w, 3) and `saliency` (h, w) at the working
    size; `x`, `y`, `width`, `height` say where it is in the photo, px."""

    rgb: NDArray[np.uint8]
    saliency: Float
    x: int
    y: int
    width: int
    height: int

    @classmethod
    def of(cls, rgb: NDArray[np.uint8], saliency: Float) -> "Closeup":
        """The close-up of a photo (H, W, 3) and its saliency of any size, which has some."""
        seen = np.asarray(saliency >= SEEN)
        columns, x, width = _span(np.any(seen, axis=0), rgb.shape[1])
        rows, y, height = _span(np.any(seen, axis=1), rgb.shape[0])
        scale = min(1.0, SIDE_PX / max(width, height))
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        part = np.ascontiguousarray(rgb[y : y + height, x : x + width])
        small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        # From a pixel of the close-up to one of the saliency, by their centres.
        across, down = width / size[0] * columns, height / size[1] * rows
        to_saliency = np.array(
            [
                [across, 0, x * columns + across / 2 - 0.5],
                [0, down, y * rows + down / 2 - 0.5],
            ]
        )
        coarse = cv2.warpAffine(
            saliency, to_saliency, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return cls(np.asarray(small, np.uint8), np.asarray(coarse, np.float32), x, y, width, height)

    def in_photo(self, soft: Float, height: int, width: int) -> NDArray[np.uint8]:
        """A soft mask of the close-up as one of the photo (height, width), 0..255."""
        size = (self.width, self.height)
        large = cv2.resize(soft, size, interpolation=cv2.INTER_LINEAR) if soft.size else soft
        mask = np.zeros((height, width), np.uint8)
        steep = np.clip((np.asarray(large) - 0.5) * EDGE_STEEPNESS + 0.5, 0.0, 1.0)
        mask[self.y : self.y + self.height, self.x : self.x + self.width] = np.round(steep * 255)
        return mask


def _span(seen: Bool, length: int) -> tuple[float, int, int]:
    """Saliency pixels per photo pixel, and where the seen part with its margin begins in the photo
    and how long it is."""
    scale = len(seen) / length
    at = np.flatnonzero(seen)
    first, last = (float(at[0]) / scale, float(at[-1] + 1) / scale) if len(at) else (0.0, length)
    margin = MARGIN * (last - first)
    start, end = max(int(first - margin), 0), min(int(np.ceil(last + margin)), length)
    return scale, start, end - start


def refine(rgb: NDArray[np.uint8], saliency: Float, decision: float) -> tuple[Float, float]:
    """The soft mask (h, w) of a close-up, 0.5 its edge, and its agreement (IoU) with the network.

    `decision` is the share of salient pixels that the network is sure of.
    """
    coarse = saliency >= 0.5
    agreement = 1.0
    if decision < DECIDED:
        coarse, agreement = grab_cut(rgb, saliency)
    soft = guided(rgb.astype(np.float32) / 255, coarse.astype(np.float32), RADIUS_PX, SMOOTHNESS)
    mask = soft >= 0.5
    clean = without_specks(mask)
    soft = np.where(clean & ~mask, 1.0, np.where(mask & ~clean, 0.0, soft)).astype(np.float32)
    return soft, min(agreement, iou(clean, saliency >= 0.5))


def guided(guide: Float, mask: Float, radius: int, smoothness: float) -> Float:
    """The guided filter with a colour guide (h, w, 3) of 0..1 on a mask (h, w): eq. 14 to 16.

    The 3×3 system of each window is solved by its adjugate.
    """

    def mean(x: Float) -> Float:
        side = (2 * radius + 1, 2 * radius + 1)
        return np.asarray(cv2.boxFilter(x, -1, side, borderType=cv2.BORDER_REFLECT), np.float32)

    colours, mean_mask = mean(guide), mean(mask)
    r, g, b = (np.ascontiguousarray(guide[..., i]) for i in range(3))
    mr, mg, mb = (np.ascontiguousarray(colours[..., i]) for i in range(3))
    rr, gg, bb = (mean(c * c) - m * m + smoothness for c, m in ((r, mr), (g, mg), (b, mb)))
    rg, rb, gb = mean(r * g) - mr * mg, mean(r * b) - mr * mb, mean(g * b) - mg * mb
    x, y, z = (mean(c * mask) - m * mean_mask for c, m in ((r, mr), (g, mg), (b, mb)))
    c00, c01, c02 = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    c11, c12, c22 = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    det = rr * c00 + rg * c01 + rb * c02
    ar = (c00 * x + c01 * y + c02 * z) / det
    ag = (c01 * x + c11 * y + c12 * z) / det
    ab = (c02 * x + c12 * y + c22 * z) / det
    offset = mean_mask - ar * mr - ag * mg - ab * mb
    return mean(ar) * r + mean(ag) * g + mean(ab) * b + mean(offset)


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
