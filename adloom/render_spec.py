"""The fully resolved recipe of one render, and its fingerprint."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from adloom.geometry import Box, Size

RENDERER_VERSION = "1"
"""Raised by hand when the same inputs give other pixels."""

_FINGERPRINT_LAYOUT = "adloom.render/1"


@dataclass(frozen=True, slots=True)
class Sampler:
    """Sampling parameters. `reference_scale` is the AFM's λ (>= 0)."""

    name: str = "ddim"
    steps: int = 20
    guidance: float = 4.0
    reference_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class RenderSpec:
    """Everything that decides the pixels of a render, and nothing else.

    `product_box` is the product's box in native px; `seed` an unsigned 63-bit number.
    """

    photo_sha256: str
    mask_sha256: str
    prompt: str
    negative_prompt: str
    product_box: Box
    native: Size
    sampler: Sampler
    seed: int
    weights_hash: str
    dtype: str
    renderer_version: str = RENDERER_VERSION

    @property
    def fingerprint(self) -> str:
        """Sha256 (hex) over the canonical JSON of all fields."""
        text = json.dumps(
            [_FINGERPRINT_LAYOUT, self.to_json()], sort_keys=True, separators=(",", ":")
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Plain values for a jsonb column; `from_json` is its inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        plain = dict(values)
        plain["product_box"] = Box(**plain["product_box"])
        plain["native"] = Size(**plain["native"])
        plain["sampler"] = Sampler(**plain["sampler"])
        return cls(**plain)


def seed_for(
    photo_sha256: str, scene: str, fmt: str, variant: int, draw: int, *, campaign_seed: int = 0
) -> int:
    """The seed of a slot's n-th draw: H(photo, scene, format, variant, draw), 63 bits.

    It does not depend on the campaign (but for a campaign's own explicit seed), so that two
    campaigns that ask for the same picture share its render.
    """
    text = json.dumps([photo_sha256, scene, fmt, variant, draw, campaign_seed])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
