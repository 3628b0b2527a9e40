"""Which ad pictures are fit to learn from, and why the others are not."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from adloom.imaging.arrays import luma
from models.segmentation import ExtractedMask
from training.adprod.watermarks import repetition

Picture = NDArray[np.uint8]

BLUR_SIDE_PX = 512


class Reason(StrEnum):
    """Why a picture was left out."""

    UNREADABLE = "UNREADABLE"
    DUPLICATE = "DUPLICATE"
    LOW_RESOLUTION = "LOW_RESOLUTION"
    BLURRED = "BLURRED"
    WATERMARK = "WATERMARK"
    NO_PRODUCT = "NO_PRODUCT"
    UNCERTAIN_MASK = "UNCERTAIN_MASK"
    CUT_OFF = "CUT_OFF"
    PRODUCT_TOO_SMALL = "PRODUCT_TOO_SMALL"
    PRODUCT_TOO_LARGE = "PRODUCT_TOO_LARGE"
    EMBEDDED_TEXT = "EMBEDDED_TEXT"
    NO_CAPTION = "NO_CAPTION"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture must keep. `shorter_px`: its shorter side, in px, at least. `sharpness`:
    variance of the Laplacian of its luminance at 512 px. `repetition`: of faint strokes, at most
    (watermarks). `confidence`: of the mask. `border`: share of the picture's border that may be
    product. `smallest`, `largest`: the product's share of the picture. `text`: share of the picture
    that may be text beside the product."""

    shorter_px: int = 512
    sharpness: float = 30.0
    repetition: float = 0.04
    confidence: float = 0.5
    border: float = 0.01
    smallest: float = 0.02
    largest: float = 0.7
    text: float = 0.004


@dataclass(frozen=True, slots=True)
class Refusal:
    """A picture is left out: for this reason, with what was measured."""

    reason: Reason
    detail: str


class TextDetector(Protocol):
    """Finds text; `version` names its method and weights."""

    version: str

    def share_beside(self, rgb: Picture, product: NDArray[np.bool_]) -> float:
        """The share of a picture (H, W, 3) that is text and not on its product (H, W)."""
        ...


def check_size(width: int, height: int, limits: Limits) -> Refusal | None:
    """The size is the file's, before anything was scaled."""
    if min(width, height) < limits.shorter_px:
        return Refusal(Reason.LOW_RESOLUTION, f"{width}×{height} px")
    return None


def check_picture(picture: Picture, limits: Limits) -> Refusal | None:
    """What can be seen of the picture (H, W, 3) alone."""
    sharp = sharpness(picture)
    if sharp < limits.sharpness:
        return Refusal(Reason.BLURRED, f"sharpness {sharp:.1f}")
    return None


def sharpness(picture: Picture) -> float:
    """Variance of the Laplacian of the luminance (0..255) at 512 px of longer side."""
    scale = min(1.0, BLUR_SIDE_PX / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(luma(np.asarray(small, np.uint8)), cv2.CV_32F).var())


def check_mask(found: ExtractedMask, limits: Limits) -> Refusal | None:
    """What the product's mask tells."""
    area = found.area_fraction
    if found.confidence == 0 or area == 0:
        return Refusal(Reason.NO_PRODUCT, found.reason or "no product was found")
    border = _border_share(found.mask)
    if border > limits.border:
        return Refusal(Reason.CUT_OFF, f"{border:.1%} of the border is product")
    if area < limits.smallest:
        return Refusal(Reason.PRODUCT_TOO_SMALL, f"{area:.1%} of the picture")
    if area > limits.largest:
        return Refusal(Reason.PRODUCT_TOO_LARGE, f"{area:.1%} of the picture")
    if found.confidence < limits.confidence:
        return Refusal(Reason.UNCERTAIN_MASK, f"confidence {found.confidence:.2f}")
    return None


def check_overlays(
    picture: Picture, mask: Picture, detector: TextDetector, limits: Limits
) -> Refusal | None:
    """Watermarks, and text beside the product: its own label does not count."""
    product = mask >= 128
    repeated = repetition(picture, product)
    if repeated > limits.repetition:
        return Refusal(Reason.WATERMARK, f"repetition {repeated:.2f}")
    share = detector.share_beside(picture, product)
    if share > limits.text:
        return Refusal(Reason.EMBEDDED_TEXT, f"{share:.1%} of the picture")
    return None


def _border_share(mask: Picture) -> float:
    edge = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    return float(np.mean(edge >= 128))
