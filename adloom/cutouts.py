"""What is known of a photo and its product mask."""

from dataclasses import dataclass
from enum import StrEnum

from adloom.geometry import Box


class MaskOrigin(StrEnum):
    """Where a mask came from."""

    ALPHA = "alpha"
    EXTRACTED = "extracted"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Photo:
    """A checked product photo: upright sRGB, stored under its sha256."""

    sha256: str
    width: int
    height: int
    bytes: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Cutout:
    """A photo's product mask (8 bit, photo size), its origin, and what planning needs of it.

    `bbox` is the product's bounding box in photo px (mask >= 128); `colours` are one to three
    colour words, most frequent first; `confidence` is in [0, 1].
    """

    photo_sha256: str
    mask_sha256: str
    origin: MaskOrigin
    extractor_version: str
    confidence: float
    bbox: Box
    area_fraction: float
    colours: tuple[str, ...]
