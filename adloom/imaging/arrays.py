"""The kinds of picture that imaging works on, and the check that two of them belong together."""

import cv2
import numpy as np
from numpy.typing import NDArray

from adloom.errors import MaskError
from adloom.geometry import Box

Rgb = NDArray[np.uint8]
"""(H, W, 3) sRGB."""

Mask = NDArray[np.uint8]
"""(H, W), 255 = product."""

Plane = NDArray[np.float32]
"""(H, W) or (H, W, C) of real numbers."""

OPAQUE = 128
"""A mask value from here on is product."""


def check_cutout(photo: Rgb, mask: Mask, bbox: Box) -> None:
    """Raises MaskError unless `mask` has the photo's size and `bbox` lies in it and has an area."""
    height, width = photo.shape[:2]
    if photo.ndim != 3 or photo.shape[2] != 3 or mask.shape != (height, width):
        raise MaskError(
            f"a photo of shape {photo.shape} and a mask of shape {mask.shape} do not belong "
            "together",
            hint="give an (H, W, 3) photo and an (H, W) mask of the same size",
        )
    check_bbox(mask, bbox)


def check_bbox(mask: Mask, bbox: Box) -> None:
    """Raises MaskError unless `bbox` lies in the mask and has an area."""
    height, width = mask.shape
    inside = bbox.x >= 0 and bbox.y >= 0 and bbox.right <= width and bbox.bottom <= height
    if not inside or bbox.width < 1 or bbox.height < 1:
        raise MaskError(
            f"{bbox} is not inside the {width}×{height} mask",
            hint="take the bounding box of the mask itself, in photo px",
        )


def luma(picture: NDArray[np.uint8] | Plane) -> Plane:
    """(H, W, 3) sRGB 0..255 -> (H, W) encoded luminance 0..255 (Rec. 601 weights)."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return picture.astype(np.float32, copy=False) @ weights


def as_alpha(mask: Mask) -> Plane:
    """A mask 0..255 as alpha 0..1."""
    return mask.astype(np.float32) / np.float32(255)


def dilated(region: Mask, radius: int) -> Mask:
    """The region (> 0) widened by a disc of `radius` px."""
    return np.asarray(cv2.dilate(region, _disc(radius)), np.uint8)


def eroded(region: Mask, radius: int, *, beyond: int = 1) -> Mask:
    """The region (> 0) narrowed by a disc of `radius` px; `beyond` is its value off the edge."""
    return np.asarray(cv2.erode(region, _disc(radius), borderValue=beyond), np.uint8)


def _disc(radius: int) -> NDArray[np.uint8]:
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
