"""How a raw render becomes the delivered image: the recorded recipe of finishing."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

FINISHING_VERSION = "3"
"""Raised by hand when the same recipe would give other pixels; what the versions before did is kept
(`adloom.imaging.finishing.MANNERS`), so that a stored recipe gives the same for ever."""


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


class Upscaler(StrEnum):
    """What enlarges the native picture before it is brought to the canvas."""

    LANCZOS = "lanczos"
    """Nothing does: interpolation alone."""
    REFINE = "refine"
    """A second pass of the render's own model over the background, tile by tile."""
    NETWORK = "network"
    """A super-resolution network."""


@dataclass(frozen=True, slots=True)
class Upscaling:
    """The upscaler and what its pixels depend on.

    `strength` in (0, 1]: the share of the render's steps that `refine` takes again; `weights`: the
    sha256 of the network's files. Each None where it does not apply.
    """

    upscaler: Upscaler = Upscaler.LANCZOS
    strength: float | None = None
    weights: str | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return cls(**{**values, "upscaler": Upscaler(values["upscaler"])})


DEFAULT_STRENGTH = 0.25
LANCZOS = Upscaling()


@dataclass(frozen=True, slots=True)
class FinishingSpec:
    """Recipe of finishing. Gains are factors, ΔE is CIE76, the edge is in canvas px.

    `min_agreement`: detail lock is refused where the IoU of the render's own product mask with the
    placed mask is below it.
    """

    canvas_width: int
    canvas_height: int
    detail_lock: bool = True
    edge_px: float = 1.0
    gain_min: float = 0.6
    gain_max: float = 1.6
    chroma_shift_max: float = 8.0
    min_agreement: float = 0.55
    encoding: ImageFormat = ImageFormat.WEBP
    quality: int = 90
    version: str = FINISHING_VERSION
    upscaling: Upscaling = LANCZOS

    @property
    def finish_hash(self) -> str:
        """Sha256 (hex) over `to_json`."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """All fields; the upscaling only if it is another than the one that was once the only one,
        so that a recipe stored then keeps its hash."""
        return without_lanczos(asdict(self))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`, also after a round trip through jsonb."""
        plain = dict(values)
        plain["encoding"] = ImageFormat(plain["encoding"])
        if "upscaling" in plain:
            plain["upscaling"] = Upscaling.from_json(plain["upscaling"])
        return cls(**plain)


def without_lanczos(plain: dict[str, Any]) -> dict[str, Any]:
    """The plain values, without an `upscaling` that is the default."""
    left_out = "upscaling" if plain["upscaling"] == asdict(LANCZOS) else None
    return {name: value for name, value in plain.items() if name != left_out}
