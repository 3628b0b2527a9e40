"""The product mask of a photo, and how far it can be trusted."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from adloom.cutouts import MaskOrigin
from adloom.errors import MaskError
from adloom.geometry import Box
from models.segmentation.confidence import MaskSigns, confidence, decision, signs
from models.segmentation.measures import LEAST_AREA, OPAQUE, area_fraction, bounding_box, real_alpha
from models.segmentation.refinement import Closeup, refine
from models.segmentation.saliency import Saliency, installed_weights

REVISION = 2
"""Raised by every change that changes masks."""

LEAST_SALIENCY = 0.3
"""Nowhere above this: the network sees no product."""


class MaskReason(StrEnum):
    """Why a mask is not to be trusted, or there is none."""

    NOTHING_FOUND = "NOTHING_FOUND"
    TOUCHES_BORDER = "TOUCHES_BORDER"
    FILLS_PHOTO = "FILLS_PHOTO"
    UNCERTAIN_EDGE = "UNCERTAIN_EDGE"


@dataclass(frozen=True, slots=True)
class ExtractedMask:
    """A photo's product mask: (H, W) uint8, 255 = product.

    `confidence` in [0, 1] estimates the mask's IoU with the true one; 0 where nothing was found,
    and then the mask is empty and `bbox` has no area. `bbox` is in photo px, `area_fraction` of
    the photo. `reason` is empty for a mask that nothing speaks against.
    """

    mask: NDArray[np.uint8]
    confidence: float
    origin: MaskOrigin
    bbox: Box
    area_fraction: float
    reason: str = ""


class Extractor(Protocol):
    """Photo -> product mask. `version` names networks, weights and method: it changes with any."""

    version: str

    def extract(self, photo: NDArray[np.uint8], phrase: str = "") -> ExtractedMask:
        """The mask of an (H, W, 3) or (H, W, 4) sRGB photo of what `phrase` (a category) says."""
        ...


class MaskExtractor:
    """Extracts masks by a saliency network, which it keeps in memory."""

    def __init__(self, saliency: Saliency) -> None:
        self._saliency = saliency
        self.version = f"u2netp-{saliency.weights_hash[:8]}+guided-{REVISION}"

    @classmethod
    def load(cls, weights: Path | None = None, *, threads: int = 1) -> "MaskExtractor":
        """The extractor with a u2netp.onnx file, by default the installed package's.

        `threads` bounds the network's CPU threads. Raises ModelError.
        """
        return cls(Saliency(weights or installed_weights(), threads))

    def extract(self, photo: NDArray[np.uint8], phrase: str = "") -> ExtractedMask:
        """The mask of an (H, W, 3) or (H, W, 4) sRGB photo; real alpha is taken as it is.

        This network sees what stands out, whatever it is called: `phrase` changes nothing.

        A photo without a product gives an empty mask of confidence 0. Raises MaskError for an
        array that is no photo.
        """
        del phrase
        checked_photo(photo)
        if photo.shape[2] == 4 and (alpha := real_alpha(photo[..., 3])) is not None:
            return measured(alpha, 1.0, MaskOrigin.ALPHA, "")
        return self._extracted(np.ascontiguousarray(photo[..., :3]))

    def _extracted(self, rgb: NDArray[np.uint8]) -> ExtractedMask:
        height, width = rgb.shape[:2]
        saliency = self._saliency(rgb)
        if saliency.max() < LEAST_SALIENCY or rgb[::4, ::4].std() < 1:
            return nothing(height, width)
        seen = Closeup.of(rgb, saliency)
        soft, agreement = refine(seen.rgb, seen.saliency, decision(saliency))
        mask = seen.in_photo(soft, height, width)
        if area_fraction(mask) < LEAST_AREA:
            return nothing(height, width)
        found = signs(mask >= OPAQUE, saliency, agreement)
        value = confidence(found)
        return measured(mask, value, MaskOrigin.EXTRACTED, _reason(found, value))


def checked_photo(photo: NDArray[np.uint8]) -> None:
    """Raises MaskError for an array that is no photo."""
    if photo.ndim != 3 or photo.shape[2] not in (3, 4) or photo.dtype != np.uint8:
        raise MaskError(
            f"an array of shape {photo.shape} and type {photo.dtype} is no photo",
            hint="give (H, W, 3) or (H, W, 4) uint8",
        )


def _reason(found: MaskSigns, value: float) -> str:
    if found.area > 0.9:
        return MaskReason.FILLS_PHOTO
    if found.border > 0.1:
        return MaskReason.TOUCHES_BORDER
    return MaskReason.UNCERTAIN_EDGE if value < 0.7 else ""


def nothing(height: int, width: int) -> ExtractedMask:
    """The empty mask of a photo that shows no product."""
    return ExtractedMask(
        np.zeros((height, width), np.uint8), 0.0, MaskOrigin.EXTRACTED, Box(0, 0, 0, 0), 0.0,
        MaskReason.NOTHING_FOUND,
    )  # fmt: skip


def measured(
    mask: NDArray[np.uint8], value: float, origin: MaskOrigin, reason: str
) -> ExtractedMask:
    """A mask (H, W) with its box and area."""
    return ExtractedMask(mask, value, origin, bounding_box(mask), area_fraction(mask), reason)
