"""How a raw render becomes the delivered image: the recorded recipe of finishing."""

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

FINISHING_VERSION = "1"
"""Raised by hand when the same recipe gives other pixels."""


class ImageFormat(StrEnum):
    WEBP = "webp"
    JPEG = "jpeg"
    PNG = "png"

    @property
    def media_type(self) -> str:
        return f"image/{self.value}"

    @property
    def suffix(self) -> str:
        return ".jpg" if self is ImageFormat.JPEG else f".{self.value}"


class DetailLock(StrEnum):
    """What became of detail lock."""

    APPLIED = "applied"
    OFF = "off"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class FinishingSpec:
    """Recipe of finishing. Gains are factors, ΔE is CIE76, the edge is in canvas px.

    `min_agreement`: detail lock is refused where the IoU of the render's own product mask with the
    placed mask is below it.
    """

    canvas_width: int
    canvas_height: int
    detail_lock: bool = True
    edge_px: float = 2.0
    gain_min: float = 0.6
    gain_max: float = 1.6
    chroma_shift_max: float = 8.0
    min_agreement: float = 0.55
    encoding: ImageFormat = ImageFormat.WEBP
    quality: int = 90
    version: str = FINISHING_VERSION

    @property
    def finish_hash(self) -> str:
        """Sha256 (hex) over all fields."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
