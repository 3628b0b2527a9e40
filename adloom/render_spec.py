"""The fully resolved recipe of one render, and its fingerprint."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from adloom.geometry import Box, Size

RENDERER_VERSION = "1"
"""Raised by hand when the same inputs give other pixels."""

SAMPLERS = ("ddim", "dpm++", "unipc", "lcm", "tcd")
"""By which a template may ask for a scheduler; `lcm` and `tcd` need weights made for few steps."""

MOST_STEPS = {"lcm": 50, "tcd": 50}
"""Where there is a limit: the timesteps that such weights were distilled at."""

_FINGERPRINT_LAYOUT = "adloom.render/1"


_quoted = json.encoder.encode_basestring_ascii


def too_many_steps(sampler: str, steps: int) -> str | None:
    """Why a named sampler cannot take so many steps; None if it can."""
    most = MOST_STEPS.get(sampler, steps)
    return None if steps <= most else f"{sampler} takes at most {most} steps, not {steps}"


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """What a render may leave out for speed. Each changes the pixels; all are off by default.

    product_tokens_only: the references' white is not attended to. guided_above, guided_below:
    classifier-free guidance only where the share of the noise schedule that is still to go (1 at
    the first timestep) lies between them; elsewhere the conditional half alone (arXiv 2404.07724).
    reuse_every: the U-Net's deep features are computed in every n-th step (arXiv 2312.00858).
    """

    product_tokens_only: bool = False
    guided_above: float = 0.0
    guided_below: float = 1.0
    reuse_every: int = 1

    @property
    def taken(self) -> dict[str, Any]:
        """Those that are not off."""
        exact = {f.name: f.default for f in fields(self)}
        return {k: v for k, v in asdict(self).items() if v != exact[k]}

    @property
    def json_member(self) -> str:
        """As a member of a recipe's canonical JSON, which has none where all are off."""
        if self == EXACT:
            return ""
        return f'"shortcuts":{json.dumps(self.taken, sort_keys=True, separators=(",", ":"))},'


EXACT = Shortcuts()


@dataclass(frozen=True, slots=True)
class Sampler:
    """Sampling parameters. `reference_scale` is the AFM's λ (>= 0).

    name: `ddim` is the scheduler that came with the weights; others are `SAMPLERS`.
    """

    name: str = "ddim"
    steps: int = 20
    guidance: float = 4.0
    reference_scale: float = 1.0
    shortcuts: Shortcuts = EXACT

    def to_json(self) -> dict[str, Any]:
        """Shortcuts that are off are left out: a recipe without them keeps its fingerprint."""
        values, taken = asdict(self), self.shortcuts.taken
        del values["shortcuts"]
        return {**values, "shortcuts": taken} if taken else values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        plain = dict(values)
        return cls(**{**plain, "shortcuts": Shortcuts(**plain.get("shortcuts", {}))})


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
        return fingerprint_of(self.canonical_json)

    @property
    def canonical_json(self) -> str:
        """`to_json` as text, with sorted keys and no white space. Written out, since a plan of a
        million slots spends most of its time here."""
        box, native, sampler, quoted = self.product_box, self.native, self.sampler, _quoted
        return (
            f'{{"dtype":{quoted(self.dtype)},"mask_sha256":{quoted(self.mask_sha256)},'
            f'"native":{{"height":{native.height!r},"width":{native.width!r}}},'
            f'"negative_prompt":{quoted(self.negative_prompt)},'
            f'"photo_sha256":{quoted(self.photo_sha256)},'
            f'"product_box":{{"height":{box.height!r},"width":{box.width!r},"x":{box.x!r},'
            f'"y":{box.y!r}}},"prompt":{quoted(self.prompt)},'
            f'"renderer_version":{quoted(self.renderer_version)},'
            f'"sampler":{{"guidance":{sampler.guidance!r},"name":{quoted(sampler.name)},'
            f'"reference_scale":{sampler.reference_scale!r},{sampler.shortcuts.json_member}'
            f'"steps":{sampler.steps!r}}},'
            f'"seed":{self.seed!r},"weights_hash":{quoted(self.weights_hash)}}}'
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for a jsonb column; `from_json` is its inverse."""
        return {**asdict(self), "sampler": self.sampler.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        plain = dict(values)
        plain["product_box"] = Box(**plain["product_box"])
        plain["native"] = Size(**plain["native"])
        plain["sampler"] = Sampler.from_json(plain["sampler"])
        return cls(**plain)


def fingerprint_of(canonical_json: str) -> str:
    """The fingerprint of the spec with this `RenderSpec.canonical_json`."""
    text = f'["{_FINGERPRINT_LAYOUT}",{canonical_json}]'
    return hashlib.sha256(text.encode()).hexdigest()


def seed_for(
    photo_sha256: str, scene: str, fmt: str, variant: int, draw: int, *, campaign_seed: int = 0
) -> int:
    """The seed of a slot's n-th draw: H(photo, scene, format, variant, draw), 63 bits.

    It does not depend on the campaign (but for a campaign's own explicit seed), so that two
    campaigns that ask for the same picture share its render.
    """
    text = json.dumps([photo_sha256, scene, fmt, variant, draw, campaign_seed])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
